//! Requests that go well: routes, connections, bodies, drain, swaps, restarts.
#![allow(missing_docs, clippy::unwrap_used)]

mod rig;

use rig::*;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

#[tokio::test]
async fn a_request_reaches_the_backend_in_normal_form_and_comes_back() {
    let backend = Backend::start("az1", Mode::Serve);
    let rig = Rig::start(snapshot(&[&backend])).await;
    let request = "GET /a/../b%41?q=/../x HTTP/1.1\r\nHost: Shop.Example.com:80\r\n\
                   X-Forwarded-For: 6.6.6.6\r\nConnection: x-hop\r\nX-Hop: 1\r\nAccept: a/b\r\n\r\n";
    let answer = rig.send(request.as_bytes()).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "az1"));
    let seen = backend.received();
    assert!(seen.contains("GET /bA?q=/../x HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("Host: Shop.Example.com:80\r\n"), "{seen}");
    assert!(seen.contains("X-Forwarded-For: 127.0.0.1\r\n"), "{seen}");
    assert!(seen.contains("Accept: a/b\r\n"), "{seen}");
    assert!(
        !seen.contains("6.6.6.6") && !seen.contains("X-Hop"),
        "{seen}"
    );
    rig.shutdown().await;
}

#[tokio::test]
async fn what_has_no_route_or_no_endpoint_is_told_apart() {
    let backend = Backend::start("az1", Mode::Serve);
    let rig = Rig::start(snapshot(&[&backend])).await;
    let other = "GET / HTTP/1.1\r\nHost: other.example.com\r\n\r\n";
    assert_eq!(rig.send(other.as_bytes()).await.status, 404);
    rig.publish(snapshot(&[])).await;
    assert_eq!(rig.get("/").await.status, 503);
    rig.shutdown().await;
}

#[tokio::test]
async fn a_connection_carries_many_requests_also_pipelined_ones_and_so_does_the_one_behind_it() {
    let backend = Backend::start("az1", Mode::Serve);
    let rig = Rig::start(unprobed(snapshot(&[&backend]))).await;
    let http = rig.http;
    tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let one = "GET / HTTP/1.1\r\nHost: shop.example.com\r\n\r\n";
        for _ in 0..50 {
            stream.write_all(one.as_bytes()).unwrap();
            assert_eq!(read_answer(&mut stream).status, 200);
        }
        stream.write_all(one.repeat(200).as_bytes()).unwrap();
        stream.write_all(b"BAD\r\n\r\n").unwrap();
        for _ in 0..200 {
            assert_eq!(read_answer(&mut stream).status, 200);
        }
        assert_eq!(read_answer(&mut stream).status, 400);
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    })
    .await
    .unwrap();
    assert_eq!((backend.requests(), backend.connections()), (250, 1));
    rig.shutdown().await;
}

#[tokio::test]
async fn an_http10_client_is_answered_and_the_connection_closed() {
    let backend = Backend::start("az1", Mode::Serve);
    let rig = Rig::start(snapshot(&[&backend])).await;
    let request = b"GET / HTTP/1.0\r\nHost: shop.example.com\r\n\r\n";
    let answer = rig.send(request).await;
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("Connection: close"), "{}", answer.head);
    rig.shutdown().await;
}

#[tokio::test]
async fn bodies_go_both_ways_whatever_their_framing() {
    let backend = Backend::start("az1", Mode::Serve);
    let rig = Rig::start(snapshot(&[&backend])).await;
    for method in ["POST", "PUT"] {
        let chunked = format!(
            "{method} / HTTP/1.1\r\nHost: shop.example.com\r\nTransfer-Encoding: chunked\r\n\r\n\
             5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: x\r\n\r\n"
        );
        assert_eq!(rig.send(chunked.as_bytes()).await.status, 200);
        let large = "y".repeat(3_000_000);
        let long = format!(
            "{method} / HTTP/1.1\r\nHost: shop.example.com\r\nContent-Length: {}\r\n\r\n{large}",
            large.len()
        );
        assert_eq!(rig.send(long.as_bytes()).await.status, 200);
    }
    assert_eq!(backend.requests(), 4);
    assert!(
        !backend.received().contains("Trailer"),
        "trailers are dropped"
    );
    let answer = rig.get("/bytes/5000000").await;
    assert_eq!(answer.body.len(), 5_000_000);
    rig.shutdown().await;
}

