//! Balancing: which of the endpoints that may serve a request gets it.
//!
//! [`crate::Placement`] says how much each cluster gets; this says how that is given to endpoints. The order of
//! precedence is fixed: a session's endpoint, then [`Algorithm`].

use crate::filter::{is_authority, is_default, is_token};
use crate::{KeyPart, key};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How the requests of a backend are given to its endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Balance {
    /// Which endpoint a request gets that belongs to no session.
    #[serde(skip_serializing_if = "is_default")]
    pub algorithm: Algorithm,
    /// Requests of one client go to one endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// Over what time the share of a new endpoint grows from small to full, with the algorithms `roundRobin` and
    /// `leastConnections`. Zero: at once.
    #[serde(with = "crate::duration", skip_serializing_if = "Duration::is_zero")]
    pub warmup: Duration,
}

/// Which endpoint a request gets.
///
/// Clusters whose weight is that of their ready endpoints are one pool, so that the algorithms compare endpoints
/// across them; a cluster with an explicit weight is a pool of its own, which gets what its weight says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Algorithm {
    /// One after the other, as evenly as can be. Costs the same for any number of endpoints.
    #[default]
    RoundRobin,
    /// The endpoint with the fewest requests of this gateway under way. Looks at every endpoint.
    LeastConnections,
    /// The one of two chance picks that has fewer requests under way: nearly as good as looking at all, at a cost
    /// that does not grow with their number.
    RandomOfTwo,
    /// The one of two chance picks that would make the request wait less: its recent time to the first byte, of
    /// which peaks count at once, times the requests under way. Costs two more writes a request.
    PeakEwma,
    /// Requests with equal keys go to one endpoint. Looks at every endpoint.
    Hash(Hash),
}

/// A consistent hash (rendezvous hashing): a key moves only when its endpoint leaves, or to one that comes. It depends
/// on nothing but key, clusters and addresses, so that all gateways agree. A request in which none of the parts
/// is found is balanced in turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hash {
    /// What the key is made of, one after the other; at least one that is no text.
    pub by: Vec<KeyPart>,
    /// So many endpoints share a key, in turn: 1 to 64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subset: Option<u32>,
}

/// Sessions: a cookie that the gateway makes leads a client to the same endpoint again.
///
/// A client is moved in any case when its endpoint is gone, judged unable to serve, or in a cluster that gets no share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Affinity {
    /// What happens to sessions when endpoints are added.
    #[serde(skip_serializing_if = "is_default")]
    pub mode: AffinityMode,
    /// What an answer of 502, 503 or 504 from the session's endpoint leads to.
    #[serde(skip_serializing_if = "is_default")]
    pub on_failure: OnFailure,
    /// Which of the backends of an [`crate::Action::Split`] a client gets.
    #[serde(skip_serializing_if = "is_default")]
    pub canary: CanaryAffinity,
    /// The cookie.
    pub cookie: SessionCookie,
}

/// What happens to sessions when endpoints are added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AffinityMode {
    /// The new ones take over their part of them. The cookie is the key of a consistent hash.
    #[default]
    Balanced,
    /// None moves. The cookie names the endpoint.
    Persistent,
}

/// What becomes of a session whose endpoint fails but was not judged unable to serve yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnFailure {
    /// It stays. What the endpoint answers is passed on; only when it cannot be asked is another one asked instead.
    #[default]
    Stay,
    /// The request is tried elsewhere as any other, and the cookie is replaced.
    Move,
}

/// Which of several backends of a route a client with a session gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CanaryAffinity {
    /// The one that served it before.
    #[default]
    Sticky,
    /// Chance decides at each request.
    Legacy,
}

/// The cookie of a session (RFC 6265), which always has HttpOnly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionCookie {
    /// Its name.
    pub name: String,
    /// Path; none: that of the route, so that two routes do not take each other's cookie away. A route by regular
    /// expression has `/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Domain; none: the host that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Max-Age, in whole seconds. Without it and `expires`: until the browser ends.
    #[serde(
        with = "crate::duration::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub max_age: Option<Duration>,
    /// Expires: so long after it is made, in whole seconds. Browsers that know `max_age` go by that (RFC 6265 5.3).
    #[serde(
        with = "crate::duration::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub expires: Option<Duration>,
    /// SameSite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_site: Option<SameSite>,
    /// Secure.
    #[serde(skip_serializing_if = "is_default")]
    pub secure: Secure,
    /// Partitioned (CHIPS).
    #[serde(skip_serializing_if = "is_default")]
    pub partitioned: bool,
}

