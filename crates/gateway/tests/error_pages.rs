//! Errors that another backend tells.
#![allow(missing_docs, clippy::unwrap_used)]

mod rig;

use rig::*;
use std::io::Write;
use std::net::TcpStream;
use tidegate_model::{ErrorPages, Header, PathRewrite, Route, Snapshot};

const PAGE: &str =
    "HTTP/1.1 404 Gone fishing\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\npage";

/// The shop, whose errors of these statuses `pages` tells.
fn content(shop: &Backend, pages: &Backend, statuses: &[u16]) -> Snapshot {
    changed(shop, pages, statuses, |_| {})
}

fn changed(
    shop: &Backend,
    pages: &Backend,
    statuses: &[u16],
    change: impl FnOnce(&mut Route),
) -> Snapshot {
    let mut content = unprobed(snapshot(&[shop]));
    let id = beside(&mut content, "shop", "pages", pages);
    let route = &mut first(&mut content.hosts)[0];
    route.filters.error_pages = Some(ErrorPages {
        statuses: statuses.to_vec(),
        backend: id,
        headers: vec![Header {
            name: "X-Service-Name".to_owned(),
            value: "shop".to_owned(),
        }],
    });
    change(route);
    content
}

#[tokio::test]
async fn an_error_is_told_by_who_is_asked_for_it_and_others_pass() {
    let shop = Backend::start("az1", Mode::Status(503));
    let pages = Backend::start("pages", Mode::Raw(PAGE));
    let content = changed(&shop, &pages, &[404, 503], |route| {
        route.filters.rewrite.path = Some(PathRewrite::Prefix("/inner".to_owned()));
    });
    let rig = Rig::start(content).await;
    let request = "POST /cart?id=7 HTTP/1.1\r\nHost: shop.example.com\r\nAccept: text/html\r\nX-Code: 200\r\n\
                   X-Service-Name: forged\r\nContent-Length: 4\r\n\r\nbody";
    let answer = rig.send(request.as_bytes()).await;
    assert_eq!((answer.status, answer.body.as_str()), (404, "page"));
    assert!(answer.head.contains("text/html"), "{}", answer.head);
    let asked = pages.received();
    assert!(
        asked.starts_with("GET / HTTP/1.1\r\nHost: shop.example.com\r\n"),
        "{asked}"
    );
    for line in [
        "X-Code: 503\r\n",
        "X-Format: text/html\r\n",
        "X-Original-URI: /cart?id=7\r\n",
        "X-Service-Name: shop\r\n",
        "Accept: text/html\r\n",
    ] {
        assert_eq!(asked.matches(line).count(), 1, "{line:?}: {asked}");
    }
    for gone in ["body", "forged", "Content-Length", "X-Code: 200"] {
        assert!(!asked.contains(gone), "{gone:?}: {asked}");
    }
    assert!(shop.received().starts_with("POST /inner/cart?id=7 "));
    // It is asked once only, whatever it answers, and not for other statuses.
    assert_eq!((shop.requests(), pages.requests()), (1, 1));
    shop.set(Mode::Status(500));
    assert_eq!(rig.get("/").await.status, 500);
    assert_eq!(pages.requests(), 1);
    rig.shutdown().await;
}

#[tokio::test]
async fn without_an_answer_of_it_the_client_gets_the_error_itself() {
    let shop = Backend::start("az1", Mode::Status(404));
    let pages = Backend::start("pages", Mode::Reset);
    let rig = Rig::start(content(&shop, &pages, &[404, 502])).await;
    let answer = rig.get("/").await;
    assert_eq!((answer.status, answer.body.as_str()), (404, ""));
    // No endpoint gives an answer: that is an error to tell as well.
    shop.set(Mode::Reset);
    pages.set(Mode::Raw(PAGE));
    let post = "POST / HTTP/1.1\r\nHost: shop.example.com\r\nContent-Length: 0\r\n\r\n";
    let answer = rig.send(post.as_bytes()).await;
    assert_eq!((answer.status, answer.body.as_str()), (404, "page"));
    assert!(pages.received().contains("X-Code: 502\r\n"));
    pages.set(Mode::Reset);
    assert_eq!(rig.send(post.as_bytes()).await.status, 502);
    rig.shutdown().await;
}

#[tokio::test]
async fn connections_go_on_on_both_sides() {
    let shop = Backend::start("az1", Mode::Status(404));
    let pages = Backend::start("pages", Mode::Serve);
    let rig = Rig::start(content(&shop, &pages, &[404])).await;
    let http = rig.http;
    let asking = move || {
        let mut stream = TcpStream::connect(http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        for _ in 0..3 {
            stream
                .write_all(b"GET / HTTP/1.1\r\nHost: shop.example.com\r\n\r\n")
                .unwrap();
            let answer = read_answer(&mut stream);
            assert_eq!((answer.status, answer.body.as_str()), (200, "pages"));
        }
    };
    tokio::task::spawn_blocking(asking).await.unwrap();
    assert_eq!((shop.connections(), pages.connections()), (1, 1));
    // No body is asked for where the client wants none.
    let head = rig
        .send(b"HEAD / HTTP/1.1\r\nHost: shop.example.com\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!((head.status, head.body.as_str()), (200, "(cut)"));
    assert!(pages.received().contains("HEAD / HTTP/1.1\r\n"));
    rig.shutdown().await;
}

#[tokio::test]
async fn a_body_that_nobody_wants_any_more_ends_the_connection_and_no_more() {
    let early = "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n";
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // Answers as soon as the head is there.
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") {
                if !matches!(std::io::Read::read(&mut stream, &mut byte), Ok(1)) {
                    break;
                }
                head.push(byte[0]);
            }
            let _ = stream.write_all(early.as_bytes());
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
    });
    let shop = Backend::start("az1", Mode::Serve);
    let pages = Backend::start("pages", Mode::Serve);
    let mut content = content(&shop, &pages, &[404]);
    for (id, backend) in content.backends.clone() {
        if id.to_string().starts_with("shop/shop") {
            let mut backend = backend.clone();
            for endpoint in backend.clusters.values_mut().flatten() {
                endpoint.address = address;
            }
            content.backends.insert(id, backend);
        }
    }
    let rig = Rig::start(content).await;
    let head = "POST / HTTP/1.1\r\nHost: shop.example.com\r\nContent-Length: 1000000\r\n\r\npart";
    let answer = rig.send(head.as_bytes()).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "pages"));
    assert!(answer.head.contains("Connection: close"), "{}", answer.head);
    assert!(!pages.received().contains("part"));
    rig.shutdown().await;
}
