//! A gateway in this process, and backends that count what reaches them.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used)] // Each test file uses a part of it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tidegate_feed::{FeedAddress, Publisher};
use tidegate_gateway::{Gateway, GatewayConfig};
use tidegate_model::*;
use tokio_util::sync::CancellationToken;

/// Long enough for a slow machine; reached only by failures.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What a backend does with each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// 200 with its name.
    Serve,
    /// This status.
    Status(u16),
    /// Reads the request and closes.
    Reset,
    /// Reads the request and never answers.
    Hang,
    /// Answers once the mode is another one.
    Wait,
    /// These bytes, then closes.
    Raw(&'static str),
}

/// A backend on a port of its own.
pub struct Backend {
    pub address: SocketAddr,
    pub name: &'static str,
    mode: Arc<Mutex<Mode>>,
    connections: Arc<AtomicU32>,
    requests: Arc<AtomicU32>,
    bytes: Arc<AtomicUsize>,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Backend {
    pub fn start(name: &'static str, mode: Mode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let backend = Self {
            address: listener.local_addr().unwrap(),
            name,
            mode: Arc::new(Mutex::new(mode)),
            connections: Arc::default(),
            requests: Arc::default(),
            bytes: Arc::default(),
            received: Arc::default(),
        };
        let (mode, requests, bytes, received) = (
            Arc::clone(&backend.mode),
            Arc::clone(&backend.requests),
            Arc::clone(&backend.bytes),
            Arc::clone(&backend.received),
        );
        let connections = Arc::clone(&backend.connections);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                connections.fetch_add(1, SeqCst);
                let (mode, requests, bytes, received) = (
                    Arc::clone(&mode),
                    Arc::clone(&requests),
                    Arc::clone(&bytes),
                    Arc::clone(&received),
                );
                std::thread::spawn(move || {
                    connection(stream, name, &mode, &requests, &bytes, &received)
                });
            }
        });
        backend
    }

    pub fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    /// Connections to it so far, those of probes too.
    pub fn connections(&self) -> u32 {
        self.connections.load(SeqCst)
    }

    /// Requests that reached it whole.
    pub fn requests(&self) -> u32 {
        self.requests.load(SeqCst)
    }

    /// Bytes that reached it.
    pub fn bytes(&self) -> usize {
        self.bytes.load(SeqCst)
    }

    /// What it received.
    pub fn received(&self) -> String {
        String::from_utf8_lossy(&self.received.lock().unwrap()).into_owned()
    }
}

fn connection(
    mut stream: TcpStream,
    name: &str,
    mode: &Mutex<Mode>,
    requests: &AtomicU32,
    bytes: &AtomicUsize,
    received: &Mutex<Vec<u8>>,
) {
    let mut buffer = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        while let Some(length) = whole(&buffer) {
            let target = String::from_utf8_lossy(&buffer[..buffer.len().min(200)]).into_owned();
            let probe = target.starts_with("OPTIONS * ");
            buffer.drain(..length);
            if !probe {
                requests.fetch_add(1, SeqCst);
            }
            let mut now = *mode.lock().unwrap();
            while now == Mode::Wait {
                std::thread::sleep(Duration::from_millis(2));
                now = *mode.lock().unwrap();
            }
            let answer = match now {
                Mode::Serve => {
                    let size = target
                        .strip_prefix("GET /bytes/")
                        .and_then(|rest| rest.split(' ').next())
                        .and_then(|n| n.parse::<usize>().ok());
                    let body = size.map_or_else(|| name.to_owned(), |n| "x".repeat(n));
                    format!(
                        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                        body.len()
                    )
                }
                Mode::Status(status) => {
                    format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n")
                }
                Mode::Reset | Mode::Wait => return,
                Mode::Hang => {
                    // Until the gateway gives up.
                    let _ = stream.read(&mut chunk);
                    return;
                }
                Mode::Raw(bytes) => {
                    let _ = stream.write_all(bytes.as_bytes());
                    return;
                }
            };
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return,
            Ok(count) => {
                bytes.fetch_add(count, SeqCst);
                received.lock().unwrap().extend_from_slice(&chunk[..count]);
                buffer.extend_from_slice(&chunk[..count]);
            }
        }
    }
}

