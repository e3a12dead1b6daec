//! Names and counters. One newtype each, so that no bare string crosses a crate; a copy shares the text.

use crate::SharedText;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The name of a member cluster: an RFC 1123 label, at most 63 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClusterName(SharedText);

/// One port of one Service name, merged over all clusters: `namespace/service:port`.
///
/// The port is written as the user wrote it (a number or a port name), because the same name may
/// stand for different numbers in different clusters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BackendId(SharedText);

/// Where a route comes from, for logs and explanations: `namespace/ingress#rule.path`. May be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RouteId(pub String);

/// The order of snapshots: a receiver never replaces a newer one by an older one.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Generation(pub u64);

/// A name that could not be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidName {
    /// What the name was meant for.
    pub what: &'static str,
    /// The name as it came.
    pub name: String,
    /// Why it is refused.
    pub reason: &'static str,
}

impl ClusterName {
    /// Checks that `name` is an RFC 1123 label.
    ///
    /// # Errors
    /// [`InvalidName`] says which rule is broken.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidName> {
        let name = name.into();
        match check_label(&name) {
            Ok(()) => Ok(Self(name.into())),
            Err(reason) => Err(InvalidName {
                what: "cluster",
                name,
                reason,
            }),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl BackendId {
    /// Joins the three parts, each of which must not be empty nor hold `/`, `:` or white space.
    ///
    /// # Errors
    /// [`InvalidName`] says which rule is broken.
    pub fn new(namespace: &str, service: &str, port: &str) -> Result<Self, InvalidName> {
        Self::try_from(format!("{namespace}/{service}:{port}"))
    }

    /// The identifier as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check_label(name: &str) -> Result<(), &'static str> {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    match name.as_bytes() {
        [] => Err("it is empty"),
        bytes if bytes.len() > 63 => Err("it is longer than 63 characters"),
        bytes if !bytes.iter().all(|b| alphanumeric(*b) || *b == b'-') => {
            Err("only lower-case letters, digits and '-' are allowed")
        }
        [first, ..] if !alphanumeric(*first) => Err("it must begin with a letter or digit"),
        [.., last] if !alphanumeric(*last) => Err("it must end with a letter or digit"),
        _ => Ok(()),
    }
}

impl TryFrom<String> for ClusterName {
    type Error = InvalidName;

    fn try_from(name: String) -> Result<Self, InvalidName> {
        Self::new(name)
    }
}

impl TryFrom<String> for BackendId {
    type Error = InvalidName;

    fn try_from(name: String) -> Result<Self, InvalidName> {
        let part_ok = |part: &str| {
            !part.is_empty()
                && !part
                    .bytes()
                    .any(|b| matches!(b, b'/' | b':') || !b.is_ascii_graphic())
        };
        let parts = name
            .split_once('/')
            .and_then(|(namespace, rest)| Some((namespace, rest.split_once(':')?)));
        match parts {
            Some((namespace, (service, port)))
                if part_ok(namespace) && part_ok(service) && part_ok(port) =>
            {
                Ok(Self(name.into()))
            }
            _ => Err(InvalidName {
                what: "backend",
                name,
                reason: "it must read namespace/service:port",
            }),
        }
    }
}

impl From<ClusterName> for String {
    fn from(name: ClusterName) -> Self {
        name.0.to_string()
    }
}

impl From<BackendId> for String {
    fn from(id: BackendId) -> Self {
        id.0.to_string()
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for BackendId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for RouteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Generation {
    /// The generation after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} name {:?} is not valid: {}",
            self.what, self.name, self.reason
        )
    }
}

impl std::error::Error for InvalidName {}
