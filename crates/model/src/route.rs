//! Routes: which requests of a host go where.

use crate::{BackendId, ClusterName, Filters, PathMatch, Pattern, RouteId};
use serde::{Deserialize, Serialize};

/// One way through the gateway.
///
/// Among the routes of a host the most specific path wins: exact, then regular expressions (longer text first),
/// then the longest prefix. Among equals the one with more conditions, then their order in the snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Where the route comes from.
    #[serde(default)]
    pub id: RouteId,
    /// Which paths it serves.
    pub path: PathMatch,
    /// ASCII letters of an exact path or a prefix match in either case. A route that minds the case goes first. Regular
    /// expressions say it themselves: `(?i)`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ignore_case: bool,
    /// The method must be one of these, if any is listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Headers that must all match as well. Of several lines of one name the first counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<FieldMatch>,
    /// Parameters of the query that must all match, compared after `%XX` and `+` are decoded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<FieldMatch>,
    /// Cookies that must all match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cookies: Vec<FieldMatch>,
    /// What HTTP/2 says in pseudo-headers (RFC 9113 8.3.1), of requests of all versions: `method`, `scheme`, `authority`
    /// (Host as it was sent) and `path` (in normal form, with the query).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pseudo_headers: Vec<FieldMatch>,
    /// What is done to requests and answers beside.
    #[serde(default, skip_serializing_if = "Filters::is_empty")]
    pub filters: Filters,
    /// What happens to a request that matches.
    pub action: Action,
}

impl Route {
    /// A route that forwards all that `path` matches: the simplest one.
    pub fn new(id: RouteId, path: PathMatch, action: Action) -> Self {
        Self {
            id,
            path,
            ignore_case: false,
            methods: Vec::new(),
            headers: Vec::new(),
            query: Vec::new(),
            cookies: Vec::new(),
            pseudo_headers: Vec::new(),
            filters: Filters::default(),
            action,
        }
    }

    /// How many conditions it has beside its path.
    pub fn conditions(&self) -> usize {
        usize::from(!self.methods.is_empty())
            + self.headers.len()
            + self.query.len()
            + self.cookies.len()
            + self.pseudo_headers.len()
    }
}

/// The names that [`Route::pseudo_headers`] may have.
pub const PSEUDO_HEADERS: [&str; 4] = ["authority", "method", "path", "scheme"];

/// A condition on a header (by its name in lower case), a parameter of the query or a cookie.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "RawFieldMatch", into = "RawFieldMatch")]
pub struct FieldMatch {
    /// Which field.
    pub name: String,
    /// What it must be; a field that is missing matches nothing.
    pub value: ValueMatch,
}

/// A condition on a value, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ValueMatch {
    /// It equals one of these.
    AnyOf(Vec<String>),
    /// It begins with this.
    Prefix(String),
    /// This is found in it.
    Regex(Pattern),
}

impl ValueMatch {
    /// Whether `value` satisfies the condition.
    pub fn matches(&self, value: &[u8]) -> bool {
        match self {
            Self::AnyOf(any) => any.iter().any(|one| one.as_bytes() == value),
            Self::Prefix(prefix) => value.starts_with(prefix.as_bytes()),
            Self::Regex(pattern) => pattern.is_found_in(value),
        }
    }
}

/// As it is written: the name with one of the others.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFieldMatch {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    any_of: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    regex: Option<Pattern>,
}

impl TryFrom<RawFieldMatch> for FieldMatch {
    type Error = String;

    fn try_from(raw: RawFieldMatch) -> Result<Self, String> {
        let value = match (raw.any_of, raw.prefix, raw.regex) {
            (Some(any), None, None) => ValueMatch::AnyOf(any),
            (None, Some(prefix), None) => ValueMatch::Prefix(prefix),
            (None, None, Some(pattern)) => ValueMatch::Regex(pattern),
            _ => {
                return Err(format!(
                    "{:?} needs one of any_of, prefix and regex",
                    raw.name
                ));
            }
        };
        Ok(Self {
            name: raw.name,
            value,
        })
    }
}

impl From<FieldMatch> for RawFieldMatch {
    fn from(condition: FieldMatch) -> Self {
        let mut raw = Self {
            name: condition.name,
            any_of: None,
            prefix: None,
            regex: None,
        };
        match condition.value {
            ValueMatch::AnyOf(any) => raw.any_of = Some(any),
            ValueMatch::Prefix(prefix) => raw.prefix = Some(prefix),
            ValueMatch::Regex(pattern) => raw.regex = Some(pattern),
        }
        raw
    }
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// It is sent to an endpoint of a backend.
    Forward(Forward),
    /// It is sent to one of several by chance, in proportion to their weights.
    Split(Vec<Share>),
    /// The client is sent elsewhere.
    Redirect(Redirect),
    /// The gateway answers by itself, with this status and an empty body.
    Respond(u16),
}

impl Action {
    /// All the places it may send a request to.
    pub fn forwards(&self) -> impl Iterator<Item = &Forward> {
        let (one, several) = match self {
            Self::Forward(forward) => (Some(forward), &[][..]),
            Self::Split(shares) => (None, &shares[..]),
            Self::Redirect(_) | Self::Respond(_) => (None, &[][..]),
        };
        one.into_iter()
            .chain(several.iter().map(|share| &share.forward))
    }
}

/// A part of the requests of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// Its part of the sum of all weights; not all may be 0.
    pub weight: u32,
    /// Where it goes.
    pub forward: Forward,
}

/// An answer that sends the client elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
    /// Where to.
    pub to: Target,
}

/// Where a redirect leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Target {
    /// To this URL, whatever the request was.
    Url(String),
    /// To what was asked for, with another host.
    Host(String),
    /// To this path on the same host, over the same scheme.
    Path(String),
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
