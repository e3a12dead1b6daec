//! Certificates by the name that a client asks for.

use super::by_host::narrowest;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tidegate_model::{Certificate, CertificateId, HostPattern, SharedPart, Snapshot};
use x509_parser::prelude::{FromDer, X509Certificate};

/// What a gateway can show, by host. Immutable; unchanged certificates are shared with the one before.
#[derive(Debug, Default)]
pub struct Certificates {
    loaded: BTreeMap<CertificateId, Loaded>,
    by_host: HashMap<HostPattern, Arc<CertifiedKey>>,
    unusable: Vec<Unusable>,
}

/// A certificate as it is shown.
#[derive(Clone, Debug)]
struct Loaded {
    /// What it was read from.
    text: SharedPart<Certificate>,
    key: Arc<CertifiedKey>,
    /// Seconds since 1970 at which it expires.
    not_after: i64,
}

/// A certificate of the snapshot that cannot be shown. Its predecessor of the same name is shown on, if there is
/// one; otherwise a client that asks for its hosts is refused in the handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// Which.
    pub id: CertificateId,
    /// Why.
    pub reason: String,
}

impl Certificates {
    /// Reads what `snapshot` holds and `previous` does not.
    pub(crate) fn compile(snapshot: &Snapshot, previous: Option<&Self>) -> Self {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let mut all = Self::default();
        for (id, text) in &snapshot.certificates {
            let known = previous.and_then(|p| p.loaded.get(id));
            let loaded = match known.filter(|known| known.text == *text) {
                Some(known) => Ok(known.clone()),
                None => load(text, &provider),
            };
            match (loaded, known) {
                (Ok(loaded), _) => {
                    all.loaded.insert(id.clone(), loaded);
                }
                (Err(reason), known) => {
                    all.unusable.push(Unusable {
                        id: id.clone(),
                        reason,
                    });
                    if let Some(known) = known {
                        all.loaded.insert(id.clone(), known.clone());
                    }
                }
            }
        }
        for (host, id) in &snapshot.tls {
            if let Some(loaded) = all.loaded.get(id) {
                all.by_host.insert(host.clone(), Arc::clone(&loaded.key));
            }
        }
        all
    }

    /// What a client sees that asks for `name`, or for none (RFC 6066 3): an exact name before a wildcard, which
    /// stands for one label, before the default.
    pub(crate) fn find(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        narrowest(&self.by_host, name, |_| false).cloned()
    }

    /// Whether this very host has one.
    pub(super) fn has(&self, host: &HostPattern) -> bool {
        self.by_host.contains_key(host)
    }

    /// One by its name.
    pub(super) fn key(&self, id: &CertificateId) -> Option<&Arc<CertifiedKey>> {
        self.loaded.get(id).map(|loaded| &loaded.key)
    }

    /// Those that can be shown, with the second since 1970 at which each expires.
    pub fn expiry(&self) -> impl Iterator<Item = (&CertificateId, i64)> {
        self.loaded.iter().map(|(id, c)| (id, c.not_after))
    }

    /// Those of the snapshot that cannot be shown.
    pub fn unusable(&self) -> &[Unusable] {
        &self.unusable
    }
}

fn load(text: &SharedPart<Certificate>, provider: &CryptoProvider) -> Result<Loaded, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.chain.as_bytes()).collect();
    let chain = chain.map_err(|error| format!("chain: {error}"))?;
    let first = chain.first().ok_or("chain: it holds no certificate")?;
    let (_, parsed) =
        X509Certificate::from_der(first).map_err(|error| format!("chain: {error}"))?;
    let not_after = parsed.validity().not_after.timestamp();
    let key = PrivateKeyDer::from_pem_slice(text.key.0.as_bytes())
        .map_err(|error| format!("key: {error}"))?;
    let key = CertifiedKey::from_der(chain, key, provider)
        .map_err(|error| format!("key: it does not serve the certificate: {error}"))?;
    Ok(Loaded {
        text: text.clone(),
        key: Arc::new(key),
        not_after,
    })
}
