//! Filters: what is done to the requests and answers of a route beside routing them.

use crate::{
    AnswerRewrite, BackendId, BasicAuth, Cidr, ClientCertificate, ConcurrencyLimit, ExternalAuth,
    Mirror, PathMatch, RateLimit, Satisfy,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The filters of a route. They are applied in the order of the fields; the first that answers by itself ends
/// the request, and the answer carries the headers that `cors` adds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Filters {
    /// Requests that came over plain HTTP are redirected to HTTPS with this status: 301, 302, 303, 307 or 308.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub https_redirect: Option<u16>,
    /// Clients show a certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<ClientCertificate>,
    /// The gateway answers for other origins in the backend's place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
    /// Who may ask.
    #[serde(skip_serializing_if = "is_default")]
    pub access: Access,
    /// How much may be asked at the same time: one limit or a list of them, each of which counts.
    #[serde(with = "crate::limit", skip_serializing_if = "Vec::is_empty")]
    pub concurrency_limit: Vec<ConcurrencyLimit>,
    /// How much may be asked in a time: one limit or a list of them, each of which counts.
    #[serde(with = "crate::limit", skip_serializing_if = "Vec::is_empty")]
    pub rate_limit: Vec<RateLimit>,
    /// Name and password are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuth>,
    /// Another service is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_auth: Option<ExternalAuth>,
    /// Whether `access`, `basic_auth` and `external_auth` must all let a request in, or one of them.
    #[serde(skip_serializing_if = "is_default")]
    pub satisfy: Satisfy,
    /// A larger body of a request is answered 413; in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_body: Option<u64>,
    /// What the backend is asked for.
    #[serde(skip_serializing_if = "is_default")]
    pub rewrite: Rewrite,
    /// Headers of the request.
    #[serde(skip_serializing_if = "is_default")]
    pub request_headers: HeaderEdits,
    /// Headers of the backend's answer.
    #[serde(skip_serializing_if = "is_default")]
    pub response_headers: HeaderEdits,
    /// What the backend's answer says about hosts and paths.
    #[serde(skip_serializing_if = "is_default")]
    pub answer: AnswerRewrite,
    /// Answers that another backend gives instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_pages: Option<ErrorPages>,
    /// Requests are copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
    /// `Location` of the route's own redirects to a path has no scheme and host (RFC 9110 10.2.2).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub relative_redirects: bool,
    /// How fast the body of an answer is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pace: Option<Pace>,
    /// In place of the gateway's own time limits.
    #[serde(skip_serializing_if = "is_default")]
    pub timeouts: RouteTimeouts,
    /// In place of the gateway's own rules for trying again.
    #[serde(skip_serializing_if = "is_default")]
    pub retry: RouteRetry,
}

/// Cross-origin requests (Fetch standard, "CORS protocol"). What the backend says of it is dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cors {
    /// Origins that may ask: `*`, `https://shop.example.com`, or one label left open, `https://*.example.com`.
    pub allow_origins: Vec<String>,
    /// Methods they may use.
    #[serde(default)]
    pub allow_methods: Vec<String>,
    /// Headers they may send.
    #[serde(default)]
    pub allow_headers: Vec<String>,
    /// Headers of answers that their scripts may read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expose_headers: Vec<String>,
    /// Whether cookies may be sent along.
    #[serde(default)]
    pub allow_credentials: bool,
    /// How long the answer to a preflight may be remembered.
    #[serde(
        default,
        with = "crate::duration::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub max_age: Option<Duration>,
}

/// Clients by address; others are answered 403.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Access {
    /// Only these, if given. An empty list lets nobody in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<Cidr>>,
    /// Not these, also where `allow` lists them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<Cidr>,
}

/// What the backend is asked for instead of what the client asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rewrite {
    /// Another path; the query stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathRewrite>,
    /// Another Host; `X-Forwarded-Host` keeps the client's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// Another path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PathRewrite {
    /// In place of the part that the route's path matches.
    Prefix(String),
    /// In place of the whole path. `$1` to `$9` are groups of the route's regular expression. What stands behind
    /// a `?` goes before the client's query.
    Full(String),
}

