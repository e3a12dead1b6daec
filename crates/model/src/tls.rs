//! Certificates that the gateway shows to clients.

use crate::{InvalidName, SharedText};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Names a certificate: `namespace/secret` where it comes from a Secret. Graphic ASCII, not empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CertificateId(SharedText);

/// A certificate with its chain and its key, as PEM text. Whether they fit together is checked by who reads
/// them: this is text that was not looked into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The certificate itself, then those that signed it.
    pub chain: String,
    /// Its private key: PKCS #8, PKCS #1 or SEC1.
    pub key: PrivateKey,
}

/// A private key as PEM text. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrivateKey(pub String);

impl CertificateId {
    /// Checks that `name` is not empty and of graphic ASCII.
    ///
    /// # Errors
    /// [`InvalidName`] says which rule is broken.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidName> {
        let name = name.into();
        let reason = match name.bytes().all(|b| b.is_ascii_graphic()) {
            _ if name.is_empty() => "it is empty",
            true => return Ok(Self(name.into())),
            false => "only graphic ASCII characters are allowed",
        };
        Err(InvalidName {
            what: "certificate",
            name,
            reason,
        })
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for CertificateId {
    type Error = InvalidName;

    fn try_from(name: String) -> Result<Self, InvalidName> {
        Self::new(name)
    }
}

impl From<CertificateId> for String {
    fn from(id: CertificateId) -> Self {
        id.0.to_string()
    }
}

impl fmt::Display for CertificateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}
