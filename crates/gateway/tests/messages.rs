//! Messages by the numbers of the bad-input list: what is refused, what arrives in one form, what a backend may not say.
#![allow(missing_docs, clippy::unwrap_used)]

mod rig;

use rig::*;
use std::io::{Read, Write};
use std::net::TcpStream;

#[tokio::test]
async fn every_refusal_closes_and_leaves_no_byte_at_the_backend() {
    let backend = Backend::start("az1", Mode::Serve);
    let rig = Rig::start(unprobed(snapshot(&[&backend]))).await;
    let h = "Host: shop.example.com\r\n";
    let get = |lines: &str| format!("GET / HTTP/1.1\r\n{h}{lines}\r\n\r\n");
    let post = |lines: &str, body: &str| format!("POST / HTTP/1.1\r\n{h}{lines}\r\n\r\n{body}");
    let chunked = |body: &str| post("Transfer-Encoding: chunked", body);
    let cases: Vec<(&str, String, u16)> = vec![
        ("B2", post("Content-Length: 4, 4", "abcd"), 400),
        ("B3", post("Content-Length: ", ""), 400),
        ("B3", post("Content-Length: 9223372036854775808", ""), 400),
        (
            "B4",
            post("Transfer-Encoding: chunked, chunked", "0\r\n\r\n"),
            400,
        ),
        (
            "B4",
            post(
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                "0\r\n\r\n",
            ),
            400,
        ),
        ("B5", post("Transfer-Encoding:\tchunked", "0\r\n\r\n"), 400),
        ("B5", post("Transfer-Encoding : chunked", "0\r\n\r\n"), 400),
        (
            "B5",
            post("Transfer-Encoding: \x0bchunked", "0\r\n\r\n"),
            400,
        ),
        ("B7", chunked("-1\r\na\r\n0\r\n\r\n"), 400),
        ("B7", chunked("\r\na\r\n0\r\n\r\n"), 400),
        ("B8", chunked("1\r\nab\r\n0\r\n\r\n"), 400),
        ("B8", chunked("2\r\na\r\n0\r\n\r\n"), 400),
        (
            "B9",
            chunked(&format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(2000))),
            400,
        ),
        ("B11", "GET / HTTP/1.1\r\nHost: \r\n\r\n".to_owned(), 400),
        (
            "B11",
            "GET / HTTP/1.1\r\nHost: a@shop.example.com\r\n\r\n".to_owned(),
            400,
        ),
        (
            "B11",
            "GET / HTTP/1.1\r\nHost: shop.example.com,b\r\n\r\n".to_owned(),
            400,
        ),
        (
            "B11",
            "GET / HTTP/1.1\r\nHost: shop%2eexample.com\r\n\r\n".to_owned(),
            400,
        ),
        ("B13", get("X: a\rb"), 400),
        ("B13", get("X: a\nb"), 400),
        ("B13", get("X: a\x7fb"), 400),
        ("B13", get("X\x01: a"), 400),
        ("B14", get(": a"), 400),
        ("B14", format!("GET / HTTP/1.1\r\n {h}\r\n"), 400),
        ("B15", post("Content_Length: 4", ""), 400),
        ("B15", get("X_Forwarded_For: 10.0.0.1"), 400),
        (
            "B16",
            format!("GET / HTTP/1.1\r\n{h}{}\r\n", "X: y\r\n".repeat(100)),
            431,
        ),
        ("B17", format!("G(T / HTTP/1.1\r\n{h}\r\n"), 400),
        ("B18", format!("GET / HTTP/0.9\r\n{h}\r\n"), 505),
        ("B18", format!("GET / HTTP/1.1x\r\n{h}\r\n"), 400),
        ("B18", "GET /\r\n".to_owned(), 400),
        ("B19", format!("GET /a b HTTP/1.1\r\n{h}\r\n"), 400),
        ("B19", format!("GET /\u{e9} HTTP/1.1\r\n{h}\r\n"), 400),
        ("B19", format!("GET /%zz HTTP/1.1\r\n{h}\r\n"), 400),
        (
            "B20",
            format!("GET /a/%2e%2e/%2e%2e/etc HTTP/1.1\r\n{h}\r\n"),
            400,
        ),
        ("B21", get("Connection: X-Forwarded-For"), 400),
        ("B21", get("Connection: Cookie"), 400),
        (
            "B30",
            format!("PROXY TCP4 192.0.2.1 192.0.2.2 1 80\r\nGET / HTTP/1.1\r\n{h}\r\n"),
            400,
        ),
    ];
    let mut wrong = Vec::new();
    for (number, message, status) in cases {
        let answer = rig.send(message.as_bytes()).await;
        if answer.status != status
            || backend.bytes() != 0
            || !answer.head.contains("Connection: close")
        {
            wrong.push(format!(
                "{number} {:?}: {} instead of {status}, {} bytes, {}",
                &message[..message.len().min(150)],
                answer.status,
                backend.bytes(),
                answer.head
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    rig.shutdown().await;
}

#[tokio::test]
async fn what_is_legal_arrives_in_one_form() {
    let backend = Backend::start("az1", Mode::Serve);
    let rig = Rig::start(unprobed(snapshot(&[&backend]))).await;
    let h = "Host: shop.example.com\r\n";
    let mut sent = 0;
    let cases: [(&str, String, &[&str], &[&str]); 9] = [
        (
            "B10",
            format!(
                "PUT /b10 HTTP/1.1\r\n{h}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nHost: evil\r\nAuthorization: x\r\nContent-Length: 9\r\n\r\n"
            ),
            &["PUT /b10 "],
            &["evil", "Authorization", "Content-Length: 9"],
        ),
        (
            "B15",
            format!("GET /b15 HTTP/1.1\r\n{h}X_Key: 1\r\nX-Key: 2\r\n\r\n"),
            &["X_Key: 1\r\n", "X-Key: 2\r\n"],
            &[],
        ),
        (
            "B20",
            format!("GET /c//d/./%65;p HTTP/1.1\r\n{h}\r\n"),
            &["GET /c/d/e;p HTTP/1.1\r\n"],
            &[],
        ),
        (
            "B20",
            format!("GET /k%2fl HTTP/1.1\r\n{h}\r\n"),
            &["GET /k%2Fl HTTP/1.1\r\n"],
            &[],
        ),
        (
            "B21",
            format!("GET /b21 HTTP/1.1\r\n{h}Connection: X-Gone\r\nX-Gone: gone1\r\n\r\n"),
            &["GET /b21 "],
            &["gone1"],
        ),
        (
            "B22",
            format!("GET /b22 HTTP/1.1\r\n{h}Expect: 100-continue\r\n\r\n"),
            &["GET /b22 "],
            &["xpect"],
        ),
        (
            "B24",
            format!(
                "GET /b24 HTTP/1.1\r\n{h}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: q\r\n\r\n"
            ),
            &["GET /b24 "],
            &["h2c", "HTTP2"],
        ),
        (
            "B18",
            format!("GET /b18 HTTP/1.0\r\n{h}\r\n"),
            &["GET /b18 HTTP/1.1\r\n"],
            &[],
        ),
        (
            "RFC",
            format!("\r\nGET /rfc HTTP/1.1\r\n{h}\r\n"),
            &["GET /rfc "],
            &[],
        ),
    ];
    for (number, message, with, without) in cases {
        let answer = rig.send(message.as_bytes()).await;
        assert_eq!(answer.status, 200, "{number}: {message:?}");
        let seen = backend.received()[sent..].to_owned();
        sent += seen.len();
        for text in with {
            assert!(seen.contains(text), "{number} lacks {text:?}: {seen}");
        }
        for text in without {
            assert!(!seen.contains(text), "{number} has {text:?}: {seen}");
        }
    }
    rig.shutdown().await;
}

/// B25.
#[tokio::test]
async fn pipelined_requests_are_answered_in_order_up_to_the_bad_one() {
    let backend = Backend::start("az1", Mode::Serve);
    let rig = Rig::start(unprobed(snapshot(&[&backend]))).await;
    let http = rig.http;
    let (sizes, end) = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut all = String::new();
        for size in 0..1000 {
            all += &format!("GET /bytes/{size} HTTP/1.1\r\nHost: shop.example.com\r\n\r\n");
            if size == 500 {
                all += "GET /bytes/1 HTTP/1.1\r\nHost: shop.example.com\r\nX\r\n\r\n";
            }
        }
        let mut writer = stream.try_clone().unwrap();
        let writing = std::thread::spawn(move || {
            let _ = writer.write_all(all.as_bytes());
        });
        let mut sizes = Vec::new();
        let end = loop {
            let answer = read_answer(&mut stream);
            if answer.status != 200 {
                break answer;
            }
            sizes.push(answer.body.len());
        };
        let rest = stream.read(&mut [0]);
        writing.join().unwrap();
        assert!(matches!(rest, Ok(0) | Err(_)), "{rest:?}");
        (sizes, end)
    })
    .await
    .unwrap();
    assert_eq!(sizes, (0..=500).collect::<Vec<_>>());
    assert_eq!(end.status, 400);
    assert_eq!(backend.requests(), 501);
    rig.shutdown().await;
}

/// B28.
#[tokio::test]
async fn answers_that_are_not_clean_are_bad_gateways() {
    let long: &'static str =
        Box::leak(format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(70_000)).into_boxed_str());
    let many: &'static str =
        Box::leak(format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(200)).into_boxed_str());
    let storm: &'static str = Box::leak(
        "HTTP/1.1 103 Early Hints\r\n\r\n"
            .repeat(1000)
            .into_boxed_str(),
    );
    let cases = [
        "hello\r\n\r\n",
        "HTTP/1.1 200 OK\n\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 204 No\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 304 No\r\n\r\nx",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
        "HTTP/1.1 200",
        long,
        many,
        storm,
    ];
    let mut wrong = Vec::new();
    for raw in cases {
        let backend = Backend::start("az1", Mode::Raw(raw));
        let rig = Rig::start(unprobed(snapshot(&[&backend]))).await;
        let status = final_status(rig.http).await;
        if status != 502 {
            wrong.push(format!("{:?}: {:?}", &raw[..raw.len().min(90)], status));
        }
        rig.shutdown().await;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The status of the answer behind all 1xx ones.
async fn final_status(http: std::net::SocketAddr) -> u16 {
    tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = "GET / HTTP/1.1\r\nHost: shop.example.com\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        loop {
            match read_answer(&mut stream).status {
                100..200 => {}
                status => return status,
            }
        }
    })
    .await
    .unwrap()
}