/// Changes of headers, in this order: what is removed, what is set, what is added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HeaderEdits {
    /// Names whose lines are dropped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
    /// Lines in place of all others of their name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<Header>,
    /// Further lines.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<Header>,
}

/// A header line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Errors are told by another backend: it is asked for `/` of the same host, once, by GET (or HEAD, if that was the
/// request), and what it answers is passed on, with its status. Without an answer of it the client gets the status
/// that was to be replaced, and no body.
///
/// It is told in headers what to answer: `X-Code` is the status, `X-Format` the Accept of the request, `X-Original-URI` what was
/// asked for; what the client says in these is dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorPages {
    /// From 400 to 599: answers of endpoints, and the gateway's own when no endpoint gives one.
    pub statuses: Vec<u16>,
    /// Who is asked.
    pub backend: BackendId,
    /// Further headers, in place of what the client says in them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header>,
}

/// How fast the body of one answer is sent, in bytes of the body. After a switch to WebSocket nothing is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    /// So many bytes a second, and as many at once at the beginning; at least 1.
    pub bytes_per_second: u64,
    /// So many before them as fast as can be.
    #[serde(default, skip_serializing_if = "is_default")]
    pub after: u64,
}

/// Time limits of a route; the gateway's own where one is missing. None may be zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RouteTimeouts {
    /// As [`crate::Timeouts::connect`].
    #[serde(
        with = "crate::duration::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub connect: Option<Duration>,
    /// As [`crate::Timeouts::try_first_byte`].
    #[serde(
        with = "crate::duration::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub try_first_byte: Option<Duration>,
    /// As [`crate::Timeouts::first_byte`].
    #[serde(
        with = "crate::duration::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub first_byte: Option<Duration>,
    /// As [`crate::Timeouts::body_idle`].
    #[serde(
        with = "crate::duration::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub body_idle: Option<Duration>,
    /// From the head of the request to the end of the answer: 504, or the answer is cut where it has begun. What goes on after
    /// a switch to WebSocket is not part of it.
    #[serde(
        with = "crate::duration::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub total: Option<Duration>,
}

/// When requests of a route are sent again; the gateway's own rules where one is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RouteRetry {
    /// As [`crate::RetrySettings::max`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
    /// Also requests whose method does not allow it (POST, PATCH): their owner knows that it does no harm.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub any_method: bool,
    /// Further tries begin only so long after the first.
    #[serde(
        with = "crate::duration::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub within: Option<Duration>,
}

pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Filters {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        is_default(self)
    }

    /// The backend that is asked who may ask.
    pub fn external_auth_backend(&self) -> Option<&BackendId> {
        self.external_auth.as_ref()?.backend()
    }

    /// The backends that they name.
    pub fn backends(&self) -> impl Iterator<Item = &BackendId> {
        let external = self.external_auth_backend();
        let pages = self.error_pages.iter().map(|pages| &pages.backend);
        let mirror = self.mirror.iter().map(|mirror| &mirror.backend);
        external.into_iter().chain(pages).chain(mirror)
    }

    /// The first field that cannot be served on a route for `path`, with the reason.
    ///
    /// # Errors
    /// That field and the reason.
    pub fn validate(&self, path: &PathMatch) -> Result<(), (String, String)> {
        let refuse = |field: &str, reason: String| Err((field.to_owned(), reason));
        if let Some(status) = self.https_redirect.filter(|status| !is_redirect(*status)) {
            return refuse("https_redirect", not_a_redirect(status));
        }
        if let Some(certificate) = &self.client_certificate {
            certificate
                .validate()
                .map_err(|(field, reason)| (format!("client_certificate.{field}"), reason))?;
        }
        if let Some(cors) = &self.cors {
            cors.validate()
                .map_err(|(field, reason)| (format!("cors.{field}"), reason))?;
        }
        let at = |(field, reason)| (format!("concurrency_limit{field}"), reason);
        self.concurrency_limit
            .iter()
            .try_for_each(|limit| limit.validate().map_err(at))?;
        let at = |(field, reason)| (format!("rate_limit{field}"), reason);
        self.rate_limit
            .iter()
            .try_for_each(|limit| limit.validate().map_err(at))?;
        if let Some(basic) = &self.basic_auth {
            basic
                .validate()
                .map_err(|(field, reason)| (format!("basic_auth.{field}"), reason))?;
        }
        if let Some(external) = &self.external_auth {
            external
                .validate()
                .map_err(|(field, reason)| (format!("external_auth.{field}"), reason))?;
        }
        if let Some(rewrite) = &self.rewrite.path {
            rewrite
                .validate(path)
                .or_else(|reason| refuse("rewrite.path", reason))?;
        }
        if let Some(host) = &self.rewrite.host
            && !is_authority(host)
        {
            let reason = format!("{host:?} is not a host, or a host and a port");
            return refuse("rewrite.host", reason);
        }
        let edits = [
            ("request_headers", &self.request_headers, &REQUEST_OWN[..]),
            ("response_headers", &self.response_headers, &[]),
        ];
        for (field, edits, own) in edits {
            edits
                .validate(own)
                .or_else(|reason| refuse(field, reason))?;
        }
        self.answer
            .validate()
            .or_else(|(field, reason)| refuse(&format!("answer.{field}"), reason))?;
        if let Some(pages) = &self.error_pages {
            pages
                .validate()
                .or_else(|(field, reason)| refuse(&format!("error_pages.{field}"), reason))?;
        }
        if let Some(mirror) = &self.mirror {
            mirror
                .validate()
                .or_else(|(field, reason)| refuse(&format!("mirror.{field}"), reason))?;
        }
        if self.pace.is_some_and(|pace| pace.bytes_per_second == 0) {
            let reason = "it must be more than zero";
            return refuse("pace.bytes_per_second", reason.to_owned());
        }
        if self.retry.within.is_some_and(|within| within.is_zero()) {
            let reason = "it must be longer than zero";
            return refuse("retry.within", reason.to_owned());
        }
        self.timeouts.validate().map_err(|field| {
            (
                format!("timeouts.{field}"),
                "it must be longer than zero".to_owned(),
            )
        })
    }
}

impl ErrorPages {
    fn validate(&self) -> Result<(), (&'static str, String)> {
        if let Some(status) = self.statuses.iter().find(|s| !(400..=599).contains(*s)) {
            return Err(("statuses", format!("{status} is no error")));
        }
        let edits = HeaderEdits {
            set: self.headers.clone(),
            ..HeaderEdits::default()
        };
        edits
            .validate(&REQUEST_OWN)
            .map_err(|reason| ("headers", reason))
    }
}

impl Cors {
    fn validate(&self) -> Result<(), (&'static str, String)> {
        let names = [
            ("allow_methods", &self.allow_methods),
            ("allow_headers", &self.allow_headers),
            ("expose_headers", &self.expose_headers),
        ];
        for (field, names) in names {
            if let Some(name) = names.iter().find(|name| !is_token(name)) {
                return Err((field, format!("{name:?} is not a name (RFC 9110 5.6.2)")));
            }
        }
        let wrong = |origin: &&String| !is_origin(origin);
        match self.allow_origins.iter().find(wrong) {
            Some(origin) => Err((
                "allow_origins",
                format!(
                    "{origin:?} is neither '*' nor of the form scheme://host or scheme://*.host"
                ),
            )),
            None => Ok(()),
        }
    }
}

