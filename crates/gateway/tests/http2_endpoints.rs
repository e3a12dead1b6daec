//! Endpoints that speak HTTP/2: gRPC, and what is new in failover.
#![allow(missing_docs, clippy::unwrap_used)]

mod h2_client;
mod h2_frames;
mod h2_server;
mod rig;

use h2::server::Builder;
use h2_client::*;
use h2_server::*;
use http::HeaderMap;
use rig::{PATIENCE, Rig, first, snapshot, unprobed};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;
use tidegate_model::{Probe, Snapshot};

fn content(endpoints: &[(&str, SocketAddr)]) -> Snapshot {
    h2_server::shop(unprobed(snapshot(&[])), endpoints)
}

async fn one(manner: Manner) -> (Server, Rig) {
    let server = Server::start("az1", manner, Builder::new()).await;
    let rig = Rig::start(content(&[("az1", server.address)])).await;
    (server, rig)
}

/// Waits until `is` holds.
async fn until(is: impl Fn() -> bool) {
    in_time(async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn many_requests_share_a_connection_to_an_endpoint() {
    let (server, rig) = one(Manner::Wait).await;
    let mut client = Client::connect(&rig).await;
    let mut answers = Vec::new();
    for _ in 0..60 {
        answers.push(client.begin(get("/a?b=c"), true).await.0);
    }
    until(|| server.requests() == 60).await;
    server.set(Manner::Serve);
    for answer in answers {
        assert_eq!(whole(answer).await.unwrap().text(), "az1");
    }
    assert_eq!(server.connections(), 1);
    let heads = server.heads();
    let head = &heads[0];
    assert_eq!(head.uri(), "http://shop.example.com/a?b=c");
    assert_eq!(head.headers()["te"], "trailers");
    assert_eq!(head.headers()["x-forwarded-for"], "127.0.0.1");
    for gone in ["host", "connection", "transfer-encoding"] {
        assert!(!head.headers().contains_key(gone), "{gone}");
    }
    drop(client);
    rig.shutdown().await;
}

#[tokio::test]
async fn a_further_connection_is_opened_when_streams_run_out() {
    let mut builder = Builder::new();
    builder.max_concurrent_streams(5);
    let server = Server::start("az1", Manner::Serve, builder).await;
    let rig = Rig::start(content(&[("az1", server.address)])).await;
    let mut client = Client::connect(&rig).await;
    // Now the gateway knows the limit.
    assert_eq!(client.get("/").await.text(), "az1");
    server.set(Manner::Wait);
    let mut answers = Vec::new();
    for at in 0..12 {
        answers.push(client.begin(get("/"), true).await.0);
        until(|| server.requests() == at + 2).await;
    }
    assert_eq!(server.connections(), 3);
    server.set(Manner::Serve);
    for answer in answers {
        assert_eq!(whole(answer).await.unwrap().text(), "az1");
    }
    drop(client);
    rig.shutdown().await;
}

#[tokio::test]
async fn grpc_passes_message_by_message_with_its_trailers() {
    let (_server, rig) = one(Manner::Serve).await;
    let mut client = Client::connect(&rig).await;
    let (answer, mut stream) = client.begin(request("POST", "/echo"), false).await;
    // The head comes before anything was said.
    let answer = in_time(answer).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/grpc");
    let mut body = answer.into_body();
    for message in ["one", "two", "three"] {
        stream.send_data(message.into(), false).unwrap();
        let mut heard = Vec::new();
        while heard.len() < message.len() {
            heard.extend_from_slice(&in_time(body.data()).await.unwrap().unwrap());
        }
        assert_eq!(heard, message.as_bytes());
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "3".parse().unwrap());
    stream.send_trailers(trailers).unwrap();
    while let Some(piece) = in_time(body.data()).await {
        assert_eq!(piece.unwrap(), "");
    }
    let trailers = in_time(body.trailers()).await.unwrap().unwrap();
    assert_eq!(
        (&trailers["grpc-status"], &trailers["x-sum"]),
        (&"0".parse().unwrap(), &"3".parse().unwrap())
    );

    let (answer, mut stream) = client.begin(request("POST", "/trailers-only"), false).await;
    stream.send_data("message".into(), true).unwrap();
    let answer = in_time(answer).await.unwrap();
    assert_eq!(answer.headers()["grpc-status"], "12");
    assert!(answer.body().is_end_stream());
    drop(client);
    rig.shutdown().await;
}

#[tokio::test]
async fn large_bodies_pass_in_both_directions_at_once() {
    let (server, rig) = one(Manner::Serve).await;
    let mut client = Client::connect(&rig).await;
    assert_eq!(client.get("/bytes/5000000").await.body.len(), 5_000_000);
    let (answer, mut stream) = client.begin(request("POST", "/echo"), false).await;
    let body: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    let sent = body.clone();
    let sending = tokio::spawn(async move { send_all(&mut stream, sent.into(), true).await });
    let answer = whole(answer).await.unwrap();
    assert!(answer.body == body);
    sending.await.unwrap();
    assert_eq!(server.connections(), 1);
    drop(client);
    rig.shutdown().await;
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_request_does_not_cut_the_request() {
    let mut builder = Builder::new();
    builder.initial_window_size(1000);
    let server = Server::start("az1", Manner::Serve, builder).await;
    let rig = Rig::start(content(&[("az1", server.address)])).await;
    let mut client = Client::connect(&rig).await;
    // Now the gateway knows the window.
    assert_eq!(client.get("/").await.text(), "az1");
    // Held until it is whole, then far more than the endpoint takes before it answers.
    let (answer, mut stream) = client.begin(request("PUT", "/echo"), false).await;
    let body: Vec<u8> = (0..50_000_u32).map(|at| (at % 251) as u8).collect();
    send_all(&mut stream, body.clone().into(), true).await;
    assert!(whole(answer).await.unwrap().body == body);
    drop(client);
    rig.shutdown().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_no_other() {
    let (server, rig) = one(Manner::Serve).await;
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(1000);
    let mut stuck = Client::connect_with(&rig, &builder).await;
    let mut held = Vec::new();
    for _ in 0..50 {
        let (answer, _) = stuck.begin(get("/bytes/1000000"), true).await;
        held.push(in_time(answer).await.unwrap());
    }
    let mut other = Client::connect(&rig).await;
    assert_eq!(other.get("/bytes/3000000").await.body.len(), 3_000_000);
    assert_eq!(server.connections(), 1);
    drop((held, stuck, other));
    rig.shutdown().await;
}

#[tokio::test]
async fn a_client_of_http_1_1_sees_no_difference() {
    let (server, rig) = one(Manner::Serve).await;
    let answer = rig.get("/bytes/100000").await;
    assert_eq!((answer.status, answer.body.len()), (200, 100_000));
    let post = "POST /echo HTTP/1.1\r\nHost: shop.example.com\r\nTransfer-Encoding: chunked\r\n\r\n\
                5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n";
    let answer = rig.send(post.as_bytes()).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, "5\r\nhello\r\n0\r\n\r\n")
    );
    let post = "POST /echo HTTP/1.1\r\nHost: shop.example.com\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(
        rig.send(post.as_bytes()).await.body,
        "5\r\nhello\r\n0\r\n\r\n"
    );
    let empty = rig.get("/trailers-only").await;
    assert!(
        empty.head.contains("content-length: 0\r\n"),
        "{}",
        empty.head
    );
    server.set(Manner::Status(204));
    let answer = rig.get("/").await;
    assert!(
        answer.status == 204 && !answer.head.contains("ength"),
        "{}",
        answer.head
    );
    server.set(Manner::Serve);
    // There is no switch of protocols in HTTP/2.
    let ask = "GET / HTTP/1.1\r\nHost: shop.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(rig.send(ask.as_bytes()).await.body, "az1");
    rig.shutdown().await;
}

/// An endpoint that takes no request: it says GOAWAY and that it has served none.
fn leaving() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.set_read_timeout(Some(PATIENCE));
            let _ = stream.write_all(&h2_frames::settings(&[]));
            let mut received = Vec::new();
            let mut bytes = [0; 4096];
            // Until the whole request has come, by its body.
            while !received.windows(4).any(|four| four == b"once") {
                match stream.read(&mut bytes) {
                    Ok(count @ 1..) => received.extend_from_slice(&bytes[..count]),
                    _ => break,
                }
            }
            let _ = stream.write_all(&h2_frames::frame(h2_frames::GOAWAY, 0, 0, &[0; 8]));
            // The other side ends it.
            while matches!(stream.read(&mut bytes), Ok(1..)) {}
        }
    });
    address
}

