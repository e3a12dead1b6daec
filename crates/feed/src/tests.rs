//! The feed as a whole, over real sockets, and the algebra of deltas.

use crate::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tidegate_model::*;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A snapshot with hosts and backends by number, and a certificate for each backend; equal numbers and values
/// make equal parts.
pub(crate) fn snapshot(hosts: &BTreeMap<u8, u8>, backends: &BTreeMap<u8, u8>) -> Snapshot {
    let mut snapshot = Snapshot::empty(Generation(0));
    for (name, value) in hosts {
        let route = Route::new(
            RouteId(format!("shop/web#{value}.0")),
            PathMatch::prefix("/").unwrap(),
            Action::Respond(200 + u16::from(*value)),
        );
        let host = HostPattern::parse(&format!("h{name}.example.com")).unwrap();
        snapshot.hosts.insert(host, vec![route].into());
    }
    for (name, value) in backends {
        let endpoint = Endpoint {
            address: ([127, 0, 0, 1], 1000 + u16::from(*value)).into(),
        };
        let backend = Backend {
            clusters: [(ClusterName::new("az1").unwrap(), vec![endpoint])].into(),
            ..Backend::default()
        };
        let id = BackendId::new("shop", &format!("s{name}"), "80").unwrap();
        snapshot.backends.insert(id, backend.into());
        let certificate = Certificate {
            chain: format!("chain {value}"),
            key: PrivateKey(format!("key {value}")),
        };
        let id = CertificateId::new(format!("shop/t{}", name / 2)).unwrap();
        let host = HostPattern::parse(&format!("t{name}.example.com")).unwrap();
        snapshot.tls.insert(host, id.clone());
        snapshot.certificates.insert(id, certificate.into());
    }
    snapshot
}

fn numbered(value: u8) -> Snapshot {
    snapshot(&[(1, value), (2, 0)].into(), &[(1, value)].into())
}

fn parts() -> impl Strategy<Value = (BTreeMap<u8, u8>, BTreeMap<u8, u8>, u64)> {
    let map = || proptest::collection::btree_map(0..6_u8, 0..3_u8, 0..6);
    (map(), map(), 1..3_u64)
}

fn built((hosts, backends, connect): (BTreeMap<u8, u8>, BTreeMap<u8, u8>, u64)) -> Snapshot {
    let mut snapshot = snapshot(&hosts, &backends);
    snapshot.settings.timeouts.connect = Duration::from_secs(connect);
    snapshot
}

proptest! {
    #[test]
    fn a_delta_leads_from_one_snapshot_to_the_other(old in parts(), new in parts()) {
        let (old, mut new) = (built(old), built(new));
        new.generation = Generation(1);
        let digest = Digest::of(&old);
        let delta = Delta::between(&old, digest, &new);
        prop_assert_eq!(delta.digest, Digest::of(&new));
        let wire = serde_json::to_vec(&delta).unwrap();
        let delta: Delta = serde_json::from_slice(&wire).unwrap();
        prop_assert_eq!(delta.apply(&old, digest).unwrap(), new);
    }

    #[test]
    fn digests_are_equal_when_contents_are(a in parts(), b in parts()) {
        let (a, b) = (built(a), built(b));
        prop_assert_eq!(Digest::of(&a) == Digest::of(&b), a == b);
    }

    #[test]
    fn any_text_is_an_address_or_refused(text in "(unix:)?.{0,20}") {
        if let Ok(address) = text.parse::<FeedAddress>() {
            prop_assert_eq!(address.to_string().parse::<FeedAddress>().unwrap(), address);
        }
    }
}

#[test]
fn a_delta_for_something_else_is_noticed() {
    let (old, mut new) = (numbered(1), numbered(2));
    new.generation = Generation(1);
    let digest = Digest::of(&old);
    let delta = Delta::between(&old, digest, &new);
    let other = numbered(3);
    assert!(matches!(
        delta.clone().apply(&other, Digest::of(&other)),
        Err(DeltaMismatch::Base { .. })
    ));
    let mut wrong = delta;
    wrong.digest = digest;
    assert!(matches!(
        wrong.apply(&old, digest),
        Err(DeltaMismatch::Result { .. })
    ));
}

