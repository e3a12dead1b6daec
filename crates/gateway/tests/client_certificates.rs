//! Certificates of clients, and handshakes that differ by host.
#![allow(missing_docs, clippy::unwrap_used)]

mod authority;
mod h2_client;
mod rig;
mod tls_client;

use authority::{Authority, parts};
use rig::{Answer, Backend, Mode, Rig, first, read_answer, snapshot, unprobed};
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, SupportedProtocolVersion};
use std::io::{Read, Write};
use std::sync::Arc;
use tidegate_model::{
    Certificate, CertificateId, CertificateNeed, CipherSuite, ClientCertificate, Handshake,
    HostPattern, Pattern, Snapshot, TlsRules, TlsVersion,
};
use tls_client::{blocking, connect};

const SHOP: &str = "shop.example.com";
const OPEN: &str = "open.example.com";

fn id(name: &str) -> CertificateId {
    CertificateId::new(name).unwrap()
}

fn host(name: &str) -> HostPattern {
    HostPattern::parse(name).unwrap()
}

/// Those who sign for the gateway and for its clients.
struct Authorities {
    servers: Authority,
    clients: Authority,
}

impl Authorities {
    fn new() -> Self {
        Self {
            servers: Authority::new("servers"),
            clients: Authority::new("clients"),
        }
    }

    fn rule(&self) -> ClientCertificate {
        ClientCertificate {
            authorities: id("shop/clients"),
            need: CertificateNeed::Required,
            depth: 1,
            common_name: None,
            error_page: None,
            pass_on: false,
        }
    }

    /// The shop, whose clients are asked for a certificate, and a host beside it that asks nobody.
    fn content(&self, backend: &Backend, rule: ClientCertificate) -> Snapshot {
        let mut content = unprobed(snapshot(&[backend]));
        let routes = first(&mut content.hosts);
        let open = routes.clone();
        routes[0].filters.client_certificate = Some(rule);
        content.hosts.insert(host(OPEN), open);
        for name in [SHOP, OPEN] {
            let certificate = self.servers.sign(name, name);
            content.tls.insert(host(name), id(name));
            content.certificates.insert(id(name), certificate.into());
        }
        content
            .authorities
            .insert(id("shop/clients"), self.clients.pem().into());
        let handshake = Handshake {
            authorities: Some(id("shop/clients")),
            ..Handshake::default()
        };
        content.handshakes.insert(host(SHOP), handshake.into());
        content
    }

    fn client(&self, certificate: Option<&Certificate>) -> Arc<ClientConfig> {
        self.client_of(certificate, &[&TLS13, &TLS12])
    }

