//! TLS in front of a backend that speaks none.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used)] // Each test file uses a part of it.

use crate::authority::{Authority, parts};
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, ProtocolVersion, ServerConfig};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tidegate_model::Certificate;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

/// Ends TLS and passes the bytes on.
pub struct Front {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    accepting: AbortHandle,
}

/// A handshake that came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub server_name: Option<String>,
    pub certificates: usize,
    pub version: ProtocolVersion,
    pub resumed: bool,
}

/// How a front shakes hands.
pub struct Manner<'a> {
    pub certificate: &'a Certificate,
    pub alpn: &'a [&'a str],
    /// Clients must show a certificate of this one.
    pub clients: Option<&'a Authority>,
}

impl Front {
    pub async fn start(to: SocketAddr, manner: Manner<'_>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config(manner)));
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let noting = Arc::clone(&seen);
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, noting) = (acceptor.clone(), Arc::clone(&noting));
                tokio::spawn(async move {
                    // A client that refuses us, or whom we refuse.
                    let Ok(mut near) = acceptor.accept(socket).await else {
                        return;
                    };
                    let (_, connection) = near.get_ref();
                    noting.lock().unwrap().push(Seen {
                        server_name: connection.server_name().map(str::to_owned),
                        certificates: connection.peer_certificates().map_or(0, <[_]>::len),
                        version: connection.protocol_version().unwrap(),
                        resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
                    });
                    let mut far = TcpStream::connect(to).await.unwrap();
                    // Either side may end as it likes.
                    let _ = copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        Self {
            address,
            seen,
            accepting: accepting.abort_handle(),
        }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn config(manner: Manner<'_>) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match manner.clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let roots = Arc::new(authority.roots());
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let (chain, key) = parts(manner.certificate);
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = manner
        .alpn
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    config
}
