//! HTTP/2 from clients: what passes, and what the gateway does for it as for any request.
#![allow(missing_docs, clippy::unwrap_used)]

mod h2_client;
mod rig;

use h2_client::*;
use http::Request;
use rig::*;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tidegate_model::{Certificate, CertificateId, HostPattern, PrivateKey, Snapshot};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn shop(mode: Mode) -> (Backend, Rig) {
    let backend = Backend::start("az1", mode);
    let rig = Rig::start(unprobed(snapshot(&[&backend]))).await;
    (backend, rig)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test]
async fn many_requests_share_a_connection() {
    let (backend, rig) = shop(Mode::Wait).await;
    let mut client = Client::connect(&rig).await;
    let mut answers = Vec::new();
    for _ in 0..100 {
        let (answer, _) = client.begin(get("/a?b=c"), true).await;
        answers.push(answer);
    }
    // All at the same time: none is answered before all are there.
    in_time(async {
        while backend.requests() < 100 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    backend.set(Mode::Serve);
    for answer in answers {
        let answer = whole(answer).await.unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, "az1"));
    }
    let status = rig.status_page().await;
    assert_eq!(status["traffic"]["http2_connections"], 1, "{status}");
    let received = backend.received();
    assert!(received.starts_with("GET /a?b=c HTTP/1.1\r\nhost: shop.example.com\r\n"));
    assert!(received.contains("\r\nX-Forwarded-Proto: http\r\n"));
    drop(client);
    rig.shutdown().await;
}

#[tokio::test]
async fn heads_pass_both_ways_as_they_should() {
    let (backend, rig) = shop(Mode::Raw(
        "HTTP/1.1 200 OK\r\nX-Mixed: Case\r\nConnection: close, x-hop\r\nX-Hop: 1\r\nKeep-Alive: 1\r\n\
         Set-Cookie: a=b\r\nSet-Cookie: c=d\r\nContent-Length: 2\r\n\r\nhi",
    ))
    .await;
    let mut client = Client::connect(&rig).await;
    let mut request = get("/");
    for crumb in ["a=b", "c=d", "e=f"] {
        request
            .headers_mut()
            .append("cookie", crumb.parse().unwrap());
    }
    request
        .headers_mut()
        .append("te", "trailers".parse().unwrap());
    let (answer, _) = client.begin(request, true).await;
    let answer = whole(answer).await.unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "hi"));
    let mut names: Vec<_> = answer
        .headers
        .iter()
        .map(|(n, v)| (n.as_str(), v.to_str().unwrap()))
        .collect();
    names.sort_unstable();
    let expect = [
        ("content-length", "2"),
        ("set-cookie", "a=b"),
        ("set-cookie", "c=d"),
        ("x-mixed", "Case"),
    ];
    assert_eq!(names, expect);
    let received = backend.received();
    assert!(
        received.contains("\r\ncookie: a=b; c=d; e=f\r\n"),
        "{received}"
    );
    assert!(!received.contains("te: "), "{received}");
    drop(client);
    rig.shutdown().await;
}

#[tokio::test]
async fn answers_without_a_body_end_with_their_head() {
    let (backend, rig) = shop(Mode::Serve).await;
    let mut client = Client::connect(&rig).await;
    let (answer, _) = client.begin(request("HEAD", "/"), true).await;
    let answer = in_time(answer).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.body().is_end_stream()),
        (200, true)
    );
    assert_eq!(answer.headers()["content-length"], "3");
    backend.set(Mode::Raw("HTTP/1.1 204 No Content\r\n\r\n"));
    let (answer, _) = client.begin(request("DELETE", "/"), true).await;
    let answer = in_time(answer).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.body().is_end_stream()),
        (204, true)
    );
    drop(client);
    rig.shutdown().await;
}

