//! Handshakes with clients.

use super::Presented;
use crate::state::Shared;
use crate::table::ForwardEntry;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::server::{Accepted, Acceptor as HelloReader, ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, version};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::StartHandshake;
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

    /// Shakes hands in the way of the host that the client asks for, unless its TLS is passed through.
    ///
    /// # Errors
    /// The client breaks the protocol, or there is no version, cipher or certificate for it; it has been told.
    pub(crate) async fn accept(&self, mut stream: TcpStream) -> io::Result<Arrived> {
        let (hello, raw) = read_hello(&mut stream).await?;
        let own = {
            let table = self.shared.table.load();
            let (name, certificates) = (hello.client_hello(), table.certificates());
            let name = name.server_name();
            if let Some(to) = table.passthrough().find(name, certificates) {
                let to = Arc::clone(to);
                return Ok(Arrived::Passing { stream, to, raw });
            }
            table.handshakes().find(name, certificates).cloned()
        };
        let config = match &own {
            None => Arc::clone(&self.usual),
            Some(own) => own.config(&self.resolver).map_err(io::Error::other)?,
        };
        let stream = StartHandshake::from_parts(hello, stream).into_stream(config);
        let stream = Box::new(stream.await?);
        let asks = own.is_some_and(|own| own.asks());
        let presented = asks.then(|| Presented::of(stream.get_ref().1));
        Ok(Arrived::Shaken { stream, presented })
    }
}

/// What a connection to a TLS port came to.
#[derive(Debug)]
pub(crate) enum Arrived {
    /// A client with whom hands were shaken, and its certificate if it was asked for one.
    Shaken {
        stream: Box<TlsStream<TcpStream>>,
        presented: Option<Presented>,
    },
    /// One that an endpoint is to shake hands with. `raw` was read from it.
    Passing {
        stream: TcpStream,
        to: Arc<ForwardEntry>,
        raw: Vec<u8>,
    },
}

/// A longer first message is none: rustls' own limit.
const HELLO_MAX: usize = 64 * 1024;

/// Reads the client's first message (RFC 8446 4.1.2), and what came with it.
async fn read_hello(stream: &mut TcpStream) -> io::Result<(Accepted, Vec<u8>)> {
    let mut reader = HelloReader::default();
    let mut raw = Vec::with_capacity(2048);
    loop {
        let known = raw.len();
        if stream.read_buf(&mut raw).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut new = &raw[known..];
        while !new.is_empty() {
            reader.read_tls(&mut new)?;
        }
        match reader.accept() {
            Ok(Some(hello)) => return Ok((hello, raw)),
            Ok(None) if raw.len() > HELLO_MAX => {
                return Err(io::Error::other("the first message is too long"));
            }
            Ok(None) => raw.reserve(2048),
            Err((error, mut alert)) => {
                let mut told = Vec::new();
                alert.write_all(&mut told)?;
                stream.write_all(&told).await?;
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
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
