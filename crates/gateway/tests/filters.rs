//! Filters on their way through real sockets: what the backend is sent and what the client sees.
#![allow(missing_docs, clippy::unwrap_used)]

mod rig;

use rig::*;
use tidegate_model::{
    Action, Cidr, Filters, Header, HeaderEdits, PathMatch, PathRewrite, Redirect, Rewrite, Route,
    RouteRetry, Snapshot, Target,
};

/// The one route of the snapshot, changed.
fn with(mut snapshot: Snapshot, change: impl FnOnce(&mut Route)) -> Snapshot {
    snapshot = unprobed(snapshot);
    change(&mut first(&mut snapshot.hosts)[0]);
    snapshot
}

fn header(name: &str, value: &str) -> Header {
    Header {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

/// What a client and a backend say, each in one piece.
async fn exchange(rig: &Rig, request: &str) -> Answer {
    rig.send(request.as_bytes()).await
}

#[tokio::test]
async fn a_backend_sees_the_rewritten_request_and_the_client_the_edited_answer() {
    let raw =
        "HTTP/1.1 200 OK\r\nServer: x\r\nX-Old: 1\r\nX-Keep: 2\r\nContent-Length: 2\r\n\r\nhi";
    let backend = Backend::start("az1", Mode::Raw(raw));
    let content = with(snapshot(&[&backend]), |route| {
        route.path = PathMatch::regex("/api(/|$)(.*)").unwrap();
        route.filters = Filters {
            rewrite: Rewrite {
                path: Some(PathRewrite::Full("/v2/$2?from=api".to_owned())),
                host: Some("inner.example.com".to_owned()),
            },
            request_headers: HeaderEdits {
                remove: vec!["X-Secret".to_owned()],
                set: vec![header("X-Env", "prod")],
                add: vec![header("X-Tag", "b")],
            },
            response_headers: HeaderEdits {
                remove: vec!["server".to_owned()],
                set: vec![header("X-Old", "new")],
                add: Vec::new(),
            },
            ..Filters::default()
        };
    });
    let rig = Rig::start(content).await;
    let request = "GET /api/shop?q=1 HTTP/1.1\r\nHost: shop.example.com\r\nX-SECRET: s\r\nx-env: dev\r\n\
                   X-Tag: a\r\n\r\n";
    let answer = exchange(&rig, request).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "hi"));
    let received = backend.received();
    assert!(
        received.starts_with("GET /v2/shop?from=api&q=1 HTTP/1.1\r\nHost: inner.example.com\r\n"),
        "{received}"
    );
    for line in [
        "X-Env: prod\r\n",
        "X-Tag: a\r\n",
        "X-Tag: b\r\n",
        "X-Forwarded-Host: shop.example.com\r\n",
    ] {
        assert!(received.contains(line), "{line:?} is missing: {received}");
    }
    for gone in ["SECRET", "dev"] {
        assert!(!received.contains(gone), "{gone:?} is there: {received}");
    }
    for line in ["X-Old: new\r\n", "X-Keep: 2\r\n"] {
        assert!(answer.head.contains(line), "{}", answer.head);
    }
    for gone in ["Server:", "X-Old: 1"] {
        assert!(!answer.head.contains(gone), "{}", answer.head);
    }
    rig.shutdown().await;
}

#[tokio::test]
async fn what_a_filter_answers_reaches_no_backend_and_keeps_the_connection() {
    use std::io::Write;
    let backend = Backend::start("az1", Mode::Serve);
    let content = with(snapshot(&[&backend]), |route| {
        route.action = Action::Redirect(Redirect {
            status: 308,
            to: Target::Host("www.example.com".to_owned()),
        });
    });
    let rig = Rig::start(content).await;
    let http = rig.http;
    tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        for path in ["/a/../b?x=1", "/c"] {
            let head = format!("GET {path} HTTP/1.1\r\nHost: shop.example.com\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            let answer = read_answer(&mut stream);
            assert_eq!(answer.status, 308);
            let path = path.replace("/a/..", "");
            let line = format!("Location: http://www.example.com{path}\r\n");
            assert!(answer.head.contains(&line), "{}", answer.head);
        }
    })
    .await
    .unwrap();
    assert_eq!(backend.requests(), 0);
    rig.shutdown().await;
}