/// The length of the first whole request in `buffer`.
fn whole(buffer: &[u8]) -> Option<usize> {
    let head = buffer.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
    if text.contains("transfer-encoding: chunked") {
        return chunks_end(buffer, head);
    }
    let length: usize = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |n| n.trim().parse().unwrap());
    (buffer.len() >= head + length).then_some(head + length)
}

/// Where the chunks and trailers that begin at `at` end.
fn chunks_end(buffer: &[u8], mut at: usize) -> Option<usize> {
    let line = |at: usize| Some(at + buffer.get(at..)?.windows(2).position(|w| w == b"\r\n")? + 2);
    loop {
        let data = line(at)?;
        let digits = String::from_utf8_lossy(&buffer[at..data - 2]).into_owned();
        let size = usize::from_str_radix(&digits, 16).unwrap();
        if size > 0 {
            at = data + size + 2;
            continue;
        }
        at = data;
        while line(at)? > at + 2 {
            at = line(at)?;
        }
        return Some(at + 2);
    }
}

/// A gateway, and the feed it listens to.
pub struct Rig {
    pub http: SocketAddr,
    pub https: SocketAddr,
    pub admin: SocketAddr,
    pub publisher: Option<Publisher>,
    pub stop: CancellationToken,
    pub ended: Option<tokio::task::JoinHandle<()>>,
    pub dir: TempDir,
}

impl Rig {
    pub async fn start(snapshot: Snapshot) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let feed = feed_of(&dir);
        let publisher = Publisher::bind(&feed, &dir.path().join("hub"))
            .await
            .unwrap();
        publisher.publish(snapshot).unwrap();
        let mut rig = Self::start_in(dir, Some(feed)).await;
        rig.publisher = Some(publisher);
        rig.accepted().await;
        rig
    }

    pub async fn start_in(dir: TempDir, feed: Option<FeedAddress>) -> Self {
        let stop = CancellationToken::new();
        let config = GatewayConfig {
            name: "test".to_owned(),
            http_listen: vec!["127.0.0.1:0".parse().unwrap()],
            https_listen: vec!["127.0.0.1:0".parse().unwrap()],
            workers: 1,
            data_dir: Some(dir.path().join("gateway")),
            feed,
            file: None,
            admin_listen: Some("127.0.0.1:0".parse().unwrap()),
            snapshot: None,
        };
        let gateway = Gateway::start(config, stop.clone()).await.unwrap();
        let (http, https, admin) = (
            gateway.http_addresses()[0],
            gateway.https_addresses()[0],
            gateway.admin_address().unwrap(),
        );
        let ended = tokio::spawn(gateway.stopped());
        Self {
            http,
            https,
            admin,
            publisher: None,
            stop,
            ended: Some(ended),
            dir,
        }
    }

    /// Publishes and waits until the gateway serves it.
    pub async fn publish(&self, snapshot: Snapshot) {
        self.publisher.as_ref().unwrap().publish(snapshot).unwrap();
        self.accepted().await;
    }

    async fn accepted(&self) {
        let publisher = self.publisher.as_ref().unwrap();
        let mut receivers = publisher.receivers();
        let accepted = receivers.wait_for(|all| {
            all.iter()
                .any(|r| r.accepted == Some(publisher.published()))
        });
        tokio::time::timeout(PATIENCE, accepted)
            .await
            .unwrap()
            .unwrap();
    }

    pub async fn shutdown(mut self) {
        self.stop.cancel();
        let ended = self.ended.take().unwrap();
        tokio::time::timeout(PATIENCE, ended)
            .await
            .unwrap()
            .unwrap();
    }

    /// Sends bytes on a connection of their own; the answer until the gateway closes or has answered.
    pub async fn send(&self, bytes: &[u8]) -> Answer {
        let (http, bytes) = (self.http, bytes.to_vec());
        tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(http).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(&bytes).unwrap();
            read_answer(&mut stream)
        })
        .await
        .unwrap()
    }

    pub async fn get(&self, path: &str) -> Answer {
        let request = format!("GET {path} HTTP/1.1\r\nHost: shop.example.com\r\n\r\n");
        self.send(request.as_bytes()).await
    }

    pub async fn status_page(&self) -> serde_json::Value {
        let admin = self.admin;
        let answer = tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(admin).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream
                .write_all(b"GET /status HTTP/1.1\r\nHost: a\r\n\r\n")
                .unwrap();
            read_answer(&mut stream)
        })
        .await
        .unwrap();
        serde_json::from_str(&answer.body).unwrap()
    }
}

