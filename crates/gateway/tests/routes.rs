//! What a client sees of routes, keep-alive and pipelining.

mod support;

use support::*;

#[tokio::test]
async fn a_request_is_passed_on_and_says_where_it_comes_from() {
    let backend = Backend::start(Behaviour::Echo).await;
    let gateway = gateway(snapshot(&[&[backend.address]])).await;
    let mut client = Client::connect(&gateway).await;
    client
        .send(
            "GET //a/./b/../c?x=%2e HTTP/1.1\r\nHost: Shop.example.com\r\nX-Forwarded-For: 1.2.3.4\r\n\
             Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nX-End: 2\r\nTE: trailers\r\n\r\n",
        )
        .await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 200);
    let seen = answer.text();
    assert!(seen.starts_with("GET /a/c?x=%2e HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("X-End: 2\r\n"), "{seen}");
    assert!(seen.contains("X-Forwarded-For: 127.0.0.1\r\n"), "{seen}");
    assert!(
        seen.contains("X-Forwarded-Host: Shop.example.com\r\n"),
        "{seen}"
    );
    for gone in ["1.2.3.4", "X-Hop", "TE:", "Connection"] {
        assert!(!seen.contains(gone), "{gone}: {seen}");
    }
    gateway.shutdown().await;
}

#[tokio::test]
async fn a_connection_carries_many_requests_and_so_does_the_one_behind_it() {
    let backend = Backend::named("one").await;
    let gateway = gateway(snapshot(&[&[backend.address]])).await;
    let mut client = Client::connect(&gateway).await;
    for _ in 0..50 {
        assert_eq!(client.get("/").await.text(), "one");
    }
    assert_eq!(backend.connections(), 1);
    assert_eq!(backend.requests().len(), 50);
    gateway.shutdown().await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order_up_to_a_bad_one() {
    let backend = Backend::start(Behaviour::Echo).await;
    let gateway = gateway(snapshot(&[&[backend.address]])).await;
    let mut client = Client::connect(&gateway).await;
    let mut all = String::new();
    for number in 0..1000 {
        all += &format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    all += "GET /bad HTTP/1.1\r\n\r\nGET /after HTTP/1.1\r\nHost: a\r\n\r\n";
    client.send(all).await;
    for number in 0..1000 {
        let seen = client.answer().await.text();
        assert!(seen.starts_with(&format!("GET /{number} ")), "{seen}");
    }
    assert_eq!(client.answer().await.status, 400);
    assert_eq!(client.rest().await, "");
    assert_eq!(backend.count("after"), 0);
    gateway.shutdown().await;
}
