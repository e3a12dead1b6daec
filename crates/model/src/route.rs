//! Routes: which requests of a host go where.

use crate::{BackendId, ClusterName, RouteId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One way through the gateway.
///
/// Among the routes of a host the most specific wins: exact path before prefix, longer before
/// shorter, more header matches before fewer; equals are decided by their order in the snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Where the route comes from.
    #[serde(default)]
    pub id: RouteId,
    /// Which paths it serves.
    pub path: PathMatch,
    /// Headers that must all match as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderMatch>,
    /// What happens to a request that matches.
    pub action: Action,
}

/// A path condition, applied to the normal form of the request's path ([`normalise_path`]).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "RawPathMatch")]
pub enum PathMatch {
    /// The whole path, byte for byte.
    Exact(String),
    /// Whole path elements, as networking.k8s.io/v1 defines `Prefix`: `/a` matches `/a` and `/a/b`,
    /// not `/ab`. A trailing slash of the pattern is not part of it.
    Prefix(String),
}

/// A header condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderMatch {
    /// The name in lower case.
    pub name: String,
    /// The header must equal one of these, byte for byte.
    pub any_of: Vec<String>,
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// It is sent to an endpoint of a backend.
    Forward(Forward),
    /// The gateway answers by itself, with this status and an empty body.
    Respond(u16),
}

/// Where to send a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forward {
    /// The backend, a key of [`crate::Snapshot::backends`].
    pub backend: BackendId,
    /// Which clusters of it may serve.
    #[serde(default)]
    pub placement: RoutePlacement,
    /// Serves when `backend` has no endpoint in any cluster (annotation `default-backend`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<BackendId>,
}

/// Which clusters of a backend a route uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RoutePlacement {
    /// The backend's own [`crate::Placement`].
    #[default]
    Policy,
    /// Only this cluster while it has an endpoint that can serve, else the backend's placement over
    /// the others: the original's subset rule.
    Pinned(ClusterName),
}

/// A path that no request could match or that would be ambiguous.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidPath {
    /// The path as it came.
    pub path: String,
    /// Why it is refused.
    pub reason: &'static str,
}

impl PathMatch {
    /// A condition on the whole path.
    ///
    /// # Errors
    /// [`InvalidPath`] when `path` is not in the normal form that requests are matched in.
    pub fn exact(path: &str) -> Result<Self, InvalidPath> {
        check_path(path).map(|()| Self::Exact(path.to_owned()))
    }

    /// A condition on leading path elements; trailing slashes are dropped.
    ///
    /// # Errors
    /// [`InvalidPath`] when `path` is not in the normal form that requests are matched in.
    pub fn prefix(path: &str) -> Result<Self, InvalidPath> {
        check_path(path)?;
        let trimmed = path.trim_end_matches('/');
        Ok(Self::Prefix(
            if trimmed.is_empty() { "/" } else { trimmed }.to_owned(),
        ))
    }

    /// Whether a request path in normal form satisfies the condition.
    pub fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::Prefix(prefix) if prefix == "/" => true,
            Self::Prefix(prefix) => path
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        }
    }

    /// The path that was written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Exact(path) | Self::Prefix(path) => path,
        }
    }
}

fn check_path(path: &str) -> Result<(), InvalidPath> {
    let refuse = |reason| {
        Err(InvalidPath {
            path: path.to_owned(),
            reason,
        })
    };
    if !path.starts_with('/') {
        return refuse("it must begin with '/'");
    }
    if path.len() > 4096 {
        return refuse("it is longer than 4096 characters");
    }
    if path
        .bytes()
        .any(|b| !b.is_ascii_graphic() || matches!(b, b'?' | b'#'))
    {
        return refuse(
            "only printable ASCII without '?' and '#' is allowed; encode the rest as %XX",
        );
    }
    match normalise_path(path) {
        Some(normal) if normal == path => Ok(()),
        Some(_) => refuse(
            "it is not in normal form: no '//', no '.' or '..' element, no %XX for a character that needs none",
        ),
        None => refuse("it has a broken or forbidden %XX, or '..' leads above '/'"),
    }
}

/// The one normal form of a request path, used for matching and for forwarding alike, so that no
/// spelling of a path reaches a backend past a more specific route.
///
/// RFC 3986 6.2.2: `%XX` of unreserved characters is decoded, other `%XX` are kept with upper-case
/// digits; `.` and `..` elements are resolved; runs of `/` become one. An encoded slash stays encoded
/// and so is data of one element. `None` for a path that does not begin with `/`, a broken `%XX`, `%00`,
/// or a `..` above the root.
pub fn normalise_path(path: &str) -> Option<std::borrow::Cow<'_, str>> {
    if !path.starts_with('/') {
        return None;
    }
    let odd = path.contains('%') || path.contains("//") || path.contains("/.");
    if !odd {
        return Some(path.into());
    }
    let decoded = decode_unreserved(path)?;
    let mut normal = String::with_capacity(decoded.len());
    let mut elements = decoded.split('/').skip(1).peekable();
    while let Some(element) = elements.next() {
        let last = elements.peek().is_none();
        match element {
            "" | "." if !last => {}
            "" | "." => normal.push('/'),
            ".." => {
                let cut = normal.rfind('/')?;
                normal.truncate(cut);
                if last {
                    normal.push('/');
                }
            }
            _ => {
                normal.push('/');
                normal.push_str(element);
            }
        }
    }
    Some(normal.into())
}

fn decode_unreserved(path: &str) -> Option<String> {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 3)?;
        if !code.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let byte = u8::from_str_radix(code, 16).ok()?;
        match byte {
            0 => return None,
            b if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~') => {
                out.push(char::from(b));
            }
            _ => {
                out.push('%');
                out.push_str(&code.to_ascii_uppercase());
            }
        }
        rest = &rest[at + 3..];
    }
    out.push_str(rest);
    Some(out)
}

/// As on the wire, before the checks of [`PathMatch`]'s constructors.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum RawPathMatch {
    Exact(String),
    Prefix(String),
}

impl TryFrom<RawPathMatch> for PathMatch {
    type Error = InvalidPath;

    fn try_from(raw: RawPathMatch) -> Result<Self, InvalidPath> {
        match raw {
            RawPathMatch::Exact(path) => Self::exact(&path),
            RawPathMatch::Prefix(path) => Self::prefix(&path),
        }
    }
}

impl fmt::Display for InvalidPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "path {:?} is not valid: {}", self.path, self.reason)
    }
}

impl std::error::Error for InvalidPath {}