#[tokio::test]
async fn what_was_not_processed_moves_whatever_its_method() {
    let refusing = Server::start("az1", Manner::Refuse, Builder::new()).await;
    for bad in [refusing.address, leaving()] {
        let good = Server::start("az2", Manner::Serve, Builder::new()).await;
        let rig = Rig::start(content(&[("az1", bad), ("az2", good.address)])).await;
        let mut client = Client::connect(&rig).await;
        for _ in 0..6 {
            let mut post = request("POST", "/");
            post.headers_mut()
                .insert("content-length", "4".parse().unwrap());
            let (answer, mut stream) = client.begin(post, false).await;
            stream.send_data("once".into(), true).unwrap();
            assert_eq!(whole(answer).await.unwrap().text(), "az2");
        }
        assert_eq!(good.requests(), 6);
        drop(client);
        rig.shutdown().await;
    }
    assert!(refusing.requests() > 0);
}

#[tokio::test]
async fn what_may_have_been_processed_is_sent_once() {
    let (bad, good) = (
        Server::start("az1", Manner::Cut, Builder::new()).await,
        Server::start("az2", Manner::Serve, Builder::new()).await,
    );
    let rig = Rig::start(content(&[("az1", bad.address), ("az2", good.address)])).await;
    let mut client = Client::connect(&rig).await;
    let mut outcomes = Vec::new();
    for _ in 0..4 {
        let (answer, mut stream) = client.begin(request("POST", "/"), false).await;
        stream.send_data("once".into(), true).unwrap();
        outcomes.push(whole(answer).await.unwrap().status);
    }
    outcomes.sort_unstable();
    assert_eq!(outcomes, [200, 200, 502, 502]);
    assert_eq!((bad.requests(), good.requests()), (2, 2));
    // A repeatable one moves.
    for _ in 0..4 {
        assert_eq!(client.get("/").await.text(), "az2");
    }
    drop(client);
    rig.shutdown().await;
}

