//! TLS towards endpoints: what each backend that wants it is spoken to with.

use super::authorities::{self, are_same};
use super::trust::{self, Named, Unchecked};
use super::{Certificates, Trusted};
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use rustls::pki_types::{IpAddr, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, SignatureScheme};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use tidegate_model::{Backend, BackendId, BackendTls, Protocol, Snapshot, Verify};
use tokio_rustls::TlsConnector;

/// How all backends are spoken to that want TLS. Immutable; what did not change is shared with the one before, and so
/// are its sessions and the connections made with it.
#[derive(Debug, Default)]
pub struct Outgoing {
    by_backend: BTreeMap<BackendId, Arc<BackendSecurity>>,
}

/// How the endpoints of a backend are spoken to.
#[derive(Debug)]
pub(crate) struct BackendSecurity {
    /// Tells its connections from others to the same address. Never zero, and never used again.
    id: u64,
    made_of: MadeOf,
    /// Why there is none: then no endpoint can be asked.
    config: Result<Arc<ClientConfig>, String>,
    name: Option<ServerName<'static>>,
    last_failure: Mutex<Option<String>>,
}

/// All that a configuration depends on.
#[derive(Clone, Debug)]
struct MadeOf {
    tls: BackendTls,
    protocol: Protocol,
    key: Option<Arc<CertifiedKey>>,
    anchors: authorities::Named,
}

impl Outgoing {
    /// Reads what `snapshot` says and `previous` does not.
    pub(crate) fn compile(
        snapshot: &Snapshot,
        certificates: &Certificates,
        trusted: &Trusted,
        previous: Option<&Self>,
    ) -> Self {
        let mut all = Self::default();
        for (id, backend) in &snapshot.backends {
            let Some(tls) = &backend.tls else { continue };
            let made_of = MadeOf::new(tls, backend, certificates, trusted);
            let known = previous.and_then(|p| p.by_backend.get(id));
            let security = match known.filter(|known| known.made_of.is_as(&made_of)) {
                Some(known) => Arc::clone(known),
                None => Arc::new(BackendSecurity::new(made_of)),
            };
            all.by_backend.insert(id.clone(), security);
        }
        all
    }

    /// How a backend is spoken to; `None` without TLS.
    pub(crate) fn of(&self, id: &BackendId) -> Option<&Arc<BackendSecurity>> {
        self.by_backend.get(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&BackendId, &Arc<BackendSecurity>)> {
        self.by_backend.iter()
    }
}

impl MadeOf {
    fn new(
        tls: &BackendTls,
        backend: &Backend,
        certificates: &Certificates,
        trusted: &Trusted,
    ) -> Self {
        let certificate = tls.certificate.as_ref();
        let authorities = tls.verify.authorities();
        Self {
            tls: tls.clone(),
            protocol: backend.protocol,
            key: certificate.and_then(|id| certificates.key(id)).cloned(),
            anchors: authorities.map(|id| trusted.get(id).cloned()),
        }
    }

    fn is_as(&self, other: &Self) -> bool {
        let same_key = match (&self.key, &other.key) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let same_anchors = are_same(&self.anchors, &other.anchors);
        same_key && same_anchors && self.tls == other.tls && self.protocol == other.protocol
    }

    fn config(&self) -> Result<ClientConfig, String> {
        let text = |error: &dyn std::error::Error| error.to_string();
        let provider = trust::provider(&self.tls.rules);
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&trust::versions(&self.tls.rules))
            .map_err(|error| text(&error))?
            .dangerous();
        let builder = match &self.tls.verify {
            Verify::Nothing => {
                builder.with_custom_certificate_verifier(Arc::new(Unchecked { provider }))
            }
            Verify::By { name, depth, .. } => {
                let anchors = self.anchors.as_ref().ok_or("there are no authorities")?;
                let roots = Arc::clone(&anchors.as_ref().map_err(String::clone)?.roots);
                let inner =
                    WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
                        .build()
                        .map_err(|error| text(&error))?;
                builder.with_custom_certificate_verifier(Arc::new(Named {
                    inner,
                    provider,
                    name: server_name(name)?,
                    depth: *depth,
                }))
            }
        };
        let mut config = match (&self.tls.certificate, &self.key) {
            (None, _) => builder.with_no_client_auth(),
            (Some(_), Some(key)) => {
                builder.with_client_cert_resolver(Arc::new(Shown(Arc::clone(key))))
            }
            (Some(id), None) => return Err(format!("certificate {id} cannot be shown")),
        };
        config.enable_sni = self.tls.server_name.is_some();
        config.alpn_protocols = match self.protocol {
            Protocol::Http1 => vec![b"http/1.1".to_vec()],
            Protocol::Http2 => vec![b"h2".to_vec()],
        };
        Ok(config)
    }
}

impl BackendSecurity {
    fn new(made_of: MadeOf) -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let name = made_of.tls.server_name.as_deref().map(server_name);
        let name = name.transpose();
        let config = name.clone().and_then(|_| made_of.config()).map(Arc::new);
        Self {
            id: LAST.fetch_add(1, Relaxed) + 1,
            made_of,
            last_failure: Mutex::new(config.as_ref().err().cloned()),
            config,
            name: name.unwrap_or_default(),
        }
    }

    /// Tells its connections from others to the same address; never zero.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// What a handshake with the endpoint at `address` needs.
    ///
    /// # Errors
    /// What the snapshot says cannot be used; it was reported when it came.
    pub(crate) fn connector(
        &self,
        address: SocketAddr,
    ) -> io::Result<(TlsConnector, ServerName<'static>)> {
        let config = self.config.as_ref();
        let config = config.map_err(|why| io::Error::other(why.as_str()))?;
        let connector = TlsConnector::from(Arc::clone(config));
        // Without a name sessions are remembered by address.
        let name = self.name.clone();
        let by_address = || ServerName::IpAddress(IpAddr::from(address.ip()));
        Ok((connector, name.unwrap_or_else(by_address)))
    }

    /// Why it cannot be used at all.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.config.as_ref().err().map(String::as_str)
    }

    /// A handshake has failed.
    pub(crate) fn failed(&self, endpoint: SocketAddr, error: &io::Error) {
        let text = format!("{endpoint}: {error}");
        tracing::debug!(error = text, "TLS handshake with an endpoint failed");
        let mut last = self
            .last_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *last = Some(text);
    }

    /// Why the last handshake that failed has failed.
    pub(crate) fn last_failure(&self) -> Option<String> {
        let last = self.last_failure.lock();
        last.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A host name or an address.
fn server_name(name: &str) -> Result<ServerName<'static>, String> {
    let parsed = ServerName::try_from(name.to_owned());
    parsed.map_err(|_| format!("{name:?} is not a host name"))
}

/// Shows one certificate to whoever asks.
#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        // One that the endpoint cannot check is not shown.
        self.0.key.choose_scheme(schemes)?;
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
