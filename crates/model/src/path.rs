//! Paths: their one normal form, and conditions on it.

use crate::Pattern;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// A path condition, applied to the normal form of the request's path ([`normalise_path`]).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "RawPathMatch")]
pub enum PathMatch {
    /// The whole path, byte for byte.
    Exact(String),
    /// Whole path elements, as networking.k8s.io/v1 defines `Prefix`: `/a` matches `/a` and `/a/b`,
    /// not `/ab`. A trailing slash of the pattern is not part of it.
    Prefix(String),
    /// Found at the start of the path; end it with `$` to match all of it.
    Regex(Pattern),
}

/// A path that no request could match or that would be ambiguous.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidPath {
    /// The path as it came.
    pub path: String,
    /// Why it is refused.
    pub reason: Cow<'static, str>,
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

    /// A condition that a regular expression is found at the start of the path.
    ///
    /// # Errors
    /// [`InvalidPath`] when it cannot be used.
    pub fn regex(source: &str) -> Result<Self, InvalidPath> {
        Pattern::new(source)
            .map(Self::Regex)
            .map_err(|error| InvalidPath {
                path: error.source,
                reason: error.reason.into(),
            })
    }

    /// Whether a request path in normal form satisfies the condition.
    pub fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::Prefix(prefix) if prefix == "/" => true,
            Self::Prefix(prefix) => path
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            Self::Regex(pattern) => pattern.is_at_start_of(path.as_bytes()),
        }
    }

    /// The path that was written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Exact(path) | Self::Prefix(path) => path,
            Self::Regex(pattern) => pattern.as_str(),
        }
    }
}

fn check_path(path: &str) -> Result<(), InvalidPath> {
    let refuse = |reason: &'static str| {
        Err(InvalidPath {
            path: path.to_owned(),
            reason: reason.into(),
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
pub fn normalise_path(path: &str) -> Option<Cow<'_, str>> {
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
    Regex(String),
}

impl TryFrom<RawPathMatch> for PathMatch {
    type Error = InvalidPath;

    fn try_from(raw: RawPathMatch) -> Result<Self, InvalidPath> {
        match raw {
            RawPathMatch::Exact(path) => Self::exact(&path),
            RawPathMatch::Prefix(path) => Self::prefix(&path),
            RawPathMatch::Regex(source) => Self::regex(&source),
        }
    }
}

impl fmt::Display for InvalidPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "path {:?} is not valid: {}", self.path, self.reason)
    }
}

impl std::error::Error for InvalidPath {}
