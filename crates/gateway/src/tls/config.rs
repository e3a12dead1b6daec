//! Handshakes with clients.

use super::Presented;
use crate::state::Shared;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::server::{Acceptor as HelloReader, ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, version};
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

/// What all TLS listeners of a gateway shake hands with. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Acceptor {
    usual: Arc<ServerConfig>,
    resolver: Arc<dyn ResolvesServerCert>,
    shared: Arc<Shared>,
}

impl Acceptor {
    /// # Errors
    /// The crypto library refuses its own defaults: there is no randomness to be had.
    pub(crate) fn new(shared: &Arc<Shared>) -> Result<Self, rustls::Error> {
        let resolver: Arc<dyn ResolvesServerCert> = Arc::new(Resolver(Arc::clone(shared)));
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&resolver));
        complete(&mut config)?;
        Ok(Self {
            usual: Arc::new(config),
            resolver,
            shared: Arc::clone(shared),
        })
    }

    /// Shakes hands in the way of the host that the client asks for. Gives the certificate too, if it was asked for
    /// one.
    ///
    /// # Errors
    /// The client breaks the protocol, or there is no version, cipher or certificate for it; it has been told.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<(TlsStream<TcpStream>, Option<Presented>)> {
        let hello = LazyConfigAcceptor::new(HelloReader::default(), stream).await?;
        let own = {
            let table = self.shared.table.load();
            let name = hello.client_hello().server_name().map(str::to_owned);
            let found = table
                .handshakes()
                .find(name.as_deref(), table.certificates());
            found.cloned()
        };
        let Some(own) = own else {
            let stream = hello.into_stream(Arc::clone(&self.usual)).await?;
            return Ok((stream, None));
        };
        let config = own.config(&self.resolver).map_err(io::Error::other)?;
        let stream = hello.into_stream(config).await?;
        let presented = own.asks().then(|| Presented::of(stream.get_ref().1));
        Ok((stream, presented))
    }
}

/// What is the same for all hosts.
pub(super) fn complete(config: &mut ServerConfig) -> Result<(), rustls::Error> {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Keys of its own: what one host's handshake has shown must not count for another's.
    config.ticketer = Ticketer::new()?;
    // One ticket is enough for clients that keep connections; each costs bytes in every handshake.
    config.send_tls13_tickets = 1;
    Ok(())
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
