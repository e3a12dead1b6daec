//! Host patterns of routes, as Ingress and Gateway API define them.

use crate::SharedText;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Which hosts a set of routes serves.
///
/// Written as `*` (any host), `*.example.com` (exactly one label in place of the star, as Ingress
/// defines it) or `shop.example.com`. Kept in lower case, without a trailing dot. A copy shares the text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HostPattern {
    /// This host.
    Exact(SharedText),
    /// Any host of one label followed by a dot and this suffix.
    Wildcard(SharedText),
    /// Every host; also requests whose host no other pattern matches.
    Any,
}

/// A host pattern that could not be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidHost {
    /// The text as it came.
    pub host: String,
    /// Why it is refused.
    pub reason: &'static str,
}

impl HostPattern {
    /// Reads a pattern; the empty text means any host, as in an Ingress rule without one.
    ///
    /// # Errors
    /// [`InvalidHost`] for anything that is neither a DNS name of at most 253 characters, nor such a
    /// name after `*.`, nor `*`. IP addresses and trailing dots are refused, upper case is folded.
    pub fn parse(text: &str) -> Result<Self, InvalidHost> {
        let refuse = |reason| {
            Err(InvalidHost {
                host: text.to_owned(),
                reason,
            })
        };
        if text.is_empty() || text == "*" {
            return Ok(Self::Any);
        }
        let (wildcard, name) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        if name.contains('*') {
            return refuse("'*' may only stand alone or as the whole first label");
        }
        if text.len() > 253 {
            return refuse("it is longer than 253 characters");
        }
        if name.parse::<std::net::IpAddr>().is_ok() {
            return refuse("an IP address is not a host name");
        }
        let name: SharedText = name.to_ascii_lowercase().into();
        if name.ends_with('.') {
            return refuse("a trailing dot is not allowed");
        }
        if !name.split('.').all(is_dns_label) {
            return refuse(
                "each label must be 1 to 63 letters, digits or '-', and neither begin nor end with '-'",
            );
        }
        Ok(if wildcard {
            Self::Wildcard(name)
        } else {
            Self::Exact(name)
        })
    }

    /// Whether `host` (lower case, without port) is one this pattern serves.
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(name) => **name == *host,
            Self::Wildcard(suffix) => host
                .split_once('.')
                .is_some_and(|(label, rest)| !label.is_empty() && *rest == **suffix),
        }
    }
}

fn is_dns_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || *b == b'-')
        && bytes[0] != b'-'
        && bytes[bytes.len() - 1] != b'-'
}

impl TryFrom<String> for HostPattern {
    type Error = InvalidHost;

    fn try_from(text: String) -> Result<Self, InvalidHost> {
        Self::parse(&text)
    }
}

impl From<HostPattern> for String {
    fn from(pattern: HostPattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(name) => f.write_str(name),
            Self::Wildcard(suffix) => write!(f, "*.{suffix}"),
        }
    }
}

impl fmt::Display for InvalidHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "host {:?} is not valid: {}", self.host, self.reason)
    }
}

impl std::error::Error for InvalidHost {}
