//! Bodies over HTTP/2: windows, ends and trailers.
#![allow(missing_docs, clippy::unwrap_used)]

mod h2_client;
mod rig;

use bytes::Bytes;
use h2_client::*;
use http::{HeaderMap, Request};
use rig::*;
use std::time::Duration;

async fn shop(mode: Mode) -> (Backend, Rig) {
    let backend = Backend::start("az1", mode);
    let rig = Rig::start(unprobed(snapshot(&[&backend]))).await;
    (backend, rig)
}

#[tokio::test]
async fn large_bodies_pass_both_ways() {
    let (backend, rig) = shop(Mode::Serve).await;
    let mut client = Client::connect(&rig).await;
    assert_eq!(client.get("/bytes/5000000").await.body.len(), 5_000_000);
    let body = Bytes::from(vec![b'u'; 3_000_000]);
    for length in [Some(body.len()), None] {
        let before = backend.bytes();
        let mut post = request("POST", "/up");
        if let Some(length) = length {
            post.headers_mut().insert("content-length", length.into());
        }
        let (answer, mut stream) = client.begin(post, false).await;
        send_all(&mut stream, body.clone(), true).await;
        let answer = whole(answer).await.unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, "az1"));
        assert!(backend.bytes() - before > body.len());
    }
    let received = backend.received();
    assert!(received.contains("\r\ncontent-length: 3000000\r\n"));
    assert!(received.contains("\r\nTransfer-Encoding: chunked\r\n"));
    drop(client);
    rig.shutdown().await;
}

#[tokio::test]
async fn trailers_pass_both_ways_but_for_those_that_mislead() {
    let (backend, rig) = shop(Mode::Raw(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nhi\r\n0\r\n\
         Grpc-Status: 0\r\nContent-Length: 7\r\nSet-Cookie: a\r\nX-Sum: 1\r\n\r\n",
    ))
    .await;
    let mut client = Client::connect(&rig).await;
    for (method, path) in [("POST", "/now"), ("PUT", "/held")] {
        let (answer, mut stream) = client.begin(request(method, path), false).await;
        stream.send_data("up".into(), false).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-checksum", path.parse().unwrap());
        trailers.insert("authorization", "Basic YTpi".parse().unwrap());
        stream.send_trailers(trailers).unwrap();
        let answer = whole(answer).await.unwrap();
        assert_eq!(answer.text(), "hi");
        let trailers = answer.trailers.unwrap();
        let names: Vec<_> = trailers.keys().map(http::HeaderName::as_str).collect();
        assert_eq!(names, ["grpc-status", "x-sum"]);
        let received = backend.received();
        let expect = format!("\r\n\r\n2\r\nup\r\n0\r\nx-checksum: {path}\r\n\r\n");
        assert!(received.ends_with(&expect), "{received}");
    }
    // A client of HTTP/1.1 gets none.
    assert_eq!(rig.get("/").await.body, "2\r\nhi\r\n0\r\n\r\n");
    drop(client);
    rig.shutdown().await;
}

#[tokio::test]
async fn a_slow_reader_stops_nobody_else_and_gets_everything() {
    let (_backend, rig) = shop(Mode::Serve).await;
    let mut builder = h2::client::Builder::new();
    // The connection has room for all, each stream for a little.
    builder
        .initial_window_size(20_000)
        .initial_connection_window_size(50_000_000);
    let mut client = Client::connect_with(&rig, &builder).await;
    let mut slow = Vec::new();
    for _ in 0..20 {
        let (answer, _) = client.begin(get("/bytes/2000000"), true).await;
        slow.push(in_time(answer).await.unwrap());
    }
    for _ in 0..20 {
        assert_eq!(client.get("/").await.text(), "az1");
    }
    for answer in slow {
        assert_eq!(rest(answer).await.unwrap().body.len(), 2_000_000);
    }
    drop(client);
    rig.shutdown().await;
}

#[tokio::test]
async fn a_stream_whose_window_stays_shut_is_reset_in_time() {
    let backend = Backend::start("az1", Mode::Serve);
    let mut content = unprobed(snapshot(&[&backend]));
    content.settings.timeouts.body_idle = Duration::from_millis(200);
    let rig = Rig::start(content).await;
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(1);
    let mut client = Client::connect_with(&rig, &builder).await;
    let (answer, _) = client.begin(get("/bytes/1000"), true).await;
    let mut stream = in_time(answer).await.unwrap().into_body();
    assert_eq!(in_time(stream.data()).await.unwrap().unwrap().len(), 1);
    let error = in_time(stream.data()).await.unwrap().unwrap_err();
    assert_eq!(error.reason(), Some(h2::Reason::INTERNAL_ERROR));
    // The connection goes on.
    let (answer, _) = client.begin(request("HEAD", "/"), true).await;
    assert_eq!(in_time(answer).await.unwrap().status(), 200);
    drop(client);
    rig.shutdown().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_answered_408() {
    let backend = Backend::start("az1", Mode::Serve);
    let mut content = unprobed(snapshot(&[&backend]));
    content.settings.timeouts.body_idle = Duration::from_millis(200);
    let rig = Rig::start(content).await;
    let mut client = Client::connect(&rig).await;
    let (answer, _stream) = client.begin(request("PUT", "/"), false).await;
    assert_eq!(whole(answer).await.unwrap().status, 408);
    assert_eq!(client.get("/").await.text(), "az1");
    drop(client);
    rig.shutdown().await;
}

#[tokio::test]
async fn an_answer_that_is_cut_is_a_stream_that_is_reset() {
    let (backend, rig) = shop(Mode::Raw(
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
    ))
    .await;
    let mut client = Client::connect(&rig).await;
    let (answer, _) = client.begin(get("/"), true).await;
    let error = whole(answer).await.unwrap_err();
    assert_eq!(error.reason(), Some(h2::Reason::INTERNAL_ERROR));
    backend.set(Mode::Serve);
    assert_eq!(client.get("/").await.text(), "az1");
    drop(client);
    rig.shutdown().await;
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_request_stops_the_request() {
    let (_backend, rig) = shop(Mode::Serve).await;
    let mut client = Client::connect(&rig).await;
    let post = Request::post("http://other.example.com/").body(()).unwrap();
    let (answer, mut stream) = client.begin(post, false).await;
    assert_eq!(whole(answer).await.unwrap().status, 404);
    let reason = std::future::poll_fn(|context| stream.poll_reset(context));
    assert_eq!(in_time(reason).await.unwrap(), h2::Reason::NO_ERROR);
    assert_eq!(client.get("/").await.text(), "az1");
    drop(client);
    rig.shutdown().await;
}
