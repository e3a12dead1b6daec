//! HTTPS as a person sets it up: `kubectl create secret tls`, `spec.tls`, a client that checks.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::JoinHandle;

use anyhow::{Context, ensure};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tidegate_testbed::{Result, Rig, SHOP, SOON, wait_for};

const TIDEGATE: &str = env!("CARGO_BIN_EXE_tidegate");

const OTHER: &str = "other.example.com";

#[test]
fn a_host_shows_the_certificate_of_its_secret_whatever_becomes_of_another() {
    Rig::run(TIDEGATE, async |rig| {
        rig.start_shop(&[("az1", 1)]).await?;
        let https = rig.server().address("https")?;
        let [shop, renewed, other] = [pair(SHOP)?, pair(SHOP)?, pair(OTHER)?];
        secret(rig, "shop-tls", &shop.chain, &shop.key).await?;
        secret(rig, "other-tls", &other.chain, &other.key).await?;
        route(rig, "shop", SHOP, "shop-tls").await?;
        route(rig, "other", OTHER, "other-tls").await?;
        let mut open = until_shown(https, SHOP, &shop).await?;
        until_shown(https, OTHER, &other).await?;

        let visitors = Visitors::start(https, [&shop, &renewed]);
        secret(rig, "shop-tls", &renewed.chain, &renewed.key).await?;
        until_shown(https, SHOP, &renewed).await?;
        get(&mut open, SHOP).context("a connection from before the renewal")?;

        // The key of another certificate: the Ingress says so, and what was good is shown on.
        secret(rig, "shop-tls", &shop.chain, &other.key).await?;
        wait_for("the problem in the status", SOON, async || {
            let ingress = rig.hub().json("-n shop get ingress shop").await?;
            let status = &ingress["metadata"]["annotations"]["tidegate.io/status"];
            let status = status.as_str().unwrap_or_default();
            ensure!(
                status.contains("BadCertificate") && status.contains("spec.tls[0].secretName"),
                "{status}"
            );
            Ok(())
        })
        .await?;
        until_shown(https, SHOP, &renewed).await?;
        until_shown(https, OTHER, &other).await?;
        get(&mut open, SHOP).context("a connection from before the mistake")?;
        visitors.none_failed()?;
        // Over plain HTTP nothing has changed.
        rig.until_served_by("az1", SHOP, &[]).await
    });
}

/// Clients that come one after the other, each with a handshake and a request, and trust old and new.
struct Visitors {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<u32>>,
}

impl Visitors {
    fn start(https: SocketAddr, trusted: [&Pair; 2]) -> Self {
        let trusted = trusted.map(|pair| pair.chain.clone()).concat();
        let stop = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut served = 0;
            while !until.load(SeqCst) {
                let mut stream = connect(https, SHOP, &trusted)?;
                get(&mut stream, SHOP).with_context(|| format!("after {served} visitors"))?;
                served += 1;
            }
            Ok(served)
        });
        Self { stop, thread }
    }

    fn none_failed(self) -> Result {
        self.stop.store(true, SeqCst);
        let served = self.thread.join().expect("it does not panic")?;
        ensure!(served > 0, "nobody came");
        Ok(())
    }
}

struct Pair {
    chain: String,
    key: String,
}

fn pair(name: &str) -> Result<Pair> {
    let pair = rcgen::generate_simple_self_signed([name.to_owned()])?;
    Ok(Pair {
        chain: pair.cert.pem(),
        key: pair.signing_key.serialize_pem(),
    })
}

/// Creates or replaces it.
async fn secret(rig: &Rig, name: &str, chain: &str, key: &str) -> Result {
    let (cert_file, key_file) = (rig.path("tls.crt"), rig.path("tls.key"));
    fs::write(&cert_file, chain)?;
    fs::write(&key_file, key)?;
    let command = format!(
        "-n shop create secret tls {name} --cert={} --key={} --dry-run=client -o yaml",
        cert_file.display(),
        key_file.display()
    );
    let made = match rig.hub().run(&command).await {
        Ok(made) => made,
        // kubectl looks whether they fit; whoever writes YAML does not.
        Err(_) => serde_json::json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": { "name": name, "namespace": "shop" },
            "stringData": { "tls.crt": chain, "tls.key": key },
        })
        .to_string(),
    };
    rig.hub().apply(&made, &[]).await?;
    Ok(())
}

async fn route(rig: &Rig, name: &str, host: &str, secret: &str) -> Result {
    let backend = serde_json::json!({ "service": { "name": "shop", "port": { "number": 80 } } });
    let path = serde_json::json!({ "path": "/", "pathType": "Prefix", "backend": backend });
    let ingress = serde_json::json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": { "name": name, "namespace": "shop" },
        "spec": {
            "tls": [{ "hosts": [host], "secretName": secret }],
            "rules": [{ "host": host, "http": { "paths": [path] } }],
        },
    });
    rig.hub().apply(&ingress.to_string(), &[]).await?;
    Ok(())
}

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// Waits until a client that trusts nothing else gets an answer; the connection stays open.
async fn until_shown(https: SocketAddr, host: &'static str, pair: &Pair) -> Result<Tls> {
    let what = format!("an answer over TLS from {host}");
    wait_for(&what, SOON, async || {
        let mut stream = connect(https, host, &pair.chain)?;
        get(&mut stream, host)?;
        Ok(stream)
    })
    .await
}

fn connect(https: SocketAddr, host: &'static str, trusted: &str) -> Result<Tls> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(trusted.as_bytes()) {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connection = ClientConnection::new(Arc::new(config), ServerName::try_from(host)?)?;
    let socket = TcpStream::connect(https)?;
    socket.set_read_timeout(Some(SOON))?;
    Ok(StreamOwned::new(connection, socket))
}

fn get(stream: &mut Tls, host: &str) -> Result {
    write!(stream, "GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    // The echo server's answer ends with the end of its JSON object.
    while !answer.ends_with(b"}\n") && !answer.ends_with(b"}") {
        let count = stream.read(&mut buffer)?;
        ensure!(count > 0, "the gateway closed the connection");
        answer.extend_from_slice(&buffer[..count]);
    }
    let answer = String::from_utf8_lossy(&answer);
    ensure!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    ensure!(
        answer.contains(r#""x-forwarded-proto":["https"]"#),
        "{answer}"
    );
    Ok(())
}
