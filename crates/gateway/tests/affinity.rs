//! Sessions and keys through real sockets.
#![allow(missing_docs, clippy::unwrap_used)]

mod rig;

use rig::*;
use tidegate_model::{
    Affinity, AffinityMode, Algorithm, Balance, Hash, KeyPart, OnFailure, Snapshot,
};

fn with(mut snapshot: Snapshot, balance: &Balance) -> Snapshot {
    first(&mut snapshot.backends).balance = balance.clone();
    unprobed(snapshot)
}

fn sessions(mode: AffinityMode, on_failure: OnFailure) -> Balance {
    Balance {
        affinity: Some(Affinity {
            mode,
            on_failure,
            ..Affinity::default()
        }),
        ..Balance::default()
    }
}

/// An answer, and the cookie that came with it.
async fn ask(rig: &Rig, lines: &str) -> (Answer, Option<String>) {
    let request = format!("GET / HTTP/1.1\r\nHost: shop.example.com\r\n{lines}\r\n");
    let answer = rig.send(request.as_bytes()).await;
    let mut head = answer.head.lines();
    let cookie = head.find_map(|line| line.strip_prefix("Set-Cookie: "));
    let cookie = cookie.map(|line| line.split(';').next().unwrap().to_owned());
    (answer, cookie)
}

#[tokio::test]
async fn a_client_comes_back_to_its_endpoint_until_that_is_gone() {
    let backends = ["az1", "az2", "az3"].map(|name| Backend::start(name, Mode::Serve));
    let all: Vec<&Backend> = backends.iter().collect();
    for mode in [AffinityMode::Balanced, AffinityMode::Persistent] {
        let content = with(snapshot(&all), &sessions(mode, OnFailure::Move));
        let rig = Rig::start(content).await;
        let (first, cookie) = ask(&rig, "").await;
        let line = format!("Cookie: theme=dark; {}\r\n", cookie.unwrap());
        for _ in 0..10 {
            let (again, cookie) = ask(&rig, &line).await;
            assert_eq!((again.body.as_str(), cookie), (first.body.as_str(), None));
        }
        let own = backends
            .iter()
            .find(|b| first.body.contains(b.name))
            .unwrap();
        own.set(Mode::Reset);
        // Served by another in the same request, and from then on.
        let (moved, cookie) = ask(&rig, &line).await;
        assert_eq!(moved.status, 200, "{mode:?}: {}", moved.head);
        assert_ne!(moved.body, first.body);
        let line = format!("Cookie: {}\r\n", cookie.expect("a new cookie"));
        let (again, _) = ask(&rig, &line).await;
        assert_eq!(again.body, moved.body);
        own.set(Mode::Serve);
        rig.shutdown().await;
    }
}

#[tokio::test]
async fn what_the_endpoint_of_a_session_answers_is_passed_on_if_sessions_stay() {
    let backends = ["az1", "az2"].map(|name| Backend::start(name, Mode::Serve));
    let all: Vec<&Backend> = backends.iter().collect();
    let content = with(
        snapshot(&all),
        &sessions(AffinityMode::Persistent, OnFailure::Stay),
    );
    let rig = Rig::start(content).await;
    let (first, cookie) = ask(&rig, "").await;
    let line = format!("Cookie: {}\r\n", cookie.unwrap());
    let own = backends
        .iter()
        .find(|b| first.body.contains(b.name))
        .unwrap();
    own.set(Mode::Status(503));
    let (answer, cookie) = ask(&rig, &line).await;
    assert_eq!((answer.status, cookie), (503, None));
    // A client without a session is served by the other.
    own.set(Mode::Reset);
    let (answer, _) = ask(&rig, "").await;
    assert_eq!(answer.status, 200);
    // One that cannot be asked at all is no reason to fail.
    let (answer, _) = ask(&rig, &line).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn requests_with_equal_keys_go_to_one_endpoint() {
    let backends = ["az1", "az2", "az3"].map(|name| Backend::start(name, Mode::Serve));
    let all: Vec<&Backend> = backends.iter().collect();
    let by = vec![KeyPart::Header("x-user".to_owned())];
    let balance = Balance {
        algorithm: Algorithm::Hash(Hash { by, subset: None }),
        ..Balance::default()
    };
    let rig = Rig::start(with(snapshot(&all), &balance)).await;
    let mut served = std::collections::BTreeSet::new();
    for user in 0..24 {
        let line = format!("X-User: u{user}\r\n");
        let (first, cookie) = ask(&rig, &line).await;
        assert_eq!(cookie, None);
        for _ in 0..3 {
            assert_eq!(ask(&rig, &line).await.0.body, first.body);
        }
        served.insert(first.body);
    }
    assert_eq!(served.len(), 3);
    // Without the key: one after the other.
    let mut free = std::collections::BTreeSet::new();
    for _ in 0..6 {
        free.insert(ask(&rig, "").await.0.body);
    }
    assert_eq!(free.len(), 3);
}