    fn client_of(
        &self,
        certificate: Option<&Certificate>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(self.servers.roots());
        Arc::new(match certificate {
            None => builder.with_no_client_auth(),
            Some(certificate) => {
                let (chain, key) = parts(certificate);
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        })
    }
}

fn get_of(stream: &mut (impl Read + Write), host: &str) -> Answer {
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\nSSL-Client-Verify: SUCCESS\r\nssl-client-cert: mine\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    read_answer(stream)
}

/// One request of the shop on a connection of its own.
async fn get(rig: &Rig, config: &Arc<ClientConfig>) -> Answer {
    let (https, config) = (rig.https, Arc::clone(config));
    blocking(move || get_of(&mut connect(https, &config, SHOP).unwrap(), SHOP)).await
}

#[tokio::test]
async fn who_has_no_good_certificate_does_not_come_in() {
    let all = Authorities::new();
    let backend = Backend::start("az1", Mode::Serve);
    let rig = Rig::start(all.content(&backend, all.rule())).await;
    let stranger = Authority::new("clients").sign("anna", "anna");
    for (certificate, why) in [(None, "none was sent"), (Some(&stranger), "not one that")] {
        let answer = get(&rig, &all.client(certificate)).await;
        assert_eq!(answer.status, 400);
        assert!(answer.body.contains(why), "{}", answer.body);
    }
    assert_eq!(backend.requests(), 0);

    let anna = all.clients.sign("anna", "anna");
    for versions in [&[&TLS13][..], &[&TLS12]] {
        let config = all.client_of(Some(&anna), versions);
        assert_eq!(get(&rig, &config).await.status, 200);
    }
    let received = backend.received();
    let received = received.to_ascii_lowercase();
    for told in [
        "ssl-client-verify: success\r\n",
        "ssl-client-subject-dn: cn=anna,o=tidegate\r\n",
        "ssl-client-issuer-dn: cn=clients,o=tidegate\r\n",
    ] {
        assert_eq!(received.matches(told).count(), 2, "{received}");
    }
    assert!(
        !received.contains("mine"),
        "what clients say about themselves"
    );
}

#[tokio::test]
async fn optional_certificates_have_to_be_good_and_any_need_not() {
    let all = Authorities::new();
    let backend = Backend::start("az1", Mode::Serve);
    let rule = |need| ClientCertificate { need, ..all.rule() };
    let stranger = Authority::new("clients").sign("anna", "anna");
    let (none, strange) = (all.client(None), all.client(Some(&stranger)));
    let rig = Rig::start(all.content(&backend, rule(CertificateNeed::Optional))).await;
    assert_eq!(get(&rig, &none).await.status, 200);
    assert!(backend.received().contains("ssl-client-verify: NONE\r\n"));
    assert_eq!(get(&rig, &strange).await.status, 400);

    rig.publish(all.content(&backend, rule(CertificateNeed::Any)))
        .await;
    assert_eq!(get(&rig, &none).await.status, 200);
    assert_eq!(get(&rig, &strange).await.status, 200);
    let received = backend.received();
    assert!(
        received.contains("ssl-client-verify: FAILED:"),
        "{received}"
    );
    assert!(!received.contains("SUCCESS"), "{received}");
}

#[tokio::test]
async fn names_error_pages_and_certificates_are_as_the_rule_says() {
    let all = Authorities::new();
    let backend = Backend::start("az1", Mode::Serve);
    let rule = ClientCertificate {
        common_name: Some(Pattern::new("^(?:anna|bob)$").unwrap()),
        error_page: Some("https://login.example.com/".to_owned()),
        pass_on: true,
        ..all.rule()
    };
    let rig = Rig::start(all.content(&backend, rule)).await;
    let refused = get(&rig, &all.client(None)).await;
    assert_eq!(refused.status, 302);
    let head = refused.head.to_ascii_lowercase();
    assert!(
        head.contains("location: https://login.example.com/\r\n"),
        "{head}"
    );

    let annabel = all.clients.sign("annabel", "annabel");
    assert_eq!(get(&rig, &all.client(Some(&annabel))).await.status, 403);
    let anna = all.clients.sign("anna", "anna");
    assert_eq!(get(&rig, &all.client(Some(&anna))).await.status, 200);
    let received = backend.received();
    let told = "ssl-client-cert: -----BEGIN%20CERTIFICATE-----%0AMII";
    assert!(received.contains(told), "{received}");
}

#[tokio::test]
async fn a_connection_for_another_host_and_one_without_tls_prove_nothing() {
    let all = Authorities::new();
    let backend = Backend::start("az1", Mode::Serve);
    let content = |need| all.content(&backend, ClientCertificate { need, ..all.rule() });
    let rig = Rig::start(content(CertificateNeed::Required)).await;
    let anna = all.clients.sign("anna", "anna");
    let (https, config) = (rig.https, all.client(Some(&anna)));
    let statuses = blocking(move || {
        let mut stream = connect(https, &config, OPEN).unwrap();
        [OPEN, SHOP, OPEN].map(|host| get_of(&mut stream, host).status)
    });
    assert_eq!(statuses.await, [200, 421, 200]);
    assert_eq!(rig.get("/").await.status, 403);
    // The other way round the host is served: it asks for nothing.
    let config = all.client(Some(&anna));
    let statuses = blocking(move || {
        let mut stream = connect(https, &config, SHOP).unwrap();
        [SHOP, OPEN].map(|host| get_of(&mut stream, host).status)
    });
    assert_eq!(statuses.await, [200, 200]);
    rig.publish(content(CertificateNeed::Optional)).await;
    assert_eq!(rig.get("/").await.status, 200);
}

#[tokio::test]
async fn a_change_of_authorities_counts_on_open_connections() {
    let mut all = Authorities::new();
    let backend = Backend::start("az1", Mode::Serve);
    let rig = Rig::start(all.content(&backend, all.rule())).await;
    let anna = all.clients.sign("anna", "anna");
    let (https, config) = (rig.https, all.client(Some(&anna)));
    let (mut stream, answer) = blocking(move || {
        let mut stream = connect(https, &config, SHOP).unwrap();
        let answer = get_of(&mut stream, SHOP);
        (stream, answer)
    })
    .await;
    assert_eq!(answer.status, 200);
    all.clients = Authority::new("clients");
    rig.publish(all.content(&backend, all.rule())).await;
    let answer = blocking(move || get_of(&mut stream, SHOP)).await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn authorities_that_cannot_be_read_have_signed_nothing() {
    let all = Authorities::new();
    let backend = Backend::start("az1", Mode::Serve);
    let mut content = all.content(&backend, all.rule());
    let broken = tidegate_model::Authorities("nothing".to_owned());
    content
        .authorities
        .insert(id("shop/clients"), broken.into());
    let rig = Rig::start(content).await;
    let anna = all.clients.sign("anna", "anna");
    assert_eq!(get(&rig, &all.client(Some(&anna))).await.status, 400);
    assert_eq!(backend.requests(), 0);
}

#[tokio::test]
async fn a_chain_is_as_long_as_it_may_be_and_a_resumed_session_keeps_its_certificate() {
    let all = Authorities::new();
    let backend = Backend::start("az1", Mode::Serve);
    let below = all.clients.intermediate("below").sign("anna", "anna");
    let config = all.client(Some(&below));
    let rule = |depth| ClientCertificate {
        depth,
        ..all.rule()
    };
    let rig = Rig::start(all.content(&backend, rule(0))).await;
    assert_eq!(get(&rig, &config).await.status, 400);
    rig.publish(all.content(&backend, rule(1))).await;
    let https = rig.https;
    blocking(move || {
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            // A client of its own for the first, so that nothing is resumed there.
            let mut stream = connect(https, &config, SHOP).unwrap();
            assert_eq!(get_of(&mut stream, SHOP).status, 200, "{kind:?}");
        }
        let mut stream = connect(https, &config, SHOP).unwrap();
        assert_eq!(stream.conn.handshake_kind(), Some(HandshakeKind::Resumed));
        assert_eq!(get_of(&mut stream, SHOP).status, 200);
    })
    .await;
}

#[tokio::test]
async fn versions_and_ciphers_differ_by_host() {
    let all = Authorities::new();
    let backend = Backend::start("az1", Mode::Serve);
    let mut content = all.content(&backend, all.rule());
    let handshake = |rules| Handshake {
        rules,
        authorities: None,
    };
    let modern = TlsRules {
        min_version: Some(TlsVersion::V1_3),
        ..TlsRules::default()
    };
    content
        .handshakes
        .insert(host(SHOP), handshake(modern).into());
    let strict = TlsRules {
        max_version: Some(TlsVersion::V1_2),
        ciphers: [CipherSuite::EcdsaAes256].into(),
        ..TlsRules::default()
    };
    // The open host has a certificate of its own, so that what is said of wider names is not for it.
    for wide in ["*.wild.example.com", "*.example.com", "*"] {
        let handshake = handshake(strict.clone());
        content.handshakes.insert(host(wide), handshake.into());
    }
    let wild = all.servers.sign("*.wild.example.com", "wild");
    content.tls.insert(host("*.wild.example.com"), id("wild"));
    content.certificates.insert(id("wild"), wild.into());
    let rig = Rig::start(content).await;
    let https = rig.https;
    let (both, old) = (all.client(None), all.client_of(None, &[&TLS12]));
    let new = all.client_of(None, &[&TLS13]);
    blocking(move || {
        assert!(connect(https, &both, SHOP).is_ok());
        assert!(connect(https, &old, SHOP).is_err());
        assert!(connect(https, &new, OPEN).is_ok());
        let stream = connect(https, &both, "a.wild.example.com").unwrap();
        let suite = stream.conn.negotiated_cipher_suite().unwrap().suite();
        let wanted = rustls::CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384;
        assert_eq!(suite, wanted);
        assert!(connect(https, &new, "a.wild.example.com").is_err());
    })
    .await;
}

#[tokio::test]
async fn http2_streams_prove_what_their_connection_does() {
    let all = Authorities::new();
    let backend = Backend::start("az1", Mode::Serve);
    let rig = Rig::start(all.content(&backend, all.rule())).await;
    let anna = all.clients.sign("anna", "anna");
    for (name, certificate, status) in [
        (SHOP, Some(&anna), 200),
        (SHOP, None, 400),
        (OPEN, Some(&anna), 421),
    ] {
        let mut config = (*all.client(certificate)).clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let socket = tokio::net::TcpStream::connect(rig.https).await.unwrap();
        let server = ServerName::try_from(name).unwrap();
        let socket = connector.connect(server, socket).await.unwrap();
        let mut client = h2_client::Client::over(socket, &h2::client::Builder::new()).await;
        // The request names the shop.
        let answer = client.get("/").await;
        assert_eq!(answer.status, status, "{name}");
    }
    assert_eq!(
        backend
            .received()
            .matches("ssl-client-verify: SUCCESS")
            .count(),
        1
    );
}