#[test]
fn addresses_beyond_this_machine_are_refused() {
    let refused = |text: &str, why: &str| {
        let error = text.parse::<FeedAddress>().unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    refused("10.1.2.3:9000", "loopback");
    refused("0.0.0.0:9000", "loopback");
    refused("unix:", "a path must follow");
    refused(&format!("unix:/{}", "a".repeat(200)), "shorter");
    refused("localhost:1", "write 'unix:/path' or 'IP:PORT'");
}

/// A receiver under test, which remembers what it applied.
struct Rig {
    applied: watch::Receiver<Option<Arc<Snapshot>>>,
    connection: watch::Receiver<Connection>,
    log: Arc<Mutex<Vec<Generation>>>,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Rig {
    fn start(address: &FeedAddress, dir: &Path, refuse: Option<u8>) -> Self {
        let store = LastKnownGood::open(dir).unwrap();
        let start = store.load().snapshot;
        let (to_applied, applied) = watch::channel(start.clone());
        let (to_connection, connection) = watch::channel(Connection::default());
        let shutdown = CancellationToken::new();
        let log = Arc::new(Mutex::new(Vec::new()));
        let apply = {
            let log = Arc::clone(&log);
            move |new: &Arc<Snapshot>| {
                if refuse.is_some_and(|value| Some(value) == value_of(new)) {
                    return Err("not this one".to_owned());
                }
                log.lock().unwrap().push(new.generation);
                to_applied.send_replace(Some(Arc::clone(new)));
                Ok(())
            }
        };
        let task = tokio::spawn(receive(
            address.clone(),
            "gw1".to_owned(),
            start,
            store,
            apply,
            to_connection,
            shutdown.clone(),
        ));
        Self {
            applied,
            connection,
            log,
            shutdown,
            task,
        }
    }

    async fn has(&mut self, value: u8) -> Arc<Snapshot> {
        let has = |s: &Option<Arc<Snapshot>>| s.as_ref().and_then(|s| value_of(s)) == Some(value);
        within(self.applied.wait_for(has))
            .await
            .unwrap()
            .clone()
            .unwrap()
    }

    async fn stop(self) {
        self.shutdown.cancel();
        within(self.task).await.unwrap();
    }
}

fn value_of(snapshot: &Snapshot) -> Option<u8> {
    let backend = snapshot.backends.values().next()?;
    let endpoint = backend.clusters.values().next()?.first()?;
    u8::try_from(endpoint.address.port() - 1000).ok()
}

async fn within<T>(wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), wait)
        .await
        .expect("it comes within 20 s")
}

fn unix(dir: &Path) -> FeedAddress {
    FeedAddress::Unix(dir.join("feed.sock"))
}

async fn accepted(publisher: &Publisher, generation: Generation) {
    let mut receivers = publisher.receivers();
    let all = within(receivers.wait_for(|all| {
        all.iter()
            .any(|r| r.name == "gw1" && r.connected && r.accepted == Some(generation))
    }))
    .await;
    all.unwrap();
}

#[tokio::test]
async fn a_change_reaches_a_receiver_and_equal_content_is_not_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let publisher = Publisher::bind(&unix(dir.path()), dir.path())
        .await
        .unwrap();
    let mut rig = Rig::start(publisher.address(), &dir.path().join("gw"), None);
    let first = publisher.publish(numbered(1)).unwrap();
    assert_eq!(rig.has(1).await.generation, first);
    accepted(&publisher, first).await;
    assert_eq!(publisher.publish(numbered(1)).unwrap(), first);
    let second = publisher.publish(numbered(2)).unwrap();
    assert_eq!(second, first.next());
    let mut expect = numbered(2);
    expect.generation = second;
    assert_eq!(*rig.has(2).await, expect);
    accepted(&publisher, second).await;
    assert_eq!(*rig.log.lock().unwrap(), [first, second]);
    rig.stop().await;
}

