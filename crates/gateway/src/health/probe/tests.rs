//! The prober against real sockets.

use super::*;
use crate::choose::Pick;
use crate::health::{Availability, Outcome, Part, Unavailable};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering::Relaxed};
use tidegate_model::{Backend, BackendId, ClusterName, Endpoint};
use tokio::net::TcpListener;

/// Answers every request with a status; 0 takes connections and says nothing.
struct Server {
    address: SocketAddr,
    status: Arc<AtomicU16>,
    connections: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    async fn start(address: SocketAddr, status: u16) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let status = Arc::new(AtomicU16::new(status));
        let connections = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn({
            let (status, connections) = (Arc::clone(&status), Arc::clone(&connections));
            async move {
                // Those that get no answer stay open, as at a process that is stopped.
                let mut silent = Vec::new();
                loop {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    connections.fetch_add(1, Relaxed);
                    let status = status.load(Relaxed);
                    if status == 0 {
                        silent.push(stream);
                        continue;
                    }
                    tokio::spawn(async move {
                        let mut request = [0; 1024];
                        // A bare connection ends without a request.
                        if matches!(stream.read(&mut request).await, Ok(1..)) {
                            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
                            let _ = stream.write_all(head.as_bytes()).await;
                        }
                    });
                }
            }
        });
        Self {
            address,
            status,
            connections,
            task,
        }
    }

    async fn local(status: u16) -> Self {
        Self::start(([127, 0, 0, 1], 0).into(), status).await
    }

    async fn stop(self) -> SocketAddr {
        self.task.abort();
        let _ = self.task.await;
        self.address
    }
}

struct Rig {
    health: Arc<HealthTable>,
    clock: Clock,
    shutdown: CancellationToken,
}

impl Rig {
    fn start() -> Self {
        let rig = Self {
            health: Arc::new(HealthTable::new()),
            clock: Clock::start(),
            shutdown: CancellationToken::new(),
        };
        tokio::spawn(run(
            Arc::clone(&rig.health),
            rig.clock,
            rig.shutdown.clone(),
        ));
        rig
    }

    /// One cluster an address.
    fn serve(&self, probe: Probe, addresses: &[SocketAddr]) -> Arc<BackendHealth> {
        let mut content = Backend::default();
        content.health.active = ActiveCheck {
            probe,
            interval: Duration::from_millis(30),
            timeout: Duration::from_millis(30),
            healthy_threshold: 2,
            unhealthy_threshold: 2,
        };
        // Longer than any test: only the prober can end an ejection.
        content.health.passive.base_ejection = Duration::from_secs(600);
        content.health.passive.max_ejection = Duration::from_secs(600);
        content.placement.return_.ramp = Duration::ZERO;
        for (i, address) in addresses.iter().enumerate() {
            let name = ClusterName::new(format!("c{i}")).unwrap();
            content
                .clusters
                .insert(name, vec![Endpoint { address: *address }]);
        }
        let id = BackendId::new("shop", "web", "80").unwrap();
        self.health.upsert(&id, &content, None)
    }