#[tokio::test]
async fn the_gateways_own_answers_and_refusals_are_those_of_http_1_1() {
    let (backend, rig) = shop(Mode::Serve).await;
    let mut client = Client::connect(&rig).await;
    let many = |count: usize| {
        let mut request = get("/");
        for at in 0..count {
            let name: http::HeaderName = format!("x-{at}").parse().unwrap();
            request.headers_mut().insert(name, "1".parse().unwrap());
        }
        request
    };
    let other = Request::get("http://other.example.com/").body(()).unwrap();
    let mut underscore = get("/");
    underscore
        .headers_mut()
        .insert("content_length", "5".parse().unwrap());
    let cases = [
        (404, other),
        (400, get("/a/../../b")),
        (400, get("/%00")),
        (400, underscore),
        (405, request("TRACE", "/")),
        (414, get(&format!("/{}", "x".repeat(17_000)))),
        (431, many(120)),
        (431, many(3000)),
    ];
    let cases_count = cases.len();
    for (at, (status, request)) in cases.into_iter().enumerate() {
        let what = format!("{at}");
        let (answer, _) = client.begin(request, true).await;
        assert_eq!(whole(answer).await.unwrap().status, status, "{what}");
    }
    assert_eq!((backend.bytes(), cases_count), (0, 8));
    // None of them has cost the connection.
    assert_eq!(client.get("/").await.text(), "az1");
    backend.set(Mode::Reset);
    assert_eq!(client.get("/").await.status, 502);
    drop(client);
    rig.shutdown().await;
}

#[tokio::test]
async fn a_stream_fails_over_like_any_request() {
    for fault in [Mode::Reset, Mode::Status(503)] {
        let (bad, good) = (
            Backend::start("az1", fault),
            Backend::start("az2", Mode::Serve),
        );
        let rig = Rig::start(unprobed(snapshot(&[&bad, &good]))).await;
        let mut client = Client::connect(&rig).await;
        let mut answers = Vec::new();
        for at in 0..40 {
            let (answer, mut stream) = client.begin(request("PUT", "/"), at % 2 == 0).await;
            if at % 2 == 1 {
                stream.send_data("held".into(), true).unwrap();
            }
            answers.push(answer);
        }
        for answer in answers {
            assert_eq!(whole(answer).await.unwrap().text(), "az2");
        }
        assert!(bad.requests() > 0);
        drop(client);
        rig.shutdown().await;
    }
}

/// An endpoint that tells when a request has come, and when its connection has ended. It says each of `answers` when
/// it has read something.
fn watched(
    events: mpsc::Sender<&'static str>,
    answers: Vec<&'static str>,
) -> (TcpListener, Snapshot) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut content = unprobed(snapshot(&[]));
    let address = listener.local_addr().unwrap();
    let backend = first(&mut content.backends);
    let cluster = tidegate_model::ClusterName::new("az1").unwrap();
    backend
        .clusters
        .insert(cluster, vec![tidegate_model::Endpoint { address }]);
    let accepting = listener.try_clone().unwrap();
    std::thread::spawn(move || {
        for mut stream in accepting.incoming().flatten() {
            let (events, answers) = (events.clone(), answers.clone());
            std::thread::spawn(move || {
                let mut bytes = [0; 64 * 1024];
                for answer in answers {
                    let _ = stream.read(&mut bytes);
                    let _ = events.send("request");
                    let _ = stream.write_all(answer.as_bytes());
                }
                while matches!(stream.read(&mut bytes), Ok(1..)) {}
                let _ = events.send("end");
            });
        }
    });
    (listener, content)
}

#[tokio::test]
async fn a_client_that_gives_a_stream_up_gives_the_endpoint_up() {
    const HALF: &str = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
    // Before the answer, and in its middle.
    for answers in [&[""], &[HALF]] {
        let (tell, events) = mpsc::channel();
        let (_listener, content) = watched(tell, answers.to_vec());
        let rig = Rig::start(content).await;
        let mut client = Client::connect(&rig).await;
        let (response, mut stream) = client.begin(get("/"), true).await;
        let events = blocking(move || {
            assert_eq!(events.recv_timeout(PATIENCE), Ok("request"));
            events
        })
        .await;
        if answers == &[""] {
            stream.send_reset(h2::Reason::CANCEL);
        } else {
            let mut body = in_time(response).await.unwrap().into_body();
            assert_eq!(in_time(body.data()).await.unwrap().unwrap(), "half");
            stream.send_reset(h2::Reason::CANCEL);
        }
        blocking(move || assert_eq!(events.recv_timeout(PATIENCE), Ok("end"))).await;
        drop(client);
        rig.shutdown().await;
    }
}

