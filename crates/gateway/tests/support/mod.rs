//! A gateway between hand-written backends and hand-written clients, all on loopback.
//!
//! Backends and clients speak bytes, so that tests say exactly what is sent. Waits are bounded: what does
//! not come within [`PATIENCE`] fails the test.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, reason = "a test fails where it fails")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tidegate_gateway::{Gateway, GatewayConfig};
use tidegate_model::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// Long enough for a busy machine; a test that needs it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What a backend does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Behaviour {
    /// Sends these bytes and keeps the connection.
    Answer(Vec<u8>),
    /// Sends the request back as the body.
    Echo,
    /// Closes the connection at once.
    Close,
    /// Says nothing.
    Hang,
    /// Sends these bytes and closes.
    AnswerAndClose(Vec<u8>),
}

/// A backend that counts and records.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    behaviour: Behaviour,
    connections: usize,
    bytes: usize,
    requests: Vec<String>,
}

impl Backend {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            behaviour,
            connections: 0,
            bytes: 0,
            requests: Vec::new(),
        }));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            // Dropped with the task, and its connections with it.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                shared.lock().unwrap().connections += 1;
                connections.spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self {
            address,
            state,
            task,
        }
    }

    /// One that answers 200 with its name as the body.
    pub(crate) async fn named(name: &str) -> Self {
        Self::start(Behaviour::Answer(ok(name))).await
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.state.lock().unwrap().behaviour = behaviour;
    }

    /// Whole requests that came, heads and bodies.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }

    /// Whole requests with `text` in them.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.requests().iter().filter(|r| r.contains(text)).count()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.state.lock().unwrap().bytes
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }

    /// Ends it with all its connections, as a crash would.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut buffer = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let Ok(read @ 1..) = stream.read(&mut piece).await else {
            return;
        };
        state.lock().unwrap().bytes += read;
        buffer.extend_from_slice(&piece[..read]);
        while let Some(length) = message_length(&buffer) {
            let rest = buffer.split_off(length);
            let request = String::from_utf8_lossy(&buffer).into_owned();
            buffer = rest;
            let behaviour = {
                let mut state = state.lock().unwrap();
                state.requests.push(request.clone());
                state.behaviour.clone()
            };
            let written = match behaviour {
                Behaviour::Answer(bytes) => stream.write_all(&bytes).await,
                Behaviour::Echo => stream.write_all(&ok(&request)).await,
                Behaviour::Close => return,
                Behaviour::Hang => std::future::pending().await,
                Behaviour::AnswerAndClose(bytes) => {
                    let _ = stream.write_all(&bytes).await;
                    return;
                }
            };
            if written.is_err() {
                return;
            }
        }
    }
}

/// The length of the first whole message in `buffer`, if there is one.
pub(crate) fn message_length(buffer: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(buffer);
    let head = text.find("\r\n\r\n")? + 4;
    let lower = text[..head].to_ascii_lowercase();
    if lower.contains("transfer-encoding: chunked") {
        return Some(head + buffer[head..].windows(5).position(|w| w == b"0\r\n\r\n")? + 5);
    }
    let length = match lower.split("content-length: ").nth(1) {
        Some(rest) => rest.split("\r\n").next()?.parse().ok()?,
        None => 0,
    };
    (buffer.len() >= head + length).then_some(head + length)
}

