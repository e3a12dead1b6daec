//! Hosts whose TLS ends at an endpoint.
#![allow(missing_docs, clippy::unwrap_used)]

mod authority;
mod rig;
mod tls_front;

use authority::Authority;
use rig::{Backend, Mode, PATIENCE, Rig, first, read_answer, snapshot, unprobed};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use tidegate_model::{
    BackendId, CertificateId, Endpoint, Forward, HostPattern, RoutePlacement, Snapshot,
};
use tls_front::{Front, Manner};

const OWN: &str = "own.example.com";

fn host(name: &str) -> HostPattern {
    HostPattern::parse(name).unwrap()
}

/// `host` goes to these addresses as it is. Another host is served by the gateway itself.
fn content(backend: &Backend, authority: &Authority, name: &str, at: &[SocketAddr]) -> Snapshot {
    let mut content = unprobed(snapshot(&[backend]));
    let mut passed = first(&mut content.backends).clone();
    let endpoints = passed.clusters.values_mut().next().unwrap();
    *endpoints = at
        .iter()
        .map(|address| Endpoint { address: *address })
        .collect();
    endpoints.sort();
    let id = BackendId::new("shop", "vault", "443").unwrap();
    content.backends.insert(id.clone(), passed);
    let forward = Forward {
        backend: id,
        placement: RoutePlacement::Policy,
        fallback: None,
    };
    content.passthrough.insert(host(name), forward.into());
    let routes = first(&mut content.hosts).clone();
    content.hosts.insert(host(OWN), routes);
    let certificate = CertificateId::new("own").unwrap();
    content.tls.insert(host(OWN), certificate.clone());
    content
        .certificates
        .insert(certificate, authority.sign(OWN, "own").into());
    content
}

fn get(to: SocketAddr, authority: &Authority, name: &str) -> std::io::Result<u16> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(authority.roots())
        .with_no_client_auth();
    let socket = TcpStream::connect(to)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let server = ServerName::try_from(name.to_owned()).unwrap();
    let connection = ClientConnection::new(Arc::new(config), server).unwrap();
    let mut stream = StreamOwned::new(connection, socket);
    // A header that no gateway would let through as it is.
    write!(
        stream,
        "GET / HTTP/1.1\r\nHost: {name}\r\nX-Forwarded-For: me\r\n\r\n"
    )?;
    Ok(read_answer(&mut stream).status)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test]
async fn the_endpoint_shakes_hands_and_nothing_is_changed() {
    let (endpoints, own) = (Authority::new("endpoints"), Authority::new("own"));
    let backend = Backend::start("az1", Mode::Serve);
    let manner = Manner {
        certificate: &endpoints.sign("vault.example.com", "vault"),
        alpn: &[],
        clients: None,
    };
    let front = Front::start(backend.address, manner).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let refusing = closed.local_addr().unwrap();
    drop(closed);
    // Wider than the host that the gateway serves, which keeps its certificate.
    let at = [front.address, refusing];
    let rig = Rig::start(content(&backend, &own, "*.example.com", &at)).await;
    let https = rig.https;
    blocking(move || {
        for _ in 0..4 {
            // One of the two refuses: the other is tried, as nothing was sent.
            assert_eq!(get(https, &endpoints, "vault.example.com").unwrap(), 200);
        }
        assert_eq!(get(https, &own, OWN).unwrap(), 200);
    })
    .await;
    assert_eq!(front.seen().len(), 4);
    assert_eq!(
        front.seen()[0].server_name.as_deref(),
        Some("vault.example.com")
    );
    assert_eq!(backend.received().matches("X-Forwarded-For: me").count(), 4);
    let page = rig.status_page().await;
    assert_eq!(page["traffic"]["tls_passed"], 4);
    assert_eq!(page["traffic"]["tls_handshakes"], 1);
}

#[tokio::test]
async fn a_first_message_in_pieces_goes_where_it_should_and_junk_nowhere() {
    let (endpoints, own) = (Authority::new("endpoints"), Authority::new("own"));
    let backend = Backend::start("az1", Mode::Serve);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = [listener.local_addr().unwrap()];
    let rig = Rig::start(content(&backend, &own, "vault.example.com", &at)).await;
    let https = rig.https;
    blocking(move || {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(endpoints.roots())
            .with_no_client_auth();
        let name = ServerName::try_from("vault.example.com").unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut hello = Vec::new();
        client.write_tls(&mut hello).unwrap();
        let mut near = TcpStream::connect(https).unwrap();
        near.set_nodelay(true).unwrap();
        for piece in hello.chunks(7) {
            near.write_all(piece).unwrap();
        }
        let (mut far, _) = listener.accept().unwrap();
        far.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut got = vec![0; hello.len()];
        far.read_exact(&mut got).unwrap();
        assert_eq!(got, hello);
        // Bytes of both sides pass as they are, whatever they are.
        far.write_all(b"not TLS at all").unwrap();
        let mut back = [0; 14];
        near.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"not TLS at all");
        // The end of one side is the end.
        drop(far);
        assert_eq!(near.read(&mut back).unwrap_or(0), 0);

        let mut junk = TcpStream::connect(https).unwrap();
        junk.set_read_timeout(Some(PATIENCE)).unwrap();
        junk.write_all(b"GET / HTTP/1.1\r\nHost: vault.example.com\r\n\r\n")
            .unwrap();
        let mut told = Vec::new();
        // An alert, or a reset behind it.
        let _ = junk.read_to_end(&mut told);
        assert!(told.is_empty() || told[0] == 21, "{told:?}");
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "nothing of it came here");
    })
    .await;
}

#[tokio::test]
async fn without_an_endpoint_the_client_is_sent_away() {
    let (endpoints, own) = (Authority::new("endpoints"), Authority::new("own"));
    let backend = Backend::start("az1", Mode::Serve);
    let rig = Rig::start(content(&backend, &own, "vault.example.com", &[])).await;
    let https = rig.https;
    let refused = blocking(move || get(https, &endpoints, "vault.example.com").unwrap_or(0)).await;
    assert_eq!(refused, 0);
}