#[tokio::test]
async fn a_receiver_starts_from_disk_and_finds_a_new_publisher() {
    let dir = tempfile::tempdir().unwrap();
    let gw = dir.path().join("gw");
    let publisher = Publisher::bind(&unix(dir.path()), dir.path())
        .await
        .unwrap();
    let mut rig = Rig::start(publisher.address(), &gw, None);
    publisher.publish(numbered(1)).unwrap();
    let had = rig.has(1).await.generation;

    // The publisher dies; one with an empty state folder takes its place and must come after what was sent.
    let address = publisher.address().clone();
    drop(publisher);
    let lost = |c: &Connection| matches!(c, Connection::Lost { .. });
    within(rig.connection.wait_for(lost)).await.unwrap();
    let fresh = dir.path().join("fresh");
    let publisher = Publisher::bind(&address, &fresh).await.unwrap();
    publisher.publish(numbered(2)).unwrap();
    let newer = rig.has(2).await.generation;
    assert!(newer > had, "{newer} comes after {had}");
    accepted(&publisher, newer).await;
    rig.stop().await;

    drop(publisher);
    let mut rig = Rig::start(&address, &gw, None);
    assert_eq!(rig.has(2).await.generation, newer);
    rig.stop().await;
}

#[tokio::test]
async fn a_refused_snapshot_is_reported_and_a_later_one_still_taken() {
    let dir = tempfile::tempdir().unwrap();
    let publisher = Publisher::bind(&unix(dir.path()), dir.path())
        .await
        .unwrap();
    let mut rig = Rig::start(publisher.address(), &dir.path().join("gw"), Some(2));
    publisher.publish(numbered(1)).unwrap();
    rig.has(1).await;
    let bad = publisher.publish(numbered(2)).unwrap();
    let mut receivers = publisher.receivers();
    let told = |all: &Vec<ReceiverStatus>| {
        all.iter()
            .any(|r| r.refused == Some((bad, "not this one".to_owned())))
    };
    within(receivers.wait_for(told)).await.unwrap();
    let good = publisher.publish(numbered(3)).unwrap();
    rig.has(3).await;
    accepted(&publisher, good).await;
    rig.stop().await;
}

#[tokio::test]
async fn garbage_from_a_peer_ends_its_connection_only() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let dir = tempfile::tempdir().unwrap();
    let loopback = "127.0.0.1:0".parse().unwrap();
    let publisher = Publisher::bind(&loopback, dir.path()).await.unwrap();
    let FeedAddress::Tcp(port) = *publisher.address() else {
        panic!("a TCP address was asked for");
    };
    let mut rig = Rig::start(publisher.address(), &dir.path().join("gw"), None);
    publisher.publish(numbered(1)).unwrap();
    rig.has(1).await;
    for garbage in [
        &b"\xff\xff\xff\xff"[..],
        b"\0\0\0\0",
        b"\0\0\0\x02{}",
        b"\0\0\0\x05hello",
        br#"    {"kind":"pong"}"#,
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let mut stream = tokio::net::TcpStream::connect(port).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // Refused with a reason or reset; what counts is that it ends.
        let _ = within(stream.read_to_end(&mut answer)).await;
    }
    let second = publisher.publish(numbered(2)).unwrap();
    rig.has(2).await;
    accepted(&publisher, second).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_socket_in_use_is_not_taken_and_a_stale_one_is() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let address = unix(dir.path());
    let first = Publisher::bind(&address, dir.path()).await.unwrap();
    let second = Publisher::bind(&address, &dir.path().join("b")).await;
    assert!(matches!(second, Err(PublishError::InUse { .. })));
    drop(first);
    let socket = dir.path().join("feed.sock");
    // The task that held the socket ends soon after the publisher is dropped.
    within(async {
        while tokio::net::UnixStream::connect(&socket).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let again = Publisher::bind(&address, dir.path()).await.unwrap();
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    drop(again);
}

#[tokio::test]
async fn numbers_are_never_used_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut last = Generation(0);
    for round in 0..3_u8 {
        let address = unix(&dir.path().join(round.to_string()));
        let publisher = Publisher::bind(&address, dir.path()).await.unwrap();
        for value in 0..150 {
            let generation = publisher.publish(numbered(value)).unwrap();
            assert!(generation > last);
            last = generation;
        }
    }
    std::fs::write(dir.path().join("generation"), "no number").unwrap();
    let publisher = Publisher::bind(&unix(dir.path()), dir.path())
        .await
        .unwrap();
    assert_eq!(publisher.publish(numbered(0)).unwrap(), Generation(1));
}
