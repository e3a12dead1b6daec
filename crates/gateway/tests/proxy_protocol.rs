//! Load balancers that speak the PROXY protocol, over real sockets.
#![allow(missing_docs, clippy::unwrap_used)]

mod rig;

use rig::*;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use tidegate_model::{Certificate, CertificateId, HostPattern, PrivateKey, Snapshot};

const SHOP: &str = "shop.example.com";
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: shop.example.com\r\n\r\n";
const LINE: &[u8] = b"PROXY TCP4 198.51.100.9 127.0.0.1 50000 80\r\n";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Version 2 with this client and an extension behind the addresses.
fn binary(command: u8, client: [u8; 4]) -> Vec<u8> {
    let addresses = [&client[..], &[127, 0, 0, 1, 0xc3, 0x50, 0, 80]].concat();
    [
        SIGNATURE,
        &[command, 0x11, 0, 16],
        &addresses,
        b"\x04\x00\x01x",
    ]
    .concat()
}

/// The shop, for which `peers` speak the PROXY protocol, and which 192.0.2.0/24 must not enter.
fn shop(backend: &Backend, peers: &[&str]) -> Snapshot {
    let mut content = snapshot(&[backend]);
    for (host, _) in content.hosts.clone() {
        let routes = &mut content.hosts[&host];
        for route in routes.iter_mut() {
            route.filters.access.deny = vec!["192.0.2.0/24".parse().unwrap()];
        }
    }
    let peers = peers.iter().map(|range| range.parse().unwrap());
    content.settings.proxy_protocol_peers = peers.collect();
    content
}

fn behind(header: &[u8]) -> Vec<u8> {
    [header, REQUEST].concat()
}

async fn refused(rig: &Rig) -> u64 {
    let status = rig.status_page().await;
    status["traffic"]["proxy_headers_refused"].as_u64().unwrap()
}

#[tokio::test]
async fn the_client_is_who_the_header_names() {
    let backend = Backend::start("az1", Mode::Serve);
    let rig = Rig::start(shop(&backend, &["127.0.0.0/8"])).await;
    let denied = b"PROXY TCP4 192.0.2.9 127.0.0.1 50000 80\r\n";
    assert_eq!(rig.send(&behind(denied)).await.status, 403);
    let answer = rig.send(&behind(&binary(0x21, [192, 0, 2, 9]))).await;
    assert_eq!(answer.status, 403);
    assert_eq!(backend.requests(), 0);
    let told = [
        (LINE.to_vec(), "198.51.100.9"),
        (binary(0x21, [198, 51, 100, 7]), "198.51.100.7"),
        // The balancer speaks for itself.
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (binary(0x20, [192, 0, 2, 9]), "127.0.0.1"),
    ];
    for (header, client) in told {
        let before = backend.received().len();
        let answer = rig.send(&behind(&header)).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "az1"));
        let received = backend.received()[before..].to_owned();
        let line = format!("X-Forwarded-For: {client}\r\n");
        assert!(received.contains(&line), "{received}");
    }
    assert_eq!(refused(&rig).await, 0);
    rig.shutdown().await;
}

#[tokio::test]
async fn a_header_may_come_in_pieces_and_stands_once_before_all_requests() {
    let backend = Backend::start("az1", Mode::Serve);
    let rig = Rig::start(shop(&backend, &["127.0.0.1"])).await;
    for header in [LINE.to_vec(), binary(0x21, [198, 51, 100, 9])] {
        let http = rig.http;
        tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(http).unwrap();
            stream.set_nodelay(true).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            for byte in behind(&header) {
                stream.write_all(&[byte]).unwrap();
            }
            assert_eq!(read_answer(&mut stream).body, "az1");
            stream.write_all(REQUEST).unwrap();
            assert_eq!(read_answer(&mut stream).body, "az1");
            // In the middle it is a request like others, and a bad one.
            stream.write_all(&header).unwrap();
            stream.write_all(REQUEST).unwrap();
            assert_eq!(read_answer(&mut stream).status, 400);
        })
        .await
        .unwrap();
    }
    assert_eq!(backend.requests(), 4);
    rig.shutdown().await;
}