#[tokio::test]
async fn a_client_that_waits_for_consent_gets_it() {
    let (tell, _events) = mpsc::channel();
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let last = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    let (_listener, content) = watched(tell, vec![interim, last]);
    let rig = Rig::start(content).await;
    let mut client = Client::connect(&rig).await;
    let mut put = request("PUT", "/");
    put.headers_mut()
        .insert("expect", "100-continue".parse().unwrap());
    put.headers_mut()
        .insert("content-length", "4".parse().unwrap());
    let (mut answer, mut stream) = client.begin(put, false).await;
    let mut interim = Vec::new();
    while interim.len() < 2 {
        let next = std::future::poll_fn(|context| answer.poll_informational(context));
        interim.push(in_time(next).await.unwrap().unwrap().status().as_u16());
    }
    assert_eq!(interim, [100, 103]);
    stream.send_data("body".into(), true).unwrap();
    assert_eq!(whole(answer).await.unwrap().text(), "hi");
    drop(client);
    rig.shutdown().await;
}

#[tokio::test]
async fn websocket_is_asked_for_by_extended_connect() {
    let (tell, _events) = mpsc::channel();
    let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                  Sec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: chat\r\n\r\nhello";
    let (_listener, content) = watched(tell, vec![switch]);
    let rig = Rig::start(content).await;
    let mut client = Client::connect(&rig).await;
    let ask = |protocol: &'static str| {
        let mut ask = request("CONNECT", "/chat");
        ask.extensions_mut()
            .insert(h2::ext::Protocol::from_static(protocol));
        ask
    };
    // Whether the server takes it is known behind its settings.
    assert_eq!(
        client.begin(get("/"), true).await.0.await.unwrap().status(),
        502
    );
    let (answer, mut stream) = client.begin(ask("websocket"), false).await;
    let answer = in_time(answer).await.unwrap();
    assert_eq!(answer.status(), 200);
    let names: Vec<_> = answer
        .headers()
        .keys()
        .map(http::HeaderName::as_str)
        .collect();
    assert_eq!(names, ["sec-websocket-protocol"]);
    let mut body = answer.into_body();
    assert_eq!(in_time(body.data()).await.unwrap().unwrap(), "hello");
    stream.send_data("bye".into(), true).unwrap();
    // The endpoint ends as well.
    while let Some(piece) = in_time(body.data()).await {
        assert_eq!(piece.unwrap(), "");
    }
    let (answer, _stream) = client.begin(ask("smoke-signals"), false).await;
    assert_eq!(whole(answer).await.unwrap().status, 405);
    drop(client);
    rig.shutdown().await;
}

