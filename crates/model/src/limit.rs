//! How much may be asked.

use crate::filter::{is_default, is_web_url};
use crate::{Cidr, KeyPart, key};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{DeserializeOwned, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// Requests to one route in a time.
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
    #[serde(default, skip_serializing_if = "is_default")]
    pub by: LimitBy,
    /// Whose they are to count.
    #[serde(default, skip_serializing_if = "is_default")]
    pub of: LimitOf,
    /// What a client is told that asks for more.
    #[serde(default, skip_serializing_if = "is_default")]
    pub over: OverLimit,
    /// Clients that are not counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exempt: Vec<Cidr>,
}

/// Requests to one route under way at the same time; a WebSocket counts until it is closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConcurrencyLimit {
    /// So many; at least 1.
    pub requests: u32,
    /// Whose requests are counted together.
    #[serde(default, skip_serializing_if = "is_default")]
    pub by: LimitBy,
    /// Whose they are to count.
    #[serde(default, skip_serializing_if = "is_default")]
    pub of: LimitOf,
    /// What a client is told that asks for more.
    #[serde(default, skip_serializing_if = "is_default")]
    pub over: OverLimit,
    /// Clients that are not counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exempt: Vec<Cidr>,
}

/// Whose requests are counted together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LimitBy {
    /// Those of one client address.
    #[default]
    Client,
    /// All of the route.
    Route,
    /// Those with equal keys, made of these parts one after the other. A request that has none of them is counted by its
    /// client's address.
    Key(Vec<KeyPart>),
}

/// What a limit is a limit of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LimitOf {
    /// Each gateway counts for itself.
    #[default]
    Gateway,
    /// All gateways together: each lets its even part through ([`crate::Settings::gateways`]), and at least one.
    Fleet,
}

/// What a client is told that asks for too much.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OverLimit {
    /// The status: an error.
    pub status: u16,
    /// The body; without it, a line of text that says why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// What the body is (`Content-Type`).
    #[serde(skip_serializing_if = "is_plain_text")]
    pub content_type: String,
    /// It is sent to this URL with 302 in place of all that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect: Option<String>,
}

const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

fn is_plain_text(content_type: &str) -> bool {
    content_type == PLAIN_TEXT
}

impl Default for OverLimit {
    fn default() -> Self {
        Self {
            status: 429,
            body: None,
            content_type: PLAIN_TEXT.to_owned(),
            redirect: None,
        }
    }
}

/// A body is part of every snapshot.
const BODY_MAX: usize = 16 * 1024;

impl RateLimit {
    /// The first field that cannot be served, with the reason.
    pub(crate) fn validate(&self) -> Result<(), (&'static str, String)> {
        if self.requests == 0 || self.burst == 0 || self.per.is_zero() {
            let reason = "requests, per and burst must be more than zero";
            return Err(("", reason.to_owned()));
        }
        self.by.validate()?;
        self.over.validate()
    }
}

impl ConcurrencyLimit {
    /// The first field that cannot be served, with the reason.
    pub(crate) fn validate(&self) -> Result<(), (&'static str, String)> {
        if self.requests == 0 {
            return Err((".requests", "it must be more than zero".to_owned()));
        }
        self.by.validate()?;
        self.over.validate()
    }
}

impl LimitBy {
    fn validate(&self) -> Result<(), (&'static str, String)> {
        let Self::Key(parts) = self else {
            return Ok(());
        };
        key::validate(parts).map_err(|reason| (".by.key", reason))
    }
}

impl OverLimit {
    fn validate(&self) -> Result<(), (&'static str, String)> {
        if !matches!(self.status, 400..=599) {
            let reason = format!("{} is no error", self.status);
            return Err((".over.status", reason));
        }
        if self.body.as_ref().is_some_and(|b| b.len() > BODY_MAX) {
            let reason = format!("it is longer than {BODY_MAX} bytes");
            return Err((".over.body", reason));
        }
        if !self
            .content_type
            .bytes()
            .all(|b| (b' '..=b'~').contains(&b))
        {
            let reason = "it must be visible ASCII";
            return Err((".over.content_type", reason.to_owned()));
        }
        match &self.redirect {
            Some(url) if !is_web_url(url) => {
                let reason = format!("{url:?} is no URL that begins with http:// or https://");
                Err((".over.redirect", reason))
            }
            _ => Ok(()),
        }
    }
}

/// One limit is written without a list around it.
pub(crate) fn serialize<T: Serialize, S: Serializer>(
    limits: &[T],
    to: S,
) -> Result<S::Ok, S::Error> {
    match limits {
        [one] => one.serialize(to),
        several => several.serialize(to),
    }
}

/// One limit, or a list of them.
pub(crate) fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    from.deserialize_any(OneOrMore(PhantomData))
}

struct OneOrMore<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for OneOrMore<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a limit or a list of limits")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|one| vec![one])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq))
    }
}