impl PathRewrite {
    fn validate(&self, path: &PathMatch) -> Result<(), String> {
        let (Self::Prefix(text) | Self::Full(text)) = self;
        if !text.starts_with('/') && !text.starts_with('$') {
            return Err(format!("{text:?} must begin with '/'"));
        }
        if !text.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
            return Err(format!(
                "{text:?}: only printable ASCII without '#' is allowed"
            ));
        }
        match self {
            Self::Prefix(_) if text.contains(['?', '$']) => {
                Err(format!("{text:?}: a prefix has no '?' and no '$'"))
            }
            Self::Prefix(_) if matches!(path, PathMatch::Regex(_)) => Err(
                "a regular expression matches no prefix that could be replaced: use full"
                    .to_owned(),
            ),
            Self::Prefix(_) => Ok(()),
            Self::Full(_) => {
                let groups = match path {
                    PathMatch::Regex(pattern) => pattern.groups(),
                    PathMatch::Exact(_) | PathMatch::Prefix(_) => 0,
                };
                for at in text.match_indices('$').map(|(at, _)| at) {
                    let digit = text.as_bytes().get(at + 1).copied().unwrap_or_default();
                    let group = usize::from(digit.wrapping_sub(b'0'));
                    if !(1..=9).contains(&group) {
                        return Err(format!(
                            "{text:?}: behind '$' a digit from 1 to 9 must follow"
                        ));
                    }
                    if group > groups {
                        return Err(format!(
                            "{text:?}: the path has {groups} groups, so there is no ${group}"
                        ));
                    }
                }
                Ok(())
            }
        }
    }
}

/// Headers of a request that the gateway writes itself.
pub(crate) const REQUEST_OWN: [&str; 5] = [
    "host",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
];

/// Headers that belong to one connection, or say how the message is framed.
const FRAMING: [&str; 9] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl HeaderEdits {
    pub(crate) fn validate(&self, own: &[&str]) -> Result<(), String> {
        let lines = self.set.iter().chain(&self.add);
        let names = lines.clone().map(|line| &line.name).chain(&self.remove);
        for name in names {
            let is = |known: &&str| known.eq_ignore_ascii_case(name);
            if !is_token(name) {
                return Err(format!(
                    "{name:?} is not the name of a header (RFC 9110 5.6.2)"
                ));
            }
            if FRAMING.iter().any(&is) {
                return Err(format!("{name} is between two hops and not to be changed"));
            }
            if own.iter().any(is) {
                return Err(format!("{name} is written by the gateway itself"));
            }
        }
        for Header { name, value } in lines {
            let visible = |b: u8| b == b' ' || b == b'\t' || (b > b' ' && b != 0x7f);
            if value.trim() != value || !value.bytes().all(visible) {
                return Err(format!("no header can have the value of {name}"));
            }
        }
        Ok(())
    }
}

impl RouteTimeouts {
    fn validate(&self) -> Result<(), &'static str> {
        let named = [
            ("connect", self.connect),
            ("try_first_byte", self.try_first_byte),
            ("first_byte", self.first_byte),
            ("body_idle", self.body_idle),
            ("total", self.total),
        ];
        let zero = |(_, limit): &&(_, Option<Duration>)| limit.is_some_and(|limit| limit.is_zero());
        match named.iter().find(zero) {
            Some((name, _)) => Err(name),
            None => Ok(()),
        }
    }
}

/// Whether a status sends the client elsewhere (RFC 9110 15.4).
pub(crate) fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

pub(crate) fn not_a_redirect(status: u16) -> String {
    format!("{status} is none of 301, 302, 303, 307 and 308")
}

/// RFC 9110 5.6.2.
pub(crate) fn is_token(name: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(token)
}

/// A host, or a host and a port, as Host carries it.
pub(crate) fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    let literal = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let host_fits = match literal {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.len() <= 253 && host.bytes().all(name),
    };
    host_fits && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// A URL that a client can be sent to.
pub(crate) fn is_web_url(text: &str) -> bool {
    let web = ["http://", "https://"];
    let rest = web.iter().find_map(|scheme| text.strip_prefix(scheme));
    rest.is_some_and(|rest| !rest.is_empty()) && text.bytes().all(|b| b.is_ascii_graphic())
}

fn is_origin(text: &str) -> bool {
    if text == "*" {
        return true;
    }
    let Some((scheme, host)) = text.split_once("://") else {
        return false;
    };
    let scheme_fits = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    scheme_fits && is_authority(host.strip_prefix("*.").unwrap_or(host))
}