pub fn feed_of(dir: &TempDir) -> FeedAddress {
    format!("unix:{}", dir.path().join("feed.sock").display())
        .parse()
        .unwrap()
}

/// An answer as a client sees it.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// 0 when the gateway closed without one.
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// Reads one answer with a Content-Length or chunks; the rest stays.
pub fn read_answer(stream: &mut impl Read) -> Answer {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => break,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let status = head.get(9..12).and_then(|s| s.parse().ok()).unwrap_or(0);
    let value = |name: &str| {
        head.lines().find_map(|l| {
            let (key, value) = l.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    };
    let mut body = Vec::new();
    if let Some(length) = value("content-length") {
        body = vec![0; length.parse().unwrap()];
        if stream.read_exact(&mut body).is_err() {
            body = b"(cut)".to_vec();
        }
    } else if value("transfer-encoding").is_some() {
        while !body.ends_with(b"0\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
            body.push(byte[0]);
        }
    }
    Answer {
        status,
        head,
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}

/// Everything of shop.example.com goes to these, each in the cluster of its name.
pub fn snapshot(backends: &[&Backend]) -> Snapshot {
    let mut snapshot = Snapshot::empty(Generation(0));
    let id = BackendId::new("shop", "shop", "80").unwrap();
    let mut backend = tidegate_model::Backend::default();
    for b in backends {
        let cluster = ClusterName::new(b.name).unwrap();
        backend
            .clusters
            .entry(cluster)
            .or_default()
            .push(Endpoint { address: b.address });
    }
    for listed in backend.clusters.values_mut() {
        listed.sort();
    }
    snapshot.backends.insert(id.clone(), backend.into());
    snapshot.hosts.insert(
        HostPattern::parse("shop.example.com").unwrap(),
        vec![Route::new(
            RouteId("shop/shop#0.0".to_owned()),
            PathMatch::prefix("/").unwrap(),
            Action::Forward(Forward {
                backend: id,
                placement: RoutePlacement::Policy,
                fallback: None,
            }),
        )]
        .into(),
    );
    snapshot
}

/// Puts a further backend beside the shop's, like it, and served by `backend` alone.
pub fn beside(content: &mut Snapshot, namespace: &str, name: &str, backend: &Backend) -> BackendId {
    let id = BackendId::new(namespace, name, "80").unwrap();
    let (_, mut like) = content.backends.get_min().unwrap().clone();
    let address = backend.address;
    let az1 = ClusterName::new("az1").unwrap();
    like.clusters = [(az1, vec![Endpoint { address }])].into();
    content.backends.insert(id.clone(), like);
    id
}

/// The same without probes, so that every connection to a backend comes from a request.
pub fn unprobed(mut snapshot: Snapshot) -> Snapshot {
    let backends = &mut snapshot.backends;
    for (id, _) in backends.clone() {
        backends[&id].health.active.probe = Probe::None;
    }
    snapshot
}

/// The first entry of a part of a snapshot, and mostly the only one.
pub fn first<K: Ord + Clone, V: Clone>(map: &mut SharedMap<K, V>) -> &mut V {
    let (key, _) = map.get_min().expect("it is not empty").clone();
    map.get_mut(&key).expect("it is there")
}
