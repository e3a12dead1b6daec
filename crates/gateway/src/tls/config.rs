//! The rules of a handshake.

use crate::state::Shared;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, version};
use std::sync::Arc;

/// What all TLS listeners of a gateway handshake with.
///
/// # Errors
/// The crypto library refuses its own defaults: there is no randomness to be had.
pub(crate) fn server_config(shared: &Arc<Shared>) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Resolver(Arc::clone(shared))));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = Ticketer::new()?;
    // One ticket is enough for clients that keep connections; each costs bytes in every handshake.
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

/// Takes the certificate out of the table in use at the moment of the handshake.
#[derive(Debug)]
struct Resolver(Arc<Shared>);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let table = self.0.table.load();
        table.certificates().find(hello.server_name())
    }
}
