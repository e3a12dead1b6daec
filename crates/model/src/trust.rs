//! TLS beyond the gateway's own certificates: what it asks of endpoints and of clients.

use crate::{CertificateId, Pattern};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The certificates of authorities, as PEM text that was not looked into: one at least.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Authorities(pub String);

/// Endpoints are spoken to in TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackendTls {
    /// What their certificates are checked for. There is no default: that nothing is checked has to be said.
    pub verify: Verify,
    /// The name they are told (RFC 6066 3), a host name. They are told none without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// What the gateway shows when it is asked for a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateId>,
    /// Versions and ciphers.
    #[serde(default, skip_serializing_if = "TlsRules::is_default")]
    pub rules: TlsRules,
}

/// What the certificate of an endpoint is checked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Verify {
    /// Nothing: whoever can take an endpoint's address can read what is sent to it.
    Nothing,
    /// It comes from one of these authorities and is for this name.
    By {
        /// Who signs; a name of the snapshot's `authorities`.
        authorities: CertificateId,
        /// A host name (RFC 9525), or an address.
        name: String,
        /// Certificates between the endpoint's and an authority's, at most.
        #[serde(default = "default_depth")]
        depth: u8,
    },
}

/// How clients shake hands that ask for a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Handshake {
    /// Versions and ciphers.
    #[serde(skip_serializing_if = "TlsRules::is_default")]
    pub rules: TlsRules,
    /// Clients are asked for a certificate, and told that it should come from one of these authorities. Whether it
    /// does, and whether it is needed, is what routes say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorities: Option<CertificateId>,
}

/// Clients prove who they are by a certificate. The backend is told what came of it in `ssl-client-verify` (`SUCCESS`,
/// `FAILED:` with the reason, `NONE`), `ssl-client-subject-dn` and `ssl-client-issuer-dn` (RFC 4514); what clients say in
/// these headers themselves is dropped. A connection that was not asked for a certificate is answered 421 (RFC 9110
/// 15.5.20), one without TLS 403 where a certificate is required.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificate {
    /// Who must have signed it; a name of the snapshot's `authorities`. If they cannot be read nobody has.
    pub authorities: CertificateId,
    /// Which clients may ask.
    #[serde(default, skip_serializing_if = "CertificateNeed::is_default")]
    pub need: CertificateNeed,
    /// Certificates between the client's and an authority's, at most.
    #[serde(default = "default_depth")]
    pub depth: u8,
    /// Found in one of the subject's common names; others are answered 403.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common_name: Option<Pattern>,
    /// A URL that clients are redirected to (302) in place of the answer 400.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_page: Option<String>,
    /// The backend gets the certificate in `ssl-client-cert`: PEM, percent-encoded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pass_on: bool,
}

/// Which clients may ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CertificateNeed {
    /// Those with a good certificate; others are answered 400.
    #[default]
    Required,
    /// Those without one too. One that is not good is answered 400.
    Optional,
    /// Everybody: the backend decides.
    Any,
}

/// Who may shake hands, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsRules {
    /// The lowest version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_version: Option<TlsVersion>,
    /// The highest version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_version: Option<TlsVersion>,
    /// Which of the cipher suites of TLS 1.2 may be used; empty: all of them. Those of TLS 1.3 may always.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub ciphers: BTreeSet<CipherSuite>,
}

/// A version of TLS that the gateway speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TlsVersion {
    /// RFC 5246.
    #[serde(rename = "1.2")]
    V1_2,
    /// RFC 8446.
    #[serde(rename = "1.3")]
    V1_3,
}

/// A cipher suite of TLS 1.2 that the gateway speaks, by OpenSSL's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs)] // The names say what they are.
pub enum CipherSuite {
    #[serde(rename = "ECDHE-ECDSA-AES128-GCM-SHA256")]
    EcdsaAes128,
    #[serde(rename = "ECDHE-ECDSA-AES256-GCM-SHA384")]
    EcdsaAes256,
    #[serde(rename = "ECDHE-ECDSA-CHACHA20-POLY1305")]
    EcdsaChacha20,
    #[serde(rename = "ECDHE-RSA-AES128-GCM-SHA256")]
    RsaAes128,
    #[serde(rename = "ECDHE-RSA-AES256-GCM-SHA384")]
    RsaAes256,
    #[serde(rename = "ECDHE-RSA-CHACHA20-POLY1305")]
    RsaChacha20,
}

