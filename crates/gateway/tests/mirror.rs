//! Copies of requests.
#![allow(missing_docs, clippy::unwrap_used)]

mod rig;

use rig::*;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;
use tidegate_model::{KeyPart, Mirror, Snapshot};

/// The shop, of whose requests `test` gets copies.
fn mirrored(shop: &Backend, test: &Backend, change: impl FnOnce(&mut Mirror)) -> Snapshot {
    let mut content = unprobed(snapshot(&[shop]));
    let mut mirror = Mirror {
        backend: beside(&mut content, "shop", "test", test),
        percent: 100,
        body: true,
        uri: Vec::new(),
        host: Vec::new(),
    };
    change(&mut mirror);
    let filters = &mut first(&mut content.hosts)[0].filters;
    filters.rewrite.path = Some(tidegate_model::PathRewrite::Prefix("/inner".to_owned()));
    filters.mirror = Some(mirror);
    content
}

async fn until(what: &str, is: impl Fn() -> bool) {
    let wait = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, wait).await;
    assert!(waited.is_ok(), "{what}");
}

async fn counted(rig: &Rig, what: &str) -> u64 {
    rig.status_page().await["traffic"][what].as_u64().unwrap()
}

#[tokio::test]
async fn a_copy_is_the_request_as_its_own_backend_gets_it_unless_the_rule_says_otherwise() {
    let (shop, test) = (
        Backend::start("az1", Mode::Serve),
        Backend::start("test", Mode::Serve),
    );
    let rig = Rig::start(mirrored(&shop, &test, |_| {})).await;
    let post = "POST /cart?a=1 HTTP/1.1\r\nHost: shop.example.com\r\nX-A: b\r\nContent-Length: 4\r\n\r\nbody";
    let chunked = "PUT /c HTTP/1.1\r\nHost: shop.example.com\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nxy\r\n0\r\n\r\n";
    for (count, request) in [(1, post), (2, chunked)] {
        let answer = rig.send(request.as_bytes()).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "az1"));
        until("the copy arrives", || test.requests() == count).await;
    }
    // Byte for byte, names of requests among them.
    assert_eq!(test.received(), shop.received());
    assert!(test.received().starts_with("POST /inner/cart?a=1 "));
    assert_eq!(test.connections(), 1, "its connection is used again");
    assert_eq!(counted(&rig, "mirrored").await, 2);

    let changed = mirrored(&shop, &test, |mirror| {
        mirror.body = false;
        mirror.uri = vec![KeyPart::Text("/copy".to_owned()), KeyPart::Uri];
        mirror.host = vec![KeyPart::Host, KeyPart::Text("-shadow".to_owned())];
    });
    rig.publish(changed).await;
    assert_eq!(rig.send(post.as_bytes()).await.status, 200);
    until("the copy arrives", || test.requests() == 3).await;
    let received = test.received();
    let last = &received[received.rfind("POST ").unwrap()..];
    assert!(
        last.starts_with("POST /copy/cart?a=1 HTTP/1.1\r\nHost: shop.example.com-shadow\r\n"),
        "{last}"
    );
    assert!(last.ends_with("\r\n\r\n"), "{last}");
    rig.shutdown().await;
}

#[tokio::test]
async fn whatever_becomes_of_copies_requests_go_on() {
    let (shop, test) = (
        Backend::start("az1", Mode::Serve),
        Backend::start("test", Mode::Hang),
    );
    let rig = Rig::start(mirrored(&shop, &test, |_| {})).await;
    for mode in [
        Mode::Hang,
        Mode::Reset,
        Mode::Status(500),
        Mode::Raw("nonsense\r\n\r\n"),
    ] {
        test.set(mode);
        for _ in 0..5 {
            let answer = rig.get("/").await;
            assert_eq!(
                (answer.status, answer.body.as_str()),
                (200, "az1"),
                "{mode:?}"
            );
        }
    }
    // Once each, whatever came of it.
    until("all were sent", || test.requests() == 20).await;
    assert_eq!((shop.requests(), counted(&rig, "mirrored").await), (20, 20));
    rig.shutdown().await;
}

#[tokio::test]
async fn a_mirror_that_does_not_keep_up_gets_fewer_copies() {
    let (shop, test) = (
        Backend::start("az1", Mode::Serve),
        Backend::start("test", Mode::Hang),
    );
    let rig = Rig::start(mirrored(&shop, &test, |_| {})).await;
    // The one worker of the rig has room for 256.
    for _ in 0..600 {
        assert_eq!(rig.get("/").await.status, 200);
    }
    let sent = counted(&rig, "mirrored").await;
    let dropped = counted(&rig, "mirrored_dropped").await;
    assert_eq!(sent + dropped, 600);
    assert!(sent <= 256 && dropped > 0, "{sent} were sent");
    rig.shutdown().await;
}

#[tokio::test]
async fn a_large_body_is_passed_on_and_not_copied() {
    let (shop, test) = (
        Backend::start("az1", Mode::Serve),
        Backend::start("test", Mode::Serve),
    );
    let rig = Rig::start(mirrored(&shop, &test, |_| {})).await;
    let http = rig.http;
    let sending = move || {
        let mut stream = TcpStream::connect(http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = "POST / HTTP/1.1\r\nHost: shop.example.com\r\nContent-Length: 200000\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&[b'x'; 200_000]).unwrap();
        read_answer(&mut stream).status
    };
    let status = tokio::task::spawn_blocking(sending).await.unwrap();
    assert_eq!(status, 200);
    assert_eq!(counted(&rig, "mirrored_dropped").await, 1);
    assert_eq!((shop.requests(), test.requests()), (1, 0));
    rig.shutdown().await;
}

#[tokio::test]
async fn a_share_of_requests_is_copied() {
    let (shop, test) = (
        Backend::start("az1", Mode::Serve),
        Backend::start("test", Mode::Serve),
    );
    let rig = Rig::start(mirrored(&shop, &test, |mirror| mirror.percent = 25)).await;
    for _ in 0..400 {
        assert_eq!(rig.get("/").await.status, 200);
    }
    // Of 400, a fair coin of a quarter is outside of these once in 10^12 runs.
    let copied = counted(&rig, "mirrored").await;
    assert!((40..=165).contains(&copied), "{copied}");
    rig.publish(mirrored(&shop, &test, |mirror| mirror.percent = 0))
        .await;
    for _ in 0..50 {
        assert_eq!(rig.get("/").await.status, 200);
    }
    assert_eq!(counted(&rig, "mirrored").await, copied);
    rig.shutdown().await;
}