#[tokio::test]
async fn a_gateway_that_ends_lets_streams_finish() {
    let (backend, rig) = shop(Mode::Wait).await;
    let mut client = Client::connect(&rig).await;
    let (answer, _) = client.begin(get("/"), true).await;
    in_time(async {
        while backend.requests() == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    rig.stop.cancel();
    // Told by GOAWAY that there will be no further request.
    in_time(async {
        while client.send.clone().ready().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    backend.set(Mode::Serve);
    assert_eq!(whole(answer).await.unwrap().text(), "az1");
    // And the connection ends without an error.
    in_time(&mut client.ended).await.unwrap().unwrap();
    rig.shutdown().await;
}

#[tokio::test]
async fn an_idle_connection_is_ended_in_time() {
    let backend = Backend::start("az1", Mode::Serve);
    let mut content = unprobed(snapshot(&[&backend]));
    content.settings.timeouts.client_idle = Duration::from_millis(200);
    content.settings.timeouts.request_head = Duration::from_millis(400);
    let rig = Rig::start(content).await;
    // Used, and never used.
    let mut used = Client::connect(&rig).await;
    assert_eq!(used.get("/").await.text(), "az1");
    let mut unused = Client::connect(&rig).await;
    in_time(&mut used.ended).await.unwrap().unwrap();
    in_time(&mut unused.ended).await.unwrap().unwrap();
    rig.shutdown().await;
}

#[tokio::test]
async fn a_client_that_gives_up_streams_at_speed_is_sent_away() {
    let (_backend, rig) = shop(Mode::Wait).await;
    let mut client = Client::connect(&rig).await;
    let flood = async {
        // Most are begun before they are given up, which the crate's own limit does not see.
        while let Ok(mut ready) = client.send.clone().ready().await {
            let Ok((_answer, mut stream)) = ready.send_request(get("/"), true) else {
                break;
            };
            tokio::time::sleep(Duration::from_millis(1)).await;
            stream.send_reset(h2::Reason::CANCEL);
        }
    };
    in_time(flood).await;
    let error = in_time(&mut client.ended).await.unwrap().unwrap_err();
    assert_eq!(error.reason(), Some(h2::Reason::ENHANCE_YOUR_CALM));
    let status = rig.status_page().await;
    assert_eq!(status["traffic"]["http2_floods"], 1, "{status}");
    rig.shutdown().await;
}

#[tokio::test]
async fn the_preface_counts_only_at_the_start() {
    let (_backend, rig) = shop(Mode::Serve).await;
    let http = rig.http;
    blocking(move || {
        let mut stream = std::net::TcpStream::connect(http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let both =
            "GET / HTTP/1.1\r\nHost: shop.example.com\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        stream.write_all(both.as_bytes()).unwrap();
        assert_eq!(read_answer(&mut stream).body, "az1");
        assert_eq!(read_answer(&mut stream).status, 505);
        // In pieces, at the start, it counts: SETTINGS come.
        let mut stream = std::net::TcpStream::connect(http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" {
            stream.write_all(&[*byte]).unwrap();
        }
        let mut head = [0; 9];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(head[3], 4);
    })
    .await;
    rig.shutdown().await;
}

#[tokio::test]
async fn over_tls_it_is_agreed_on_in_the_handshake() {
    let backend = Backend::start("az1", Mode::Serve);
    let mut content = unprobed(snapshot(&[&backend]));
    let pair = rcgen::generate_simple_self_signed(["shop.example.com".to_owned()]).unwrap();
    let id = CertificateId::new("shop/tls").unwrap();
    let host = HostPattern::parse("shop.example.com").unwrap();
    content.tls.insert(host, id.clone());
    let certificate = Certificate {
        chain: pair.cert.pem(),
        key: PrivateKey(pair.signing_key.serialize_pem()),
    };
    content.certificates.insert(id, certificate.into());
    let rig = Rig::start(content).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(pair.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connect = async |offered: &[&str]| {
        let mut config = config.clone();
        config.alpn_protocols = offered
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let socket = tokio::net::TcpStream::connect(rig.https).await.unwrap();
        let name = rustls::pki_types::ServerName::try_from("shop.example.com").unwrap();
        let stream = connector.connect(name, socket).await.unwrap();
        let agreed = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        (stream, agreed)
    };
    let (stream, agreed) = connect(&["h2", "http/1.1"]).await;
    assert_eq!(agreed.as_deref(), Some(&b"h2"[..]));
    let mut client = Client::over(stream, &h2::client::Builder::new()).await;
    assert_eq!(client.get("/").await.text(), "az1");
    assert_eq!(client.get("/bytes/3000000").await.body.len(), 3_000_000);
    assert!(
        backend
            .received()
            .contains("\r\nX-Forwarded-Proto: https\r\n")
    );
    // Who does not ask for it speaks HTTP/1.1.
    for offered in [&["http/1.1"][..], &[]] {
        let (mut stream, agreed) = connect(offered).await;
        assert_ne!(agreed.as_deref(), Some(&b"h2"[..]));
        let request = "GET / HTTP/1.1\r\nHost: shop.example.com\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        in_time(stream.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    // And may not begin with it unasked (RFC 9113 3.2).
    let (mut stream, _) = connect(&[]).await;
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    in_time(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 505 "), "{answer}");
    drop(client);
    rig.shutdown().await;
}
