//! Endpoints that speak TLS.
#![allow(missing_docs, clippy::unwrap_used)]

mod authority;
mod h2_client;
mod h2_server;
mod rig;
mod tls_front;

use authority::Authority;
use rig::{Answer, Backend, Mode, PATIENCE, Rig, first, snapshot, unprobed};
use rustls::ProtocolVersion;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use tidegate_model::{
    BackendTls, Certificate, CertificateId, Endpoint, Probe, Snapshot, TlsRules, TlsVersion, Verify,
};
use tls_front::{Front, Manner};

const NAME: &str = "shop.internal";

fn id(name: &str) -> CertificateId {
    CertificateId::new(name).unwrap()
}

fn plain(certificate: &Certificate) -> Manner<'_> {
    Manner {
        certificate,
        alpn: &["http/1.1"],
        clients: None,
    }
}

fn unchecked() -> BackendTls {
    BackendTls {
        verify: Verify::Nothing,
        server_name: None,
        certificate: None,
        rules: TlsRules::default(),
    }
}

fn checked(name: &str, depth: u8) -> BackendTls {
    BackendTls {
        verify: Verify::By {
            authorities: id("shop/ca"),
            name: name.to_owned(),
            depth,
        },
        ..unchecked()
    }
}

/// The shop at these addresses, spoken to in TLS.
fn shop(backend: &Backend, at: &[SocketAddr], tls: BackendTls) -> Snapshot {
    let mut content = unprobed(snapshot(&[backend]));
    let shop = first(&mut content.backends);
    let endpoints = shop.clusters.values_mut().next().unwrap();
    *endpoints = at
        .iter()
        .map(|address| Endpoint { address: *address })
        .collect();
    endpoints.sort();
    shop.tls = Some(tls);
    content
}

fn trusting(mut content: Snapshot, authority: &Authority) -> Snapshot {
    content
        .authorities
        .insert(id("shop/ca"), authority.pem().into());
    content
}

async fn last_failure(rig: &Rig) -> String {
    let page = rig.status_page().await;
    page["backends"]["shop/shop:80"]["tls"]["last_failure"].to_string()
}