#[tokio::test]
async fn a_body_that_grows_too_large_is_refused_and_its_request_given_up() {
    let backend = Backend::start("az1", Mode::Serve);
    let content = with(snapshot(&[&backend]), |route| {
        route.filters.max_body = Some(10);
    });
    let rig = Rig::start(content).await;
    let head = "POST / HTTP/1.1\r\nHost: shop.example.com\r\n";
    let told = exchange(
        &rig,
        &format!("{head}Content-Length: 11\r\n\r\n01234567890"),
    )
    .await;
    assert_eq!(told.status, 413);
    assert_eq!(told.body, "the request body is larger than allowed here\n");
    let chunks =
        format!("{head}Transfer-Encoding: chunked\r\n\r\n6\r\n012345\r\n6\r\n012345\r\n0\r\n\r\n");
    assert_eq!(exchange(&rig, &chunks).await.status, 413);
    assert_eq!(backend.requests(), 0);
    let fits =
        format!("{head}Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n01234\r\n0\r\n\r\n");
    assert_eq!(exchange(&rig, &fits).await.status, 200);
    let fits = format!("{head}Content-Length: 10\r\n\r\n0123456789");
    assert_eq!(exchange(&rig, &fits).await.status, 200);
    assert_eq!(backend.requests(), 2);
    rig.shutdown().await;
}

#[tokio::test]
async fn a_route_may_repeat_any_method_or_none() {
    let post = "POST / HTTP/1.1\r\nHost: shop.example.com\r\nContent-Length: 2\r\n\r\nhi";
    let get = "GET / HTTP/1.1\r\nHost: shop.example.com\r\n\r\n";
    let cases = [
        (
            post,
            RouteRetry {
                any_method: true,
                max: None,
                within: None,
            },
            200,
            true,
        ),
        (
            get,
            RouteRetry {
                any_method: false,
                max: Some(0),
                within: None,
            },
            502,
            false,
        ),
    ];
    for (request, retry, last, all) in cases {
        let bad = Backend::start("az1", Mode::Reset);
        let good = Backend::start("az2", Mode::Serve);
        let mut content = with(snapshot(&[&bad, &good]), |route| {
            route.filters.retry = retry
        });
        first(&mut content.backends)
            .health
            .passive
            .consecutive_failures = 0;
        let rig = Rig::start(content).await;
        let mut statuses = Vec::new();
        for _ in 0..10 {
            statuses.push(exchange(&rig, request).await.status);
        }
        assert!(statuses.contains(&last), "{statuses:?}");
        assert_eq!(statuses.iter().all(|s| *s == 200), all, "{statuses:?}");
        assert!(bad.requests() > 0);
        rig.shutdown().await;
    }
}

#[tokio::test]
async fn a_trusted_proxy_says_who_the_client_is() {
    let backend = Backend::start("az1", Mode::Serve);
    let trusting = |trusted: &[&str]| {
        let mut content = with(snapshot(&[&backend]), |route| {
            route.filters.https_redirect = Some(308);
            route.filters.access.deny = vec!["192.0.2.0/24".parse().unwrap()];
        });
        let parse = |range: &&str| range.parse::<Cidr>().unwrap();
        content.settings.trusted_proxies = trusted.iter().map(parse).collect();
        content
    };
    let ask = |client: &str| {
        format!(
            "GET / HTTP/1.1\r\nHost: shop.example.com\r\nX-Forwarded-For: 7.7.7.7, {client}\r\n\
             X-Forwarded-Proto: https\r\n\r\n"
        )
    };
    let rig = Rig::start(trusting(&["127.0.0.1"])).await;
    assert_eq!(exchange(&rig, &ask("192.0.2.9")).await.status, 403);
    assert_eq!(backend.requests(), 0);
    assert_eq!(exchange(&rig, &ask("198.51.100.9")).await.status, 200);
    let received = backend.received();
    assert!(
        received.contains("X-Forwarded-For: 7.7.7.7, 198.51.100.9, 127.0.0.1\r\n"),
        "{received}"
    );
    assert!(
        received.contains("X-Forwarded-Proto: https\r\n"),
        "{received}"
    );
    rig.shutdown().await;
    // Anybody else is not believed: it came over plain HTTP.
    let rig = Rig::start(trusting(&["10.0.0.0/8"])).await;
    assert_eq!(exchange(&rig, &ask("198.51.100.9")).await.status, 308);
    rig.shutdown().await;
}