/// As ingress-nginx: one certificate between.
fn default_depth() -> u8 {
    1
}

impl CipherSuite {
    /// All there are.
    pub const ALL: [Self; 6] = [
        Self::EcdsaAes128,
        Self::EcdsaAes256,
        Self::EcdsaChacha20,
        Self::RsaAes128,
        Self::RsaAes256,
        Self::RsaChacha20,
    ];

    /// OpenSSL's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EcdsaAes128 => "ECDHE-ECDSA-AES128-GCM-SHA256",
            Self::EcdsaAes256 => "ECDHE-ECDSA-AES256-GCM-SHA384",
            Self::EcdsaChacha20 => "ECDHE-ECDSA-CHACHA20-POLY1305",
            Self::RsaAes128 => "ECDHE-RSA-AES128-GCM-SHA256",
            Self::RsaAes256 => "ECDHE-RSA-AES256-GCM-SHA384",
            Self::RsaChacha20 => "ECDHE-RSA-CHACHA20-POLY1305",
        }
    }
}

impl CertificateNeed {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl ClientCertificate {
    /// What came of looking at the certificate.
    pub const VERIFY: &str = "ssl-client-verify";
    /// Whom it is for.
    pub const SUBJECT: &str = "ssl-client-subject-dn";
    /// Who has signed it.
    pub const ISSUER: &str = "ssl-client-issuer-dn";
    /// The certificate itself.
    pub const CERTIFICATE: &str = "ssl-client-cert";
    /// Headers that only the gateway says.
    pub const HEADERS: [&str; 4] = [Self::VERIFY, Self::SUBJECT, Self::ISSUER, Self::CERTIFICATE];

    /// The first field that cannot be served, with the reason.
    pub(crate) fn validate(&self) -> Result<(), (&'static str, String)> {
        let wrong =
            |url: &&String| !url.contains("://") || !url.bytes().all(|b| b.is_ascii_graphic());
        match self.error_page.as_ref().filter(wrong) {
            Some(url) => Err(("error_page", format!("{url:?} is not a URL"))),
            None => Ok(()),
        }
    }
}

impl TlsRules {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a version may be spoken.
    pub fn allows(&self, version: TlsVersion) -> bool {
        self.min_version.is_none_or(|min| min <= version)
            && self.max_version.is_none_or(|max| version <= max)
    }

    /// The first field that cannot be served, with the reason.
    ///
    /// # Errors
    /// That field and the reason.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        match [TlsVersion::V1_2, TlsVersion::V1_3]
            .into_iter()
            .any(|version| self.allows(version))
        {
            true => Ok(()),
            false => Err((
                "rules.min_version",
                "it is above max_version: nobody could connect".to_owned(),
            )),
        }
    }
}

impl BackendTls {
    /// The first field that cannot be served, with the reason. That names are known is checked by the snapshot.
    ///
    /// # Errors
    /// That field and the reason.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        let names = [
            ("server_name", self.server_name.as_deref()),
            ("verify.by.name", self.verify.name()),
        ];
        for (field, name) in names {
            let host = |name: &str| {
                !name.is_empty()
                    && name.len() <= 253
                    && name
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b))
            };
            if let Some(name) = name.filter(|name| !host(name)) {
                return Err((field, format!("{name:?} is not a host name")));
            }
        }
        self.rules.validate()
    }
}

impl Verify {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Nothing => None,
            Self::By { name, .. } => Some(name),
        }
    }

    /// Who signs.
    pub fn authorities(&self) -> Option<&CertificateId> {
        match self {
            Self::Nothing => None,
            Self::By { authorities, .. } => Some(authorities),
        }
    }
}