    async fn until(&self, backend: &BackendHealth, at: usize, expect: Availability) {
        let rule = backend.policy().placement.return_;
        let found = || {
            backend.endpoints()[at]
                .availability(&rule, self.clock.now())
                .0
        };
        until(&format!("{at} becomes {expect:?}"), || found() == expect).await;
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let came = tokio::time::timeout(Duration::from_secs(20), wait).await;
    came.unwrap_or_else(|_| panic!("within 20 s {what}"));
}

const SERVING: Availability = Availability::Serving(1.0);

#[tokio::test]
async fn an_endpoint_that_dies_is_found_and_found_again() {
    let rig = Rig::start();
    let (a, b) = (Server::local(200).await, Server::local(200).await);
    let backend = rig.serve(Probe::Tcp, &[a.address, b.address]);
    until("both are probed", || {
        a.connections.load(Relaxed) > 2 && b.connections.load(Relaxed) > 2
    })
    .await;
    let address = a.stop().await;
    rig.until(&backend, 0, Availability::Not(Unavailable::ProbeFailed))
        .await;
    rig.until(&backend, 1, SERVING).await;
    assert!(!rig.health.self_suspect());
    let again = b.stop().await;
    until("everything fails", || rig.health.self_suspect()).await;
    let _a = Server::start(address, 200).await;
    let _b = Server::start(again, 200).await;
    rig.until(&backend, 0, SERVING).await;
    rig.until(&backend, 1, SERVING).await;
    assert!(!rig.health.self_suspect());
}

#[tokio::test]
async fn an_http_check_heeds_the_status() {
    let rig = Rig::start();
    let (a, b) = (Server::local(200).await, Server::local(404).await);
    let probe = Probe::Http {
        path: "/healthz".to_owned(),
        host: String::new(),
    };
    let backend = rig.serve(probe, &[a.address, b.address]);
    rig.until(&backend, 1, Availability::Not(Unavailable::ProbeFailed))
        .await;
    rig.until(&backend, 0, SERVING).await;
    b.status.store(302, Relaxed);
    rig.until(&backend, 1, SERVING).await;
}

#[tokio::test]
async fn a_suspect_must_say_something_a_connection_is_not_enough() {
    let rig = Rig::start();
    let (a, b) = (Server::local(0).await, Server::local(200).await);
    let backend = rig.serve(Probe::Tcp, &[a.address, b.address]);
    let endpoint = Arc::clone(&backend.endpoints()[0]);
    let cluster = Arc::clone(endpoint.cluster());
    until("it is probed", || a.connections.load(Relaxed) > 0).await;
    let _out: Vec<Pick> = (0..3)
        .map(|_| Pick::begin(Arc::clone(&endpoint), Part::First, rig.clock.now()))
        .collect();
    let suspect = || cluster.suspect_since(rig.clock.now()).is_some();
    until("its silence is noticed without a request", suspect).await;
    let before = a.connections.load(Relaxed);
    until("it has been asked three times more", || {
        a.connections.load(Relaxed) >= before + 3
    })
    .await;
    assert!(suspect());
    a.status.store(405, Relaxed);
    until("a word from it is enough", || !suspect()).await;
    rig.until(&backend, 0, SERVING).await;
}

#[tokio::test]
async fn an_ejection_ends_when_errors_are_seen_to_end() {
    let rig = Rig::start();
    let (a, b) = (Server::local(503).await, Server::local(200).await);
    let backend = rig.serve(Probe::Tcp, &[a.address, b.address]);
    let endpoint = Arc::clone(&backend.endpoints()[0]);
    for _ in 0..3 {
        let now = rig.clock.now();
        Pick::begin(Arc::clone(&endpoint), Part::First, now)
            .finish(Outcome::Answered { status: 503 }, now);
    }
    let ejected = Availability::Not(Unavailable::Ejected);
    rig.until(&backend, 0, ejected).await;
    let before = a.connections.load(Relaxed);
    until("it was asked", || a.connections.load(Relaxed) >= before + 3).await;
    rig.until(&backend, 0, ejected).await;
    a.status.store(200, Relaxed);
    rig.until(&backend, 0, SERVING).await;
}

#[tokio::test]
async fn endpoints_that_are_gone_are_no_longer_asked() {
    let rig = Rig::start();
    let (a, b) = (Server::local(200).await, Server::local(200).await);
    rig.serve(Probe::Tcp, &[a.address]);
    until("it is probed", || a.connections.load(Relaxed) > 0).await;
    rig.serve(Probe::Tcp, &[b.address]);
    until("the other is probed", || b.connections.load(Relaxed) > 1).await;
    let before = a.connections.load(Relaxed);
    until("the other is probed on", || {
        b.connections.load(Relaxed) > 10
    })
    .await;
    // One probe may have been under way.
    assert!(a.connections.load(Relaxed) <= before + 1);
}

#[test]
fn runs_reach_their_thresholds() {
    let check = ActiveCheck {
        healthy_threshold: 2,
        unhealthy_threshold: 3,
        ..ActiveCheck::default()
    };
    let mut run = Run::default();
    let mut verdicts = Vec::new();
    for good in [true, true, false, false, true, false, false, false] {
        let (next, verdict) = run.after(good, &check);
        run = next;
        verdicts.push(verdict);
    }
    let yes = Some(true);
    assert_eq!(
        verdicts,
        [None, yes, None, None, None, None, None, Some(false)]
    );
}

#[test]
fn statuses_are_read_from_whole_first_lines_only() {
    assert_eq!(status(b"HTTP/1.1 204 No Content\r\n"), Some(204));
    assert_eq!(status(b"HTTP/1.0 503"), Some(503));
    assert_eq!(status(b"HTTP/1.1 20"), None);
    assert_eq!(status(b"SSH-2.0-x"), None);
}