#[tokio::test]
async fn requests_and_bodies_pass_and_connections_are_kept() {
    let authority = Authority::new("ca");
    let backend = Backend::start("az1", Mode::Serve);
    let front = Front::start(backend.address, plain(&authority.sign(NAME, "shop"))).await;
    let rig = Rig::start(shop(&backend, &[front.address], unchecked())).await;
    for _ in 0..3 {
        assert_eq!(rig.get("/").await.body, "az1");
    }
    let body = "b".repeat(3 << 20);
    let request = format!(
        "POST / HTTP/1.1\r\nHost: shop.example.com\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    assert_eq!(rig.send(request.as_bytes()).await.status, 200);
    assert!(backend.bytes() > body.len());
    let seen = front.seen();
    assert_eq!(seen.len(), 1, "one connection for all: {seen:?}");
    assert_eq!(seen[0].server_name, None);
    assert_eq!(seen[0].version, ProtocolVersion::TLSv1_3);
}

#[tokio::test]
async fn what_is_checked_has_to_be_right() {
    let (authority, other) = (Authority::new("ca"), Authority::new("other"));
    let backend = Backend::start("az1", Mode::Serve);
    let front = Front::start(backend.address, plain(&authority.sign(NAME, "shop"))).await;
    let content = |tls, authority| trusting(shop(&backend, &[front.address], tls), authority);
    let rig = Rig::start(content(checked(NAME, 1), &authority)).await;
    assert_eq!(rig.get("/").await.status, 200);

    for (tls, trusted, why) in [
        (
            checked("other.internal", 1),
            &authority,
            "not valid for name",
        ),
        (checked(NAME, 1), &other, "UnknownIssuer"),
    ] {
        rig.publish(content(tls, trusted)).await;
        assert_eq!(rig.get("/").await.status, 502, "{why}");
        let told = last_failure(&rig).await;
        assert!(
            told.contains(why) && told.contains(&front.address.to_string()),
            "{told}"
        );
    }
    // What failed to be checked got nothing.
    assert_eq!(backend.requests(), 1);
    // The endpoint is as it was; it is tried at once.
    rig.publish(content(checked(NAME, 1), &authority)).await;
    assert_eq!(rig.get("/").await.status, 200);
}

#[tokio::test]
async fn a_chain_is_as_long_as_it_may_be() {
    let root = Authority::new("root");
    let below = root.intermediate("below");
    let backend = Backend::start("az1", Mode::Serve);
    let front = Front::start(backend.address, plain(&below.sign(NAME, "shop"))).await;
    let content = |depth| {
        trusting(
            shop(&backend, &[front.address], checked(NAME, depth)),
            &root,
        )
    };
    let rig = Rig::start(content(0)).await;
    assert_eq!(rig.get("/").await.status, 502);
    rig.publish(content(1)).await;
    assert_eq!(rig.get("/").await.status, 200);
}

#[tokio::test]
async fn endpoints_are_told_a_name_and_shown_a_certificate() {
    let authority = Authority::new("ca");
    let backend = Backend::start("az1", Mode::Serve);
    let certificate = authority.sign(NAME, "shop");
    let manner = Manner {
        clients: Some(&authority),
        ..plain(&certificate)
    };
    let front = Front::start(backend.address, manner).await;
    let mut tls = checked(NAME, 1);
    let content = |tls| trusting(shop(&backend, &[front.address], tls), &authority);
    let rig = Rig::start(content(tls.clone())).await;
    assert_eq!(rig.get("/").await.status, 502, "without a certificate");

    tls.server_name = Some(NAME.to_owned());
    tls.certificate = Some(id("shop/gateway"));
    tls.rules.max_version = Some(TlsVersion::V1_2);
    let mut shown = content(tls);
    let gateway = authority.sign("gateway", "gateway");
    shown
        .certificates
        .insert(id("shop/gateway"), gateway.into());
    rig.publish(shown).await;
    assert_eq!(rig.get("/").await.status, 200);
    let seen = front.seen();
    let seen = seen.last().unwrap();
    assert_eq!(seen.server_name.as_deref(), Some(NAME));
    assert_eq!(seen.certificates, 1);
    assert_eq!(seen.version, ProtocolVersion::TLSv1_2);
}

#[tokio::test]
async fn new_authorities_count_for_the_next_request() {
    let (old, new) = (Authority::new("ca"), Authority::new("ca"));
    let backend = Backend::start("az1", Mode::Serve);
    let front = Front::start(backend.address, plain(&old.sign(NAME, "shop"))).await;
    let content = |authority| {
        trusting(
            shop(&backend, &[front.address], checked(NAME, 1)),
            authority,
        )
    };
    let rig = Rig::start(content(&old)).await;
    assert_eq!(rig.get("/").await.status, 200);
    // The connection that was made before is not used any more.
    rig.publish(content(&new)).await;
    assert_eq!(rig.get("/").await.status, 502);
    rig.publish(content(&old)).await;
    assert_eq!(rig.get("/").await.status, 200);
}

#[tokio::test]
async fn authorities_that_cannot_be_read_let_nothing_through() {
    let authority = Authority::new("ca");
    let backend = Backend::start("az1", Mode::Serve);
    let front = Front::start(backend.address, plain(&authority.sign(NAME, "shop"))).await;
    let mut content = shop(&backend, &[front.address], checked(NAME, 1));
    let broken = tidegate_model::Authorities("nothing".to_owned());
    content.authorities.insert(id("shop/ca"), broken.into());
    let rig = Rig::start(content).await;
    assert!(rig.get("/").await.status >= 502);
    let page = rig.status_page().await;
    assert_eq!(
        page["authorities_unusable"]["shop/ca"],
        "it holds no certificate"
    );
    assert!(last_failure(&rig).await.contains("it holds no certificate"));
    assert_eq!(backend.requests(), 0);
}

#[tokio::test]
async fn an_endpoint_that_never_shakes_hands_costs_no_request() {
    let authority = Authority::new("ca");
    let backend = Backend::start("az1", Mode::Serve);
    let front = Front::start(backend.address, plain(&authority.sign(NAME, "shop"))).await;
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = (silent.local_addr().unwrap(), silent);
    let content = shop(&backend, &[front.address, silent.0], unchecked());
    let rig = Rig::start(content).await;
    for _ in 0..6 {
        assert_eq!(rig.get("/").await.status, 200);
    }
}

#[tokio::test]
async fn probes_shake_hands_before_they_ask() {
    let authority = Authority::new("ca");
    let backend = Backend::start("az1", Mode::Serve);
    let front = Front::start(backend.address, plain(&authority.sign(NAME, "shop"))).await;
    let mut content = trusting(
        shop(&backend, &[front.address], checked(NAME, 1)),
        &authority,
    );
    let active = &mut first(&mut content.backends).health.active;
    active.interval = Duration::from_millis(20);
    active.timeout = Duration::from_millis(20);
    active.probe = Probe::Http {
        path: "/healthz".to_owned(),
        host: String::new(),
    };
    let rig = Rig::start(content).await;
    let answered = || backend.received().contains("GET /healthz HTTP/1.1");
    let limit = std::time::Instant::now() + PATIENCE;
    while !answered() {
        assert!(std::time::Instant::now() < limit, "no probe has come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(rig.get("/").await.status, 200);
}

#[tokio::test]
async fn http2_is_agreed_on_in_the_handshake() {
    let authority = Authority::new("ca");
    let certificate = authority.sign(NAME, "shop");
    let server =
        h2_server::Server::start("az1", h2_server::Manner::Serve, h2::server::Builder::new()).await;
    let manner = Manner {
        alpn: &["h2"],
        ..plain(&certificate)
    };
    let front = Front::start(server.address, manner).await;
    let content = |at, tls| {
        let mut content = h2_server::shop(unprobed(snapshot(&[])), &[("az1", at)]);
        first(&mut content.backends).tls = Some(tls);
        trusting(content, &authority)
    };
    let rig = Rig::start(content(front.address, checked(NAME, 1))).await;
    for _ in 0..3 {
        assert_eq!(rig.get("/a").await.body, "az1");
    }
    assert_eq!(front.seen().len(), 1, "requests share a connection");
    assert_eq!(server.heads()[0].uri(), "https://shop.example.com/a");

    // Without the agreement nothing is sent.
    let front = Front::start(server.address, plain(&certificate)).await;
    rig.publish(content(front.address, unchecked())).await;
    assert_eq!(rig.get("/").await.status, 502);
    // The front has no protocol in common and says so (RFC 7301 3.2).
    assert!(last_failure(&rig).await.contains("NoApplicationProtocol"));
    assert_eq!(server.requests(), 3);
}

#[tokio::test]
async fn two_backends_at_one_address_share_no_connection() {
    let authority = Authority::new("ca");
    let backend = Backend::start("az1", Mode::Serve);
    let front = Front::start(backend.address, plain(&authority.sign(NAME, "shop"))).await;
    let mut content = trusting(shop(&backend, &[front.address], unchecked()), &authority);
    let mut other = first(&mut content.backends).clone();
    other.tls = Some(checked("other.internal", 1));
    let other_id = tidegate_model::BackendId::new("shop", "other", "80").unwrap();
    content.backends.insert(other_id.clone(), other);
    let routes = first(&mut content.hosts);
    let mut strict = routes[0].clone();
    strict.path = tidegate_model::PathMatch::prefix("/strict").unwrap();
    if let tidegate_model::Action::Forward(forward) = &mut strict.action {
        forward.backend = other_id;
    }
    routes.push(strict);
    let rig = Rig::start(content).await;
    assert_eq!(rig.get("/").await.status, 200);
    assert_eq!(rig.get("/strict").await.status, 502);
    assert_eq!(rig.get("/").await.status, 200);
}

#[tokio::test]
async fn websocket_bytes_pass_both_ways() {
    let authority = Authority::new("ca");
    let backend = Backend::start("az1", Mode::Serve);
    // Agrees to whatever upgrade and sends back what comes.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let echo = listener.local_addr().unwrap();
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.unwrap());
        }
        let agreed = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        socket.write_all(agreed).await.unwrap();
        let (mut read, mut write) = socket.split();
        tokio::io::copy(&mut read, &mut write).await.unwrap();
    });
    let front = Front::start(echo, plain(&authority.sign(NAME, "shop"))).await;
    let rig = Rig::start(shop(&backend, &[front.address], unchecked())).await;
    let http = rig.http;
    let passed = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: shop.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            .unwrap();
        let Answer { status, .. } = rig::read_answer(&mut stream);
        assert_eq!(status, 101);
        // More than all buffers on the way hold.
        let sent: Vec<u8> = (0..1_000_000u32).map(|i| (i % 251) as u8).collect();
        let mut writing = stream.try_clone().unwrap();
        let copy = sent.clone();
        let writer = std::thread::spawn(move || writing.write_all(&copy).unwrap());
        let mut back = vec![0; sent.len()];
        stream.read_exact(&mut back).unwrap();
        writer.join().unwrap();
        back == sent
    });
    assert!(passed.await.unwrap());
}
