//! TLS from clients, over real sockets.
#![allow(missing_docs, clippy::unwrap_used)]

mod rig;
mod tls_client;

use rig::*;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;
use tidegate_model::{Certificate, CertificateId, HostPattern, PrivateKey, Snapshot};
use tls_client::{Tls, blocking, connect};

const SHOP: &str = "shop.example.com";

fn certificate(name: &str) -> Certificate {
    let pair = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    Certificate {
        chain: pair.cert.pem(),
        key: PrivateKey(pair.signing_key.serialize_pem()),
    }
}

fn show(snapshot: &mut Snapshot, host: &str, certificate: Certificate) {
    let id = CertificateId::new(format!("shop/{host}")).unwrap();
    snapshot
        .tls
        .insert(HostPattern::parse(host).unwrap(), id.clone());
    snapshot.certificates.insert(id, certificate.into());
}

/// The shop behind a gateway that shows this certificate for it.
async fn shop() -> (Backend, Rig, Certificate) {
    let backend = Backend::start("az1", Mode::Serve);
    let mut content = snapshot(&[&backend]);
    let shop = certificate(SHOP);
    show(&mut content, SHOP, shop.clone());
    (backend, Rig::start(content).await, shop)
}

/// A client that trusts these.
fn trusting(certificates: &[&Certificate]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        let der = CertificateDer::from_pem_slice(certificate.chain.as_bytes()).unwrap();
        roots.add(der).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

fn get(stream: &mut Tls, path: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {SHOP}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    read_answer(stream)
}

#[tokio::test]
async fn requests_and_bodies_pass_both_ways() {
    let (backend, rig, shop) = shop().await;
    let https = rig.https;
    blocking(move || {
        let mut stream = connect(https, &trusting(&[&shop]), SHOP).unwrap();
        assert_eq!(get(&mut stream, "/").body, "az1");
        // Larger than every buffer on the way.
        let answer = get(&mut stream, "/bytes/3000000");
        assert_eq!((answer.status, answer.body.len()), (200, 3_000_000));
        let head = format!("POST /up HTTP/1.1\r\nHost: {SHOP}\r\nContent-Length: 1000000\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&vec![b'u'; 1_000_000]).unwrap();
        assert_eq!(read_answer(&mut stream).body, "az1");
        // Two at once.
        let request = format!("GET / HTTP/1.1\r\nHost: {SHOP}\r\n\r\n");
        stream.write_all(request.repeat(2).as_bytes()).unwrap();
        assert_eq!(read_answer(&mut stream).body, "az1");
        assert_eq!(read_answer(&mut stream).body, "az1");
        // The end is told, so that the client knows that it has everything.
        let last = format!("GET / HTTP/1.1\r\nHost: {SHOP}\r\nConnection: close\r\n\r\n");
        stream.write_all(last.as_bytes()).unwrap();
        assert_eq!(read_answer(&mut stream).body, "az1");
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    })
    .await;
    assert!(
        backend
            .received()
            .contains("\r\nX-Forwarded-Proto: https\r\n")
    );
    rig.shutdown().await;
}

#[tokio::test]
async fn a_slow_reader_gets_everything() {
    let (_backend, rig, shop) = shop().await;
    let https = rig.https;
    let answer = blocking(move || {
        let mut stream = connect(https, &trusting(&[&shop]), SHOP).unwrap();
        let request = format!("GET /bytes/9000000 HTTP/1.1\r\nHost: {SHOP}\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        // Until the sockets on the way are full, as far as one can tell from here.
        std::thread::sleep(Duration::from_millis(300));
        read_answer(&mut stream)
    })
    .await;
    assert_eq!((answer.status, answer.body.len()), (200, 9_000_000));
    rig.shutdown().await;
}

#[tokio::test]
async fn a_client_sees_the_certificate_of_the_name_it_asks_for() {
    let backend = Backend::start("az1", Mode::Serve);
    let mut content = snapshot(&[&backend]);
    let (shop, other) = (certificate(SHOP), certificate("*.example.org"));
    show(&mut content, SHOP, shop.clone());
    show(&mut content, "*.example.org", other.clone());
    let rig = Rig::start(content).await;
    let https = rig.https;
    blocking(move || {
        let config = trusting(&[&shop, &other]);
        let shown = |name: &str| {
            let stream = connect(https, &config, name)?;
            let certificates = stream.conn.peer_certificates().unwrap();
            Ok::<_, std::io::Error>(certificates[0].clone().into_owned())
        };
        let der = |c: &Certificate| CertificateDer::from_pem_slice(c.chain.as_bytes()).unwrap();
        assert_eq!(shown(SHOP).unwrap(), der(&shop));
        assert_eq!(shown("a.example.org").unwrap(), der(&other));
        let refused = shown("nobody.example.net").unwrap_err().to_string();
        assert!(refused.contains("alert"), "{refused}");
    })
    .await;
    rig.shutdown().await;
}

#[tokio::test]
async fn a_new_certificate_is_for_new_handshakes_and_a_bad_one_for_nobody() {
    let backend = Backend::start("az1", Mode::Serve);
    let mut content = snapshot(&[&backend]);
    let (first, second) = (certificate(SHOP), certificate(SHOP));
    show(&mut content, SHOP, first.clone());
    let rig = Rig::start(content.clone()).await;
    let (https, config) = (rig.https, trusting(&[&first]));
    let mut open = blocking(move || connect(https, &config, SHOP).unwrap()).await;

    show(&mut content, SHOP, second.clone());
    rig.publish(content.clone()).await;
    let config = trusting(&[&second]);
    let mut open = blocking(move || {
        assert_eq!(get(&mut open, "/").body, "az1");
        let mut new = connect(https, &config, SHOP).unwrap();
        assert_eq!(get(&mut new, "/").body, "az1");
        open
    })
    .await;

    let mixed = Certificate {
        key: first.key.clone(),
        ..certificate(SHOP)
    };
    show(&mut content, SHOP, mixed);
    rig.publish(content).await;
    let config = trusting(&[&second]);
    blocking(move || {
        assert_eq!(get(&mut open, "/").body, "az1");
        let mut new = connect(https, &config, SHOP).unwrap();
        assert_eq!(get(&mut new, "/").body, "az1");
    })
    .await;
    let status = rig.status_page().await;
    let reason = &status["certificates"]["unusable"]["shop/shop.example.com"];
    assert!(
        reason
            .to_string()
            .contains("does not serve the certificate"),
        "{status}"
    );
    rig.shutdown().await;
}

#[tokio::test]
async fn a_returning_client_needs_no_full_handshake() {
    let (_backend, rig, shop) = shop().await;
    let https = rig.https;
    blocking(move || {
        let config = trusting(&[&shop]);
        let kind = || {
            let mut stream = connect(https, &config, SHOP).unwrap();
            // Reads the ticket, too.
            assert_eq!(get(&mut stream, "/").body, "az1");
            stream.conn.handshake_kind()
        };
        assert_eq!(kind(), Some(HandshakeKind::Full));
        assert_eq!(kind(), Some(HandshakeKind::Resumed));
    })
    .await;
    rig.shutdown().await;
}

#[tokio::test]
async fn who_does_not_shake_hands_is_sent_away() {
    let backend = Backend::start("az1", Mode::Serve);
    let mut content = snapshot(&[&backend]);
    show(&mut content, SHOP, certificate(SHOP));
    content.settings.timeouts.request_head = Duration::from_millis(200);
    let rig = Rig::start(content).await;
    let https = rig.https;
    blocking(move || {
        let rest = |sent: &[u8]| {
            let mut stream = TcpStream::connect(https).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(sent).unwrap();
            let mut rest = Vec::new();
            // Closed or reset: it is gone.
            let _ = stream.read_to_end(&mut rest);
            rest
        };
        // Plain HTTP gets an alert (RFC 8446 6.2), silence and half a record nothing.
        assert_eq!(
            rest(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").first(),
            Some(&21)
        );
        assert_eq!(rest(b""), b"");
        assert_eq!(rest(b"\x16\x03\x01\x02\x00\x01"), b"");
    })
    .await;
    let counted = async {
        loop {
            let traffic = rig.status_page().await["traffic"].take();
            if traffic["tls_failures"] == 3 && traffic["connections"] == 0 {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, counted).await.unwrap();
    rig.shutdown().await;
}