/// SameSite of a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SameSite {
    /// Sent from everywhere.
    None,
    /// The same, but left out for browsers that take it for `Strict` or refuse the cookie.
    NoneIfUnderstood,
    /// Sent with top-level navigation.
    Lax,
    /// Sent from the site itself only.
    Strict,
}

/// Secure of a cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Secure {
    /// If the client came over HTTPS.
    #[default]
    WhenHttps,
    /// Yes.
    Always,
    /// No.
    Never,
}

/// More endpoints to a key than this are no affinity any more.
const SUBSET_MAX: u32 = 64;

impl Default for SessionCookie {
    fn default() -> Self {
        Self {
            name: "INGRESSCOOKIE".to_owned(),
            path: None,
            domain: None,
            max_age: None,
            expires: None,
            same_site: None,
            secure: Secure::default(),
            partitioned: false,
        }
    }
}

impl Balance {
    pub(crate) fn is_default(&self) -> bool {
        is_default(self)
    }

    /// The first field that cannot be served, with the reason.
    ///
    /// # Errors
    /// Both.
    pub fn validate(&self) -> Result<(), (String, String)> {
        if let Algorithm::Hash(hash) = &self.algorithm {
            hash.validate()
                .map_err(|(field, why)| (format!("algorithm.hash.{field}"), why))?;
        }
        match &self.affinity {
            Some(affinity) => affinity
                .cookie
                .validate()
                .map_err(|(field, why)| (format!("affinity.cookie.{field}"), why)),
            None => Ok(()),
        }
    }
}

impl Hash {
    fn validate(&self) -> Result<(), (&'static str, String)> {
        key::validate(&self.by).map_err(|why| ("by", why))?;
        match self.subset {
            Some(size) if !(1..=SUBSET_MAX).contains(&size) => {
                Err(("subset", format!("{size} is not from 1 to {SUBSET_MAX}")))
            }
            _ => Ok(()),
        }
    }
}

impl SessionCookie {
    /// RFC 6265 4.1.1.
    ///
    /// # Errors
    /// The first field that no cookie can have, with the reason.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        if !is_token(&self.name) {
            let why = format!(
                "{:?} is not the name of a cookie (RFC 6265 4.1.1)",
                self.name
            );
            return Err(("name", why));
        }
        let visible = |b: u8| b.is_ascii_graphic() && b != b';';
        let wrong = |path: &&String| !path.starts_with('/') || !path.bytes().all(visible);
        if let Some(path) = self.path.as_ref().filter(wrong) {
            let why = format!("{path:?} must begin with '/' and hold no ';'");
            return Err(("path", why));
        }
        match &self.domain {
            Some(domain) if domain.contains([':', '[']) || !is_authority(domain) => {
                Err(("domain", format!("{domain:?} is not a host name")))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Balance)) -> String {
        let mut balance = Balance {
            affinity: Some(Affinity::default()),
            ..Balance::default()
        };
        assert_eq!(balance.validate(), Ok(()));
        change(&mut balance);
        let (field, why) = balance.validate().expect_err("it cannot be served");
        format!("{field}: {why}")
    }

    #[test]
    fn what_cannot_be_served_is_named_by_its_field() {
        let hash = |by: Vec<KeyPart>, subset| {
            refused(|balance| balance.algorithm = Algorithm::Hash(Hash { by, subset }))
        };
        for (found, begins) in [
            (hash(Vec::new(), None), "algorithm.hash.by: "),
            (
                hash(vec![KeyPart::Text("x".into())], None),
                "algorithm.hash.by: ",
            ),
            (
                hash(vec![KeyPart::Header("X-A".into())], None),
                "algorithm.hash.by: ",
            ),
            (
                hash(vec![KeyPart::Cookie("a b".into())], None),
                "algorithm.hash.by: ",
            ),
            (
                hash(vec![KeyPart::Host], Some(0)),
                "algorithm.hash.subset: ",
            ),
            (
                hash(vec![KeyPart::Host], Some(65)),
                "algorithm.hash.subset: ",
            ),
        ] {
            assert!(found.starts_with(begins), "{found}");
        }
        let cookie = |change: fn(&mut SessionCookie)| {
            refused(|balance| change(&mut balance.affinity.as_mut().expect("set above").cookie))
        };
        for (found, begins) in [
            (cookie(|c| c.name = "a;b".into()), "affinity.cookie.name: "),
            (
                cookie(|c| c.path = Some("shop".into())),
                "affinity.cookie.path: ",
            ),
            (
                cookie(|c| c.path = Some("/a;Secure".into())),
                "affinity.cookie.path: ",
            ),
            (
                cookie(|c| c.domain = Some("a b".into())),
                "affinity.cookie.domain: ",
            ),
        ] {
            assert!(found.starts_with(begins), "{found}");
        }
    }
}