/// A 200 answer.
pub(crate) fn ok(body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// An answer without a body.
pub(crate) fn status(status: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

/// A snapshot with one route for everything, to backends in the clusters `az1`, `az2`, …
pub(crate) fn snapshot(clusters: &[&[SocketAddr]]) -> Snapshot {
    let mut snapshot = Snapshot::empty(Generation(1));
    let id = BackendId::new("shop", "web", "80").unwrap();
    let route = Route {
        id: RouteId("shop/web#0.0".to_owned()),
        path: PathMatch::prefix("/").unwrap(),
        headers: Vec::new(),
        action: Action::Forward(Forward {
            backend: id.clone(),
            placement: RoutePlacement::Policy,
            fallback: None,
        }),
    };
    snapshot.hosts.insert(HostPattern::Any, vec![route]);
    let mut backend = tidegate_model::Backend::default();
    // Probes would count as connections at the backends.
    backend.health.active.probe = Probe::None;
    for (index, addresses) in clusters.iter().enumerate() {
        let name = ClusterName::new(format!("az{}", index + 1)).unwrap();
        let endpoints = addresses
            .iter()
            .map(|address| Endpoint { address: *address });
        backend.clusters.insert(name, endpoints.collect());
    }
    snapshot.backends.insert(id, backend);
    snapshot
}

/// The backend of [`snapshot`], to change its rules.
pub(crate) fn web(snapshot: &mut Snapshot) -> &mut tidegate_model::Backend {
    snapshot.backends.values_mut().next().unwrap()
}

/// A gateway with one worker that serves `snapshot`.
pub(crate) async fn gateway(snapshot: Snapshot) -> Gateway {
    let config = GatewayConfig {
        name: "test".to_owned(),
        http_listen: vec!["127.0.0.1:0".parse().unwrap()],
        https_listen: Vec::new(),
        workers: 1,
        data_dir: None,
        feed: None,
        admin_listen: None,
        snapshot: Some(snapshot),
    };
    Gateway::start(config, CancellationToken::new())
        .await
        .unwrap()
}

/// A client's connection.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    received: Vec<u8>,
}

/// An answer: head and body, the body out of its chunks.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    pub(crate) async fn connect(gateway: &Gateway) -> Self {
        Self::connect_to(gateway.http_addresses()[0]).await
    }

    pub(crate) async fn connect_to(address: SocketAddr) -> Self {
        Self {
            stream: TcpStream::connect(address).await.unwrap(),
            received: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends a GET and reads the answer.
    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(format!(
            "GET {path} HTTP/1.1\r\nHost: shop.example.com\r\n\r\n"
        ))
        .await;
        self.answer().await
    }

    /// Reads one whole answer with a length or in chunks.
    pub(crate) async fn answer(&mut self) -> Answer {
        tokio::time::timeout(PATIENCE, self.read_answer())
            .await
            .expect("an answer comes in time")
    }

    async fn read_answer(&mut self) -> Answer {
        let head = loop {
            if let Some(at) = self.received.windows(4).position(|w| w == b"\r\n\r\n") {
                let rest = self.received.split_off(at + 4);
                let head = String::from_utf8(std::mem::replace(&mut self.received, rest)).unwrap();
                break head;
            }
            assert!(self.fill().await, "the connection ended before an answer");
        };
        let status = head[9..12].parse().unwrap();
        let lower = head.to_ascii_lowercase();
        let mut body = Vec::new();
        if lower.contains("transfer-encoding: chunked") {
            loop {
                let line = self.line().await;
                let size = usize::from_str_radix(&line, 16).unwrap();
                body.extend(self.take(size).await);
                assert_eq!(self.line().await, "");
                if size == 0 {
                    break;
                }
            }
        } else if let Some(rest) = lower.split("content-length: ").nth(1) {
            let length = rest.split("\r\n").next().unwrap().parse().unwrap();
            body = self.take(length).await;
        }
        Answer { status, head, body }
    }

    async fn line(&mut self) -> String {
        loop {
            if let Some(at) = self.received.windows(2).position(|w| w == b"\r\n") {
                let line = self.take(at).await;
                self.take(2).await;
                return String::from_utf8(line).unwrap();
            }
            assert!(self.fill().await, "the connection ended in a line");
        }
    }

    async fn take(&mut self, length: usize) -> Vec<u8> {
        while self.received.len() < length {
            assert!(self.fill().await, "the connection ended in a body");
        }
        let rest = self.received.split_off(length);
        std::mem::replace(&mut self.received, rest)
    }

    async fn fill(&mut self) -> bool {
        matches!(self.stream.read_buf(&mut self.received).await, Ok(1..))
    }

    /// Waits until the gateway ends the connection; what came before that.
    pub(crate) async fn rest(&mut self) -> String {
        let all = async { while self.fill().await {} };
        tokio::time::timeout(PATIENCE, all)
            .await
            .expect("the gateway ends the connection");
        String::from_utf8_lossy(&self.received).into_owned()
    }
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_| panic!("{what}"));
}