#[tokio::test]
async fn what_a_listed_peer_sends_without_a_header_is_closed_and_counted() {
    let backend = Backend::start("az1", Mode::Serve);
    let mut content = shop(&backend, &["127.0.0.1"]);
    content.settings.timeouts.request_head = Duration::from_millis(200);
    let rig = Rig::start(content).await;
    let bad = [
        REQUEST.to_vec(),
        behind(b"PROXY TCP4 nowhere 127.0.0.1 1 2\r\n"),
        behind(&binary(0x25, [198, 51, 100, 9])),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        // These never come to their end.
        b"PROXY TCP4 198.51".to_vec(),
        Vec::new(),
    ];
    for (at, bytes) in bad.iter().enumerate() {
        for to in [rig.http, rig.https] {
            assert_eq!(send_to(to, bytes.clone()).await, b"", "case {at}");
        }
        assert_eq!(refused(&rig).await, (at as u64 + 1) * 2, "case {at}");
    }
    assert_eq!(backend.requests(), 0);
    // Others are served on.
    assert_eq!(rig.send(&behind(LINE)).await.status, 200);
    rig.shutdown().await;
}

/// All that is answered until the gateway closes.
async fn send_to(to: SocketAddr, bytes: Vec<u8>) -> Vec<u8> {
    tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&bytes).unwrap();
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Ok(_) => {}
            // What was sent and not read makes closing a reset.
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
        answer
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn nobody_else_can_name_a_client_and_a_change_is_for_new_connections() {
    let backend = Backend::start("az1", Mode::Serve);
    let rig = Rig::start(shop(&backend, &["10.0.0.0/8"])).await;
    for header in [LINE.to_vec(), binary(0x21, [198, 51, 100, 9])] {
        assert_eq!(rig.send(&behind(&header)).await.status, 400);
    }
    assert_eq!(backend.requests(), 0);
    let http = rig.http;
    let open = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(REQUEST).unwrap();
        assert_eq!(read_answer(&mut stream).status, 200);
        stream
    });
    let mut open = open.await.unwrap();
    rig.publish(shop(&backend, &["127.0.0.1"])).await;
    assert_eq!(rig.send(&behind(LINE)).await.status, 200);
    assert_eq!(rig.send(REQUEST).await.status, 0);
    let served_on = tokio::task::spawn_blocking(move || {
        open.write_all(REQUEST).unwrap();
        read_answer(&mut open).status
    });
    assert_eq!(served_on.await.unwrap(), 200);
    rig.shutdown().await;
}

#[tokio::test]
async fn tls_begins_behind_the_header() {
    let backend = Backend::start("az1", Mode::Serve);
    let mut content = shop(&backend, &["127.0.0.1"]);
    let pair = rcgen::generate_simple_self_signed([SHOP.to_owned()]).unwrap();
    let shown = Certificate {
        chain: pair.cert.pem(),
        key: PrivateKey(pair.signing_key.serialize_pem()),
    };
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(shown.chain.as_bytes()).unwrap())
        .unwrap();
    let id = CertificateId::new("shop/tls").unwrap();
    content
        .tls
        .insert(HostPattern::parse(SHOP).unwrap(), id.clone());
    content.certificates.insert(id, shown.into());
    let rig = Rig::start(content).await;
    let https = rig.https;
    let answer = tokio::task::spawn_blocking(move || {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(SHOP).unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut socket = TcpStream::connect(https).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(LINE).unwrap();
        let mut stream = StreamOwned::new(connection, socket);
        stream.write_all(REQUEST).unwrap();
        read_answer(&mut stream)
    });
    assert_eq!(answer.await.unwrap().body, "az1");
    let received = backend.received();
    for line in [
        "X-Forwarded-For: 198.51.100.9\r\n",
        "X-Forwarded-Proto: https\r\n",
    ] {
        assert!(received.contains(line), "{received}");
    }
    rig.shutdown().await;
}
