//! Requests that are not clearly legal: refused with the stated status, and not one byte at the backend.
#![allow(missing_docs, clippy::unwrap_used)]

mod rig;

use rig::*;
use std::time::Duration;

#[tokio::test]
async fn refused_messages_leave_no_byte_at_the_backend() {
    let backend = Backend::start("az1", Mode::Serve);
    let rig = Rig::start(unprobed(snapshot(&[&backend]))).await;
    let h = "Host: shop.example.com\r\n";
    let many = "X: y\r\n".repeat(2000);
    let long = "a".repeat(64 * 1024);
    let cases: Vec<(&str, String, u16)> = vec![
        (
            "B1",
            format!(
                "POST / HTTP/1.1\r\n{h}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
            400,
        ),
        (
            "B2",
            format!("POST / HTTP/1.1\r\n{h}Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd"),
            400,
        ),
        (
            "B3",
            format!("POST / HTTP/1.1\r\n{h}Content-Length: +4\r\n\r\nabcd"),
            400,
        ),
        (
            "B4",
            format!("POST / HTTP/1.1\r\n{h}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
            400,
        ),
        (
            "B4",
            format!("POST / HTTP/1.1\r\n{h}Transfer-Encoding: gzip\r\n\r\n"),
            501,
        ),
        (
            "B5",
            format!("POST / HTTP/1.1\r\n{h}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
            400,
        ),
        (
            "B6",
            format!("POST / HTTP/1.0\r\n{h}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            400,
        ),
        (
            "B7",
            format!("PUT / HTTP/1.1\r\n{h}Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n"),
            400,
        ),
        (
            "B7",
            format!("PUT / HTTP/1.1\r\n{h}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"),
            400,
        ),
        (
            "B8",
            format!("PUT / HTTP/1.1\r\n{h}Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n"),
            400,
        ),
        (
            "B9",
            format!(
                "PUT / HTTP/1.1\r\n{h}Transfer-Encoding: chunked\r\n\r\n1;a\nb\r\na\r\n0\r\n\r\n"
            ),
            400,
        ),
        ("B11", "GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("B11", format!("GET / HTTP/1.1\r\n{h}{h}\r\n"), 400),
        ("B12", format!("GET http://other/ HTTP/1.1\r\n{h}\r\n"), 400),
        ("B13", format!("GET / HTTP/1.1\r\n{h}X: a\0b\r\n\r\n"), 400),
        (
            "B13",
            "GET / HTTP/1.1\nHost: shop.example.com\n\n".to_owned(),
            400,
        ),
        ("B14", format!("GET / HTTP/1.1\r\n{h}X\r\n\r\n"), 400),
        (
            "B16",
            format!("GET / HTTP/1.1\r\n{h}X: {long}\r\n\r\n"),
            431,
        ),
        ("B16", format!("GET / HTTP/1.1\r\n{h}{many}\r\n"), 431),
        ("B16", format!("GET /{long} HTTP/1.1\r\n{h}\r\n"), 414),
        (
            "B17",
            format!("CONNECT shop.example.com:80 HTTP/1.1\r\n{h}\r\n"),
            405,
        ),
        ("B17", format!("TRACE / HTTP/1.1\r\n{h}\r\n"), 405),
        ("B18", format!("GET / HTTP/2.0\r\n{h}\r\n"), 505),
        ("B19", format!("GET /a#b HTTP/1.1\r\n{h}\r\n"), 400),
        ("B19", format!("GET /%00 HTTP/1.1\r\n{h}\r\n"), 400),
        ("B20", format!("GET /../etc HTTP/1.1\r\n{h}\r\n"), 400),
        (
            "B21",
            format!("GET / HTTP/1.1\r\n{h}Connection: close, Authorization\r\n\r\n"),
            400,
        ),
        (
            "B22",
            format!("POST / HTTP/1.1\r\n{h}Expect: tea\r\nContent-Length: 1\r\n\r\nx"),
            417,
        ),
        (
            "TLS",
            "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03".to_owned(),
            400,
        ),
    ];
    for (number, message, status) in cases {
        let answer = rig.send(message.as_bytes()).await;
        assert_eq!(
            answer.status,
            status,
            "{number}: {:?}",
            &message[..message.len().min(120)]
        );
        assert_eq!(
            backend.bytes(),
            0,
            "{number}: the backend saw something of {message:?}"
        );
        assert!(answer.body.len() > 5, "{number}: it says why: {answer:?}");
    }
    assert_eq!(rig.get("/").await.status, 200, "and the gateway goes on");
    rig.shutdown().await;
}

#[tokio::test]
async fn a_later_minor_version_is_handled_as_one_point_one() {
    let backend = Backend::start("az1", Mode::Serve);
    let rig = Rig::start(snapshot(&[&backend])).await;
    let request =
        "GET / HTTP/1.9\r\nHost: shop.example.com\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n";
    assert_eq!(rig.send(request.as_bytes()).await.status, 200);
    let seen = backend.received();
    assert!(
        seen.contains("GET / HTTP/1.1\r\n") && !seen.contains("pgrade"),
        "{seen}"
    );
    rig.shutdown().await;
}

#[tokio::test]
async fn a_client_that_does_not_finish_its_head_is_let_go() {
    let backend = Backend::start("az1", Mode::Serve);
    let mut content = snapshot(&[&backend]);
    content.settings.timeouts.request_head = Duration::from_millis(50);
    let rig = Rig::start(content).await;
    let answer = rig.send(b"GET / HTTP/1.1\r\nHost: shop").await;
    assert_eq!(answer.status, 408);
    rig.shutdown().await;
}