#[tokio::test]
async fn an_answer_without_a_length_becomes_chunks() {
    let raw = "HTTP/1.1 200 OK\r\nX-A: b\r\n\r\nto the end";
    let backend = Backend::start("az1", Mode::Raw(raw));
    let rig = Rig::start(snapshot(&[&backend])).await;
    let answer = rig.get("/").await;
    assert_eq!(answer.body, "a\r\nto the end\r\n0\r\n\r\n");
    rig.shutdown().await;
}

#[tokio::test]
async fn requests_in_flight_are_finished_after_the_signal_to_stop() {
    let backend = Backend::start("az1", Mode::Wait);
    let rig = Rig::start(snapshot(&[&backend])).await;
    let http = rig.http;
    let request = "POST / HTTP/1.1\r\nHost: shop.example.com\r\nContent-Length: 1\r\n\r\nx";
    let client = tokio::task::spawn_blocking(move || {
        let mut idle = TcpStream::connect(http).unwrap();
        let mut stream = TcpStream::connect(http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        idle.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        (read_answer(&mut stream), idle.read(&mut [0]).unwrap())
    });
    wait(|| backend.requests() == 1).await;
    rig.stop.cancel();
    wait(|| TcpStream::connect(http).is_err()).await;
    backend.set(Mode::Serve);
    let (answer, idle) = tokio::time::timeout(PATIENCE, client)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.head.contains("Connection: close"), "{}", answer.head);
    assert_eq!(idle, 0, "idle connections are closed");
    rig.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_snapshots_under_load_fail_no_request() {
    let backends = [
        Backend::start("az1", Mode::Serve),
        Backend::start("az2", Mode::Serve),
    ];
    let all: Vec<&Backend> = backends.iter().collect();
    let rig = Rig::start(snapshot(&all)).await;
    let (http, stop) = (rig.http, Arc::new(AtomicBool::new(false)));
    let served = Arc::new(AtomicU32::new(0));
    let load = {
        let (stop, served) = (Arc::clone(&stop), Arc::clone(&served));
        tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(http).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut counts = BTreeMap::new();
            while !stop.load(SeqCst) {
                stream
                    .write_all(b"GET / HTTP/1.1\r\nHost: shop.example.com\r\n\r\n")
                    .unwrap();
                *counts
                    .entry(read_answer(&mut stream).status)
                    .or_insert(0_u32) += 1;
                served.fetch_add(1, SeqCst);
            }
            counts
        })
    };
    for round in 0..200 {
        let some = &all[..1 + round % 2];
        rig.publish(snapshot(some)).await;
    }
    let before = served.load(SeqCst);
    wait(|| served.load(SeqCst) > before + 10).await;
    stop.store(true, SeqCst);
    let counts = load.await.unwrap();
    assert_eq!(
        counts.keys().copied().collect::<Vec<_>>(),
        [200],
        "{counts:?}"
    );
    rig.shutdown().await;
}

#[tokio::test]
async fn a_gateway_without_a_hub_serves_what_it_accepted_last() {
    let backend = Backend::start("az1", Mode::Serve);
    let rig = Rig::start(snapshot(&[&backend])).await;
    let file = rig.dir.path().join("gateway").join("snapshot.json");
    wait(|| file.exists()).await;
    let Rig {
        stop,
        ended,
        dir,
        publisher,
        ..
    } = rig;
    drop(publisher);
    stop.cancel();
    ended.unwrap().await.unwrap();
    let feed = feed_of(&dir);
    let rig = Rig::start_in(dir, Some(feed)).await;
    assert_eq!(rig.get("/").await.status, 200);
    rig.shutdown().await;
}

#[tokio::test]
async fn a_damaged_snapshot_is_named_and_the_one_before_served() {
    let backend = Backend::start("az1", Mode::Serve);
    let rig = Rig::start(snapshot(&[&backend])).await;
    let folder = rig.dir.path().join("gateway");
    wait(|| folder.join("snapshot.json").exists()).await;
    rig.publish(snapshot(&[])).await;
    rig.publish(snapshot(&[&backend])).await;
    wait(|| folder.join("snapshot.previous.json").exists()).await;
    let Rig {
        stop,
        ended,
        dir,
        publisher,
        ..
    } = rig;
    drop(publisher);
    stop.cancel();
    ended.unwrap().await.unwrap();
    std::fs::write(folder.join("snapshot.json"), "").unwrap();
    let rig = Rig::start_in(dir, None).await;
    let status = rig.status_page().await;
    assert!(status["generation"].as_u64().unwrap() > 0, "{status}");
    let refused = status["refused_snapshots"].to_string();
    assert!(
        refused.contains("snapshot.json: the file is empty"),
        "{refused}"
    );
    rig.shutdown().await;
}

async fn wait(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
}
