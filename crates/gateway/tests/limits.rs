//! Limits through real sockets: how much is under way, and how fast answers go.
#![allow(missing_docs, clippy::unwrap_used)]

mod rig;

use rig::*;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tidegate_model::{ConcurrencyLimit, LimitBy, LimitOf, OverLimit, Pace, Route, Snapshot};

/// The one route of the snapshot, changed.
fn with(mut snapshot: Snapshot, change: impl FnOnce(&mut Route)) -> Snapshot {
    snapshot = unprobed(snapshot);
    change(&mut first(&mut snapshot.hosts)[0]);
    snapshot
}

fn at_most(requests: u32, by: LimitBy) -> ConcurrencyLimit {
    ConcurrencyLimit {
        requests,
        by,
        of: LimitOf::Gateway,
        over: OverLimit {
            body: Some("{\"busy\":true}".to_owned()),
            content_type: "application/json".to_owned(),
            ..OverLimit::default()
        },
        exempt: Vec::new(),
    }
}

fn ask(rig: &Rig, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(rig.http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: shop.example.com\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let wait = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, wait).await;
    assert!(waited.is_ok(), "{what}");
}

#[tokio::test]
async fn a_request_too_many_is_told_what_the_rule_says_and_a_place_is_free_when_another_ends() {
    for by in [LimitBy::Client, LimitBy::Route] {
        let backend = Backend::start("az1", Mode::Wait);
        let content = with(snapshot(&[&backend]), |route| {
            route.filters.concurrency_limit = vec![at_most(2, by)];
        });
        let rig = Rig::start(content).await;
        let mut under_way = [ask(&rig, "/a"), ask(&rig, "/b")];
        until("both are under way", || backend.requests() == 2).await;
        let refused = rig.get("/c").await;
        assert_eq!((refused.status, &*refused.body), (429, "{\"busy\":true}"));
        let kind = "Content-Type: application/json\r\n";
        assert!(refused.head.contains(kind), "{}", refused.head);
        // One that leaves makes room as well as one that is answered.
        let left = std::mem::replace(&mut under_way[0], ask(&rig, "/refused"));
        assert_eq!(read_answer(&mut under_way[0]).status, 429);
        drop(left);
        let third = async {
            loop {
                let stream = ask(&rig, "/third");
                stream
                    .set_read_timeout(Some(Duration::from_millis(100)))
                    .unwrap();
                let mut byte = [0];
                match stream.peek(&mut byte) {
                    Ok(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                    // It waits for the backend: it was let in.
                    Err(_) => return stream,
                }
            }
        };
        let mut third = tokio::time::timeout(PATIENCE, third).await.unwrap();
        backend.set(Mode::Serve);
        assert_eq!(read_answer(&mut under_way[1]).status, 200);
        third.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(read_answer(&mut third).status, 200);
        for _ in 0..5 {
            assert_eq!(rig.get("/d").await.status, 200);
        }
        rig.shutdown().await;
    }
}

#[tokio::test]
async fn the_limit_of_all_gateways_is_shared_among_them() {
    let backend = Backend::start("az1", Mode::Wait);
    let mut content = with(snapshot(&[&backend]), |route| {
        let limit = at_most(4, LimitBy::Route);
        route.filters.concurrency_limit = vec![ConcurrencyLimit {
            of: LimitOf::Fleet,
            ..limit
        }];
    });
    content.settings.gateways = 4;
    let rig = Rig::start(content).await;
    let mut mine = ask(&rig, "/mine");
    until("it is under way", || backend.requests() == 1).await;
    assert_eq!(rig.get("/of-another").await.status, 429);
    backend.set(Mode::Serve);
    assert_eq!(read_answer(&mut mine).status, 200);
    rig.shutdown().await;
}

#[tokio::test]
async fn a_web_socket_has_its_place_until_it_is_closed() {
    const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                          Sec-WebSocket-Accept: x\r\n\r\n";
    let backend = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = backend.local_addr().unwrap();
    let mut content = with(snapshot(&[]), |route| {
        route.filters.concurrency_limit = vec![at_most(1, LimitBy::Client)];
    });
    let az1 = tidegate_model::ClusterName::new("az1").unwrap();
    let endpoints = vec![tidegate_model::Endpoint { address }];
    first(&mut content.backends).clusters.insert(az1, endpoints);
    let rig = Rig::start(content).await;
    let mut client = TcpStream::connect(rig.http).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let ask = "GET /chat HTTP/1.1\r\nHost: shop.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
               Sec-WebSocket-Key: y\r\nSec-WebSocket-Version: 13\r\n\r\n";
    client.write_all(ask.as_bytes()).unwrap();
    let (mut endpoint, _) = backend.accept().unwrap();
    read_answer(&mut endpoint);
    endpoint.write_all(SWITCH.as_bytes()).unwrap();
    assert_eq!(read_answer(&mut client).status, 101);
    client.write_all(b"ping").unwrap();
    let mut heard = [0; 4];
    endpoint.read_exact(&mut heard).unwrap();
    assert_eq!(rig.get("/another").await.status, 429);
    drop((client, endpoint));
    // Nobody answers it, but it is let in.
    let let_in = async {
        loop {
            let stream = rig_ask(&rig);
            match rig_status(stream).await {
                Some(429) => tokio::time::sleep(Duration::from_millis(5)).await,
                other => return other,
            }
        }
    };
    let status = tokio::time::timeout(PATIENCE, let_in).await.unwrap();
    assert_eq!(status, None);
    rig.shutdown().await;
}

fn rig_ask(rig: &Rig) -> TcpStream {
    let stream = ask(rig, "/later");
    let moment = Duration::from_millis(100);
    stream.set_read_timeout(Some(moment)).unwrap();
    stream
}

/// The status of an answer that comes within a moment.
async fn rig_status(mut stream: TcpStream) -> Option<u16> {
    let read = move || read_answer(&mut stream).status;
    let status = tokio::task::spawn_blocking(read).await.unwrap();
    (status != 0).then_some(status)
}

#[tokio::test]
async fn an_answer_goes_at_its_pace_after_a_part_at_full_speed() {
    let backend = Backend::start("az1", Mode::Serve);
    let content = with(snapshot(&[&backend]), |route| {
        route.filters.pace = Some(Pace {
            bytes_per_second: 100_000,
            after: 50_000,
        });
    });
    let rig = Rig::start(content).await;
    // 150 kB at once, the rest in 1.5 s. Slower is the machine's affair.
    let begun = Instant::now();
    let slow = rig.get("/bytes/300000").await;
    assert_eq!((slow.status, slow.body.len()), (200, 300_000));
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(1450), "{took:?}");
    // What fits into the first part is not held back.
    let small = rig.get("/bytes/100").await;
    assert_eq!((small.status, small.body.len()), (200, 100));
    rig.shutdown().await;
}

#[tokio::test]
async fn a_slow_pace_is_no_silence_and_a_client_that_leaves_ends_it() {
    let backend = Backend::start("az1", Mode::Serve);
    let mut content = with(snapshot(&[&backend]), |route| {
        route.filters.pace = Some(Pace {
            bytes_per_second: 1000,
            after: 0,
        });
    });
    // Each wait is longer than the silence that ends an answer.
    content.settings.timeouts.body_idle = Duration::from_millis(20);
    let rig = Rig::start(content).await;
    let begun = Instant::now();
    let slow = rig.get("/bytes/2000").await;
    assert_eq!((slow.status, slow.body.len()), (200, 2000));
    assert!(begun.elapsed() >= Duration::from_millis(950));
    let mut leaves = ask(&rig, "/bytes/1000000");
    let mut some = [0; 500];
    leaves.read_exact(&mut some).unwrap();
    drop(leaves);
    // Ended, or the drain would wait for it a quarter of an hour.
    rig.shutdown().await;
}
