//! Asking another service who may ask.

use crate::filter::{HeaderEdits, REQUEST_OWN, is_authority, is_token};
use crate::{BackendId, Header, KeyPart, key};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Another service is asked about each request, with its headers and without its body, before it goes on. An answer of
/// 2xx lets it, 401 and 403 refuse it; anything else, and none, is 503: who cannot be asked lets nobody in.
///
/// It is told in headers what the request is: `X-Original-URL`, `X-Original-Method` and `X-Auth-Request-Redirect`; what the
/// client says in these is dropped. Cookies that it sets are passed on to the client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExternalAuth {
    /// Who is asked.
    pub to: AuthTarget,
    /// How.
    #[serde(default = "get")]
    pub method: String,
    /// For which path.
    pub path: String,
    /// With which query, without `?`. What comes from the request is percent-encoded in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<KeyPart>,
    /// Headers that it gets, in place of what the client says in these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub request_headers: Vec<Header>,
    /// Headers of its answer that the backend gets. What the client says in these is dropped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub response_headers: Vec<String>,
    /// `X-Auth-Request-Redirect`; without it, the path and query of the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redirect: Vec<KeyPart>,
    /// What it says is remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<AuthCache>,
    /// Where a client that is refused with 401 is sent to (302). What comes from the request is percent-encoded behind
    /// the `?`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sign_in: Vec<KeyPart>,
}

/// Answers that are remembered for requests with the same key, by each gateway for itself. An answer that sets cookies is
/// not, and a request that has none of the headers and cookies in the key is always asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthCache {
    /// What the key is made of: a header or a cookie must be part of it, or one client would be taken for another.
    pub key: Vec<KeyPart>,
    /// Which answers are remembered, and how long.
    pub keep: Vec<KeepAnswers>,
}

/// For how long answers are remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeepAnswers {
    /// Answers of these statuses: 2xx, 401 or 403.
    pub statuses: Vec<u16>,
    /// So long.
    #[serde(with = "crate::duration")]
    pub time: Duration,
}

/// Who is asked whether a request may go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AuthTarget {
    /// A backend, in any cluster that can serve.
    Backend {
        /// Its name.
        id: BackendId,
        /// The Host that it sees.
        host: String,
    },
    /// The gateway itself, as the client would ask it: the routes of this host, which must be served by name, or of the
    /// host that the client asked for. A route that would have to ask again lets nobody in.
    Own {
        /// The host.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<String>,
    },
}

fn get() -> String {
    "GET".to_owned()
}

impl ExternalAuth {
    /// What the question says about the request, whatever the client says in these.
    pub const OWN: [&str; 3] = [Self::ORIGINAL_URL, Self::ORIGINAL_METHOD, Self::REDIRECT];
    /// The URL that the client asked for.
    pub const ORIGINAL_URL: &str = "X-Original-URL";
    /// With which method.
    pub const ORIGINAL_METHOD: &str = "X-Original-Method";
    /// Where a client may be sent back to.
    pub const REDIRECT: &str = "X-Auth-Request-Redirect";

    /// The backend that is asked.
    pub(crate) fn backend(&self) -> Option<&BackendId> {
        match &self.to {
            AuthTarget::Backend { id, .. } => Some(id),
            AuthTarget::Own { .. } => None,
        }
    }

    /// The first field that cannot be served, with the reason.
    pub(crate) fn validate(&self) -> Result<(), (&'static str, String)> {
        let host = match &self.to {
            AuthTarget::Backend { host, .. } => Some(host),
            AuthTarget::Own { host } => host.as_ref(),
        };
        if let Some(host) = host.filter(|host| !is_authority(host)) {
            return Err((
                "to",
                format!("{host:?} is not a host, or a host and a port"),
            ));
        }
        if !is_token(&self.method) {
            return Err(("method", format!("{:?} is not a method", self.method)));
        }
        let visible = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
        if !self.path.starts_with('/') || !visible(&self.path) || self.path.contains(['?', '#']) {
            return Err(("path", format!("{:?} is not a path", self.path)));
        }
        let templates = [
            ("query", &self.query),
            ("redirect", &self.redirect),
            ("sign_in", &self.sign_in),
        ];
        for (field, parts) in templates {
            key::validate_names(parts).map_err(|why| (field, why))?;
            let clean = |part: &KeyPart| match part {
                KeyPart::Text(text) => visible(text),
                _ => true,
            };
            if !parts.iter().all(clean) {
                return Err((field, "only visible ASCII is allowed".to_owned()));
            }
        }
        if let Some(cache) = &self.cache {
            cache.validate()?;
        }
        let told = HeaderEdits {
            set: self.request_headers.clone(),
            ..HeaderEdits::default()
        };
        let own: Vec<&str> = REQUEST_OWN.into_iter().chain(Self::OWN).collect();
        told.validate(&own)
            .map_err(|reason| ("request_headers", reason))?;
        let edits = HeaderEdits {
            remove: self.response_headers.clone(),
            ..HeaderEdits::default()
        };
        edits
            .validate(&REQUEST_OWN)
            .map_err(|reason| ("response_headers", reason))
    }
}

impl AuthCache {
    fn validate(&self) -> Result<(), (&'static str, String)> {
        key::validate(&self.key).map_err(|why| ("cache.key", why))?;
        let credential = |part: &KeyPart| matches!(part, KeyPart::Header(_) | KeyPart::Cookie(_));
        if !self.key.iter().any(credential) {
            let why =
                "no header and no cookie is part of it, so one client would be taken for another";
            return Err(("cache.key", why.to_owned()));
        }
        let mut statuses = self.keep.iter().flat_map(|keep| &keep.statuses);
        match statuses.find(|status| !matches!(status, 200..=299 | 401 | 403)) {
            Some(status) => Err((
                "cache.keep",
                format!("{status} is not 2xx, 401 or 403: such answers say nothing"),
            )),
            None => Ok(()),
        }
    }
}
