//! A Secret of type `kubernetes.io/tls`, looked into once.

use k8s_openapi::api::core::v1::Secret;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use tidegate_model::{Authorities, Certificate, HostPattern, PrivateKey, SharedPart};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The key of a Secret's data that holds certificates of authorities.
pub(crate) const AUTHORITIES: &str = "ca.crt";

/// What a Secret means for gateways. Looking into one checks a key, which costs far more than all else of a
/// pass: whoever calls [`TlsSecret::read`] keeps the result for as long as the Secret does not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSecret {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The names that the certificate is for, in lower case.
    pub names: Vec<String>,
    /// What `tls.crt` and `tls.key` hold, if both are there.
    pub certificate: Option<SharedPart<Certificate>>,
    /// Why that cannot be used.
    pub problem: Option<String>,
    /// What `ca.crt` holds, if it is there, or why it cannot be used.
    pub authorities: Option<Result<SharedPart<Authorities>, String>>,
}

impl TlsSecret {
    /// Looks into a Secret: the texts, whether they can be read, whether the key is the certificate's.
    pub fn read(secret: &Secret) -> Self {
        let mut read = Self {
            namespace: secret.metadata.namespace.clone().unwrap_or_default(),
            name: secret.metadata.name.clone().unwrap_or_default(),
            names: Vec::new(),
            certificate: None,
            problem: None,
            authorities: None,
        };
        let text = |key: &str| {
            let bytes = secret.data.as_ref().and_then(|data| data.get(key));
            let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned());
            text.ok_or_else(|| format!("data[{key}] is missing"))
        };
        read.authorities = text(AUTHORITIES).ok().map(check_authorities);
        let found = text("tls.crt").and_then(|chain| Ok((chain, text("tls.key")?)));
        let (chain, key) = match found {
            Ok(found) => found,
            Err(problem) => {
                read.problem = Some(problem);
                return read;
            }
        };
        match check(&chain, &key) {
            Ok(names) => read.names = names,
            Err(problem) => read.problem = Some(problem),
        }
        let key = PrivateKey(key);
        read.certificate = Some(Certificate { chain, key }.into());
        read
    }

    /// Whether it holds certificates of authorities and was never meant to hold another.
    pub(crate) fn is_bundle(&self) -> bool {
        self.certificate.is_none() && self.authorities.is_some()
    }

    /// Whether clients accept it for all hosts of `pattern`: an exact name, or a wildcard of one label (RFC 6125
    /// 6.4.3). There is no name for any host at all.
    pub(crate) fn covers(&self, pattern: &HostPattern) -> bool {
        let wildcard_of = |suffix: &str| {
            let mut names = self.names.iter().filter_map(|name| name.strip_prefix("*."));
            names.any(|name| name == suffix)
        };
        match pattern {
            HostPattern::Any => true,
            HostPattern::Wildcard(suffix) => wildcard_of(suffix),
            HostPattern::Exact(host) => {
                let parent = host.split_once('.').map(|(_, parent)| parent);
                self.names.iter().any(|name| **name == **host) || parent.is_some_and(wildcard_of)
            }
        }
    }
}

/// Whether all of them can be read, and there is one.
fn check_authorities(pem: String) -> Result<SharedPart<Authorities>, String> {
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        X509Certificate::from_der(&certificate).map_err(|error| error.to_string())?;
        count += 1;
    }
    match count {
        0 => Err("it holds no certificate in PEM form".to_owned()),
        _ => Ok(Authorities(pem).into()),
    }
}

/// The names of the certificate.
fn check(chain: &str, key: &str) -> Result<Vec<String>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain.as_bytes()).collect();
    let chain = chain.map_err(|error| format!("data[tls.crt]: {error}"))?;
    let first = chain
        .first()
        .ok_or("data[tls.crt] holds no certificate in PEM form")?;
    let (_, parsed) =
        X509Certificate::from_der(first).map_err(|error| format!("data[tls.crt]: {error}"))?;
    let alternatives = parsed.subject_alternative_name().ok().flatten();
    let general = alternatives.map(|found| found.value.general_names.as_slice());
    let dns = general.into_iter().flatten().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    let names = dns.collect();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|error| format!("data[tls.key]: {error}"))?;
    CertifiedKey::from_der(chain, key, &default_provider())
        .map_err(|error| format!("data[tls.key] is not the key of data[tls.crt]: {error}"))?;
    Ok(names)
}
