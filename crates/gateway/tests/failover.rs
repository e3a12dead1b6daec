//! Requests whose endpoint fails: sent elsewhere when they may be, never when they must not.
#![allow(missing_docs, clippy::unwrap_used)]

mod rig;

use rig::*;
use std::net::TcpListener;
use tidegate_model::{Endpoint, PassiveCheck, Snapshot};

/// No probes and no ejection: only what happens inside each request.
fn by_request_only(snapshot: Snapshot) -> Snapshot {
    let mut snapshot = unprobed(snapshot);
    first(&mut snapshot.backends).health.passive = PassiveCheck {
        consecutive_failures: 0,
        ..PassiveCheck::default()
    };
    snapshot
}

async fn post(rig: &Rig) -> Answer {
    let request = "POST / HTTP/1.1\r\nHost: shop.example.com\r\nContent-Length: 2\r\n\r\nhi";
    rig.send(request.as_bytes()).await
}

#[tokio::test]
async fn repeatable_requests_meet_no_failure_of_one_cluster() {
    for mode in [
        Mode::Status(503),
        Mode::Status(502),
        Mode::Reset,
        Mode::Raw("nonsense"),
    ] {
        let bad = Backend::start("az1", mode);
        let good = Backend::start("az2", Mode::Serve);
        let rig = Rig::start(by_request_only(snapshot(&[&bad, &good]))).await;
        for _ in 0..20 {
            let answer = rig.get("/").await;
            assert_eq!(
                (answer.status, answer.body.as_str()),
                (200, "az2"),
                "{mode:?}"
            );
        }
        assert!(bad.requests() > 0, "{mode:?}: it was tried");
        rig.shutdown().await;
    }
}

#[tokio::test]
async fn a_refused_connection_moves_every_request() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = free.local_addr().unwrap();
    drop(free);
    let good = Backend::start("az2", Mode::Serve);
    let mut content = by_request_only(snapshot(&[&good]));
    first(&mut content.backends).clusters.insert(
        tidegate_model::ClusterName::new("az1").unwrap(),
        vec![Endpoint { address: closed }],
    );
    let rig = Rig::start(content).await;
    for _ in 0..10 {
        assert_eq!(rig.get("/").await.status, 200);
        assert_eq!(post(&rig).await.status, 200);
    }
    assert_eq!(good.requests(), 20);
    rig.shutdown().await;
}

#[tokio::test]
async fn a_request_that_must_not_be_repeated_is_sent_once() {
    for (mode, status) in [
        (Mode::Status(503), 503),
        (Mode::Reset, 502),
        (Mode::Raw("junk"), 502),
    ] {
        let bad = Backend::start("az1", mode);
        let other = Backend::start("az2", mode);
        let rig = Rig::start(by_request_only(snapshot(&[&bad, &other]))).await;
        for sent in 1..=10 {
            assert_eq!(post(&rig).await.status, status, "{mode:?}");
            assert_eq!(bad.requests() + other.requests(), sent, "{mode:?}");
        }
        rig.shutdown().await;
    }
}

#[tokio::test]
async fn a_silent_endpoint_costs_a_repeatable_request_nothing_but_time() {
    let silent = Backend::start("az1", Mode::Hang);
    let good = Backend::start("az2", Mode::Serve);
    let rig = Rig::start(by_request_only(snapshot(&[&silent, &good]))).await;
    for _ in 0..6 {
        let answer = rig.get("/").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "az2"));
    }
    assert!(silent.requests() > 0, "it was tried");
    rig.shutdown().await;
}

#[tokio::test]
async fn when_everybody_fails_the_last_answer_is_passed_on() {
    let backends = [
        Backend::start("az1", Mode::Status(503)),
        Backend::start("az2", Mode::Status(503)),
    ];
    let rig = Rig::start(snapshot(&[&backends[0], &backends[1]])).await;
    assert_eq!(rig.get("/").await.status, 503);
    for backend in &backends {
        backend.set(Mode::Reset);
    }
    let answer = rig.get("/").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (502, "no endpoint gave a usable answer\n")
    );
    rig.shutdown().await;
}

#[tokio::test]
async fn an_answer_cut_in_its_body_is_cut_for_the_client_too() {
    let raw = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this";
    let backend = Backend::start("az1", Mode::Raw(raw));
    let rig = Rig::start(snapshot(&[&backend])).await;
    assert_eq!(rig.get("/").await.body, "(cut)");
    rig.shutdown().await;
}