#[tokio::test]
async fn a_client_that_gives_up_resets_the_stream_and_not_the_connection() {
    let (server, rig) = one(Manner::Wait).await;
    let mut client = Client::connect(&rig).await;
    let (_answer, mut stream) = client.begin(get("/"), true).await;
    until(|| server.requests() == 1).await;
    stream.send_reset(h2::Reason::CANCEL);
    server.set(Manner::Serve);
    assert_eq!(client.get("/").await.text(), "az1");
    assert_eq!(server.connections(), 1);
    drop(client);
    rig.shutdown().await;
}

#[tokio::test]
async fn a_silent_endpoint_costs_a_repeatable_request_nothing_but_time() {
    let (bad, good) = (
        Server::start("az1", Manner::Wait, Builder::new()).await,
        Server::start("az2", Manner::Serve, Builder::new()).await,
    );
    let rig = Rig::start(content(&[("az1", bad.address), ("az2", good.address)])).await;
    let mut client = Client::connect(&rig).await;
    for _ in 0..6 {
        assert_eq!(client.get("/").await.text(), "az2");
    }
    assert!(bad.requests() > 0);
    drop(client);
    rig.shutdown().await;
}

/// An endpoint whose first connection falls silent behind its first answer, as one does whose other side is gone.
fn falling_silent() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for (at, mut stream) in listener.incoming().flatten().enumerate() {
            std::thread::spawn(move || {
                let _ = stream.set_read_timeout(Some(PATIENCE));
                let _ = stream.write_all(&h2_frames::settings(&[]));
                let _ = stream.read_exact(&mut [0; h2_frames::PREFACE.len()]);
                let mut answered = false;
                let mut head = [0; 9];
                while stream.read_exact(&mut head).is_ok() {
                    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                    let mut payload = vec![0; length as usize];
                    let _ = stream.read_exact(&mut payload);
                    if head[3] != h2_frames::HEADERS || (at == 0 && answered) {
                        continue;
                    }
                    answered = true;
                    let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
                    // 200, from the table.
                    let _ = stream.write_all(&h2_frames::headers(h2_frames::WHOLE, id, &[0x88]));
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_connection_that_falls_silent_gets_no_further_requests() {
    let mut content = content(&[("az1", falling_silent())]);
    content.settings.timeouts.first_byte = Duration::from_millis(700);
    let rig = Rig::start(content).await;
    let mut client = Client::connect(&rig).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(client.get("/").await.status);
    }
    assert_eq!(statuses, [200, 504, 200, 200]);
    drop(client);
    rig.shutdown().await;
}

#[tokio::test]
async fn probes_speak_http_2_as_well() {
    let (bad, good) = (
        Server::start("az1", Manner::Status(500), Builder::new()).await,
        Server::start("az2", Manner::Serve, Builder::new()).await,
    );
    let mut content = content(&[("az1", bad.address), ("az2", good.address)]);
    let active = &mut first(&mut content.backends).health.active;
    active.probe = Probe::Http {
        path: "/healthz".to_owned(),
        host: String::new(),
    };
    active.interval = Duration::from_millis(50);
    active.timeout = Duration::from_millis(50);
    let rig = Rig::start(content).await;
    in_time(async { while !rig.status_page().await.to_string().contains("probe-failed") {} }).await;
    let mut client = Client::connect(&rig).await;
    for _ in 0..4 {
        assert_eq!(client.get("/").await.text(), "az2");
    }
    assert!(bad.requests() == 0 && good.requests() == 4);
    drop(client);
    rig.shutdown().await;
}
