//! How much may be asked.

use crate::Cidr;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::time::Duration;

/// Requests to one route, counted by each gateway for itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// So many requests ...
    pub requests: u32,
    /// ... in this time, evenly ...
    #[serde(with = "crate::duration")]
    pub per: Duration,
    /// ... and so many at once after a pause; at least 1.
    pub burst: u32,
    /// Whose requests are counted together.
    #[serde(default, skip_serializing_if = "LimitBy::is_client")]
    pub by: LimitBy,
    /// What a client is told that asks for more: 429, or 503 as ingress-nginx does.
    #[serde(default = "too_many_requests")]
    pub status: u16,
    /// Clients that are not counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exempt: Vec<Cidr>,
}

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LimitBy {
    /// Those of one client address.
    #[default]
    Client,
    /// All of the route.
    Route,
}

impl LimitBy {
    fn is_client(&self) -> bool {
        *self == Self::Client
    }
}

impl RateLimit {
    /// The first field that cannot be served, with the reason.
    pub(crate) fn validate(&self) -> Result<(), (&'static str, String)> {
        if self.requests == 0 || self.burst == 0 || self.per.is_zero() {
            let reason = "requests, per and burst must be more than zero";
            return Err(("rate_limit", reason.to_owned()));
        }
        match self.status {
            400..=599 => Ok(()),
            status => Err(("rate_limit.status", format!("{status} is no error"))),
        }
    }
}

fn too_many_requests() -> u16 {
    429
}

/// One limit is written without a list around it.
pub(crate) fn serialize<S: Serializer>(limits: &[RateLimit], to: S) -> Result<S::Ok, S::Error> {
    match limits {
        [one] => one.serialize(to),
        several => several.serialize(to),
    }
}

/// One limit, or a list of them.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<RateLimit>, D::Error> {
    from.deserialize_any(OneOrMore)
}

struct OneOrMore;

impl<'de> Visitor<'de> for OneOrMore {
    type Value = Vec<RateLimit>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a limit or a list of limits")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        RateLimit::deserialize(MapAccessDeserializer::new(map)).map(|one| vec![one])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq))
    }
}
