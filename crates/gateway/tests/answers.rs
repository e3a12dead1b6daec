//! Answers that are changed on their way, and requests that take too long.
#![allow(missing_docs, clippy::unwrap_used)]

mod rig;

use rig::*;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use tidegate_model::{
    Action, AnswerRewrite, PathMatch, Redirect, Replace, Route, RouteId, Snapshot, Target,
};

const GET: &str = "GET / HTTP/1.1\r\nHost: shop.example.com\r\n\r\n";

/// The one route of the snapshot, changed.
fn with(mut snapshot: Snapshot, change: impl FnOnce(&mut Route)) -> Snapshot {
    snapshot = unprobed(snapshot);
    change(&mut first(&mut snapshot.hosts)[0]);
    snapshot
}

fn replace(from: &str, to: &str) -> Option<Replace> {
    Some(Replace {
        from: from.to_owned(),
        to: to.to_owned(),
    })
}

#[tokio::test]
async fn places_in_the_answer_are_those_that_the_client_knows() {
    let raw = "HTTP/1.1 302 Found\r\nset-cookie: a=1; Domain=in.example.com; Path=/app/x\r\nX-Keep: 1\r\n\
               Location: http://in.example.com/app/next\r\nSet-Cookie: b=2; Secure\r\n\
               Refresh: 3;url=http://in.example.com/app/\r\nContent-Length: 0\r\n\r\n";
    let backend = Backend::start("az1", Mode::Raw(raw));
    let content = with(snapshot(&[&backend]), |route| {
        route.filters.answer = AnswerRewrite {
            cookie_domain: replace("in.example.com", "shop.example.com"),
            cookie_path: replace("/app/", "/"),
            location: replace("http://in.example.com/app/", "https://shop.example.com/"),
        };
    });
    let rig = Rig::start(content).await;
    let answer = rig.send(GET.as_bytes()).await;
    assert_eq!(answer.status, 302);
    let count = |text: &str| answer.head.to_ascii_lowercase().matches(text).count();
    for line in [
        "Set-Cookie: a=1; Domain=shop.example.com; Path=/x\r\n",
        "Set-Cookie: b=2; Secure\r\n",
        "Location: https://shop.example.com/next\r\n",
        "Refresh: 3;url=https://shop.example.com/\r\n",
        "X-Keep: 1\r\n",
    ] {
        assert!(answer.head.contains(line), "{line:?}: {}", answer.head);
    }
    assert_eq!(
        (count("set-cookie:"), count("location:"), count("refresh:")),
        (2, 1, 1)
    );
    assert!(!answer.head.contains("in.example.com"), "{}", answer.head);
    rig.shutdown().await;
}

#[tokio::test]
async fn a_relative_redirect_names_no_host_where_it_stays_on_it() {
    let backend = Backend::start("az1", Mode::Serve);
    let content = with(snapshot(&[&backend]), |route| {
        route.filters.relative_redirects = true;
        route.action = Action::Redirect(Redirect {
            status: 302,
            to: Target::Path("/start".to_owned()),
        });
    });
    let mut other = content.hosts.values().next().unwrap()[0].clone();
    other.id = RouteId("other".to_owned());
    other.path = PathMatch::prefix("/other").unwrap();
    other.action = Action::Redirect(Redirect {
        status: 302,
        to: Target::Host("www.example.com".to_owned()),
    });
    let content = {
        let mut content = content;
        first(&mut content.hosts).push(other);
        content
    };
    let rig = Rig::start(content).await;
    let answer = rig.get("/x").await;
    assert!(
        answer.head.contains("Location: /start\r\n"),
        "{}",
        answer.head
    );
    let answer = rig.get("/other").await;
    let elsewhere = "Location: http://www.example.com/other\r\n";
    assert!(answer.head.contains(elsewhere), "{}", answer.head);
    rig.shutdown().await;
}

#[tokio::test]
async fn a_request_that_takes_longer_than_its_route_allows_is_answered_504() {
    let hanging = Backend::start("az1", Mode::Hang);
    let content = with(snapshot(&[&hanging]), |route| {
        route.filters.timeouts.total = Some(Duration::from_millis(100));
    });
    let rig = Rig::start(content).await;
    assert_eq!(rig.send(GET.as_bytes()).await.status, 504);
    // Also when it is the client who is slow: the body that may be held never comes.
    let put = "PUT / HTTP/1.1\r\nHost: shop.example.com\r\nContent-Length: 9\r\n\r\nhalf";
    assert_eq!(rig.send(put.as_bytes()).await.status, 504);
    // And one that cannot be held, which is sent on as it comes.
    let post = "POST / HTTP/1.1\r\nHost: shop.example.com\r\nContent-Length: 9\r\n\r\nhalf";
    assert_eq!(rig.send(post.as_bytes()).await.status, 504);
    rig.shutdown().await;
}

#[tokio::test]
async fn an_answer_that_takes_longer_than_its_route_allows_is_cut() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nx";
        stream.write_all(head).unwrap();
        // It trickles on, so that no pause is too long, until the gateway leaves.
        while stream.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let stand_in = Backend::start("az1", Mode::Serve);
    let mut content = with(snapshot(&[&stand_in]), |route| {
        route.filters.timeouts.total = Some(Duration::from_millis(200));
    });
    for endpoint in first(&mut content.backends).clusters.values_mut().flatten() {
        endpoint.address = address;
    }
    let rig = Rig::start(content).await;
    let http = rig.http;
    let text = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(GET.as_bytes()).unwrap();
        let mut text = Vec::new();
        // A reset is an end as well.
        let _ = stream.read_to_end(&mut text);
        String::from_utf8(text).unwrap()
    })
    .await
    .unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert!(text.len() < 1_000_000, "{}", text.len());
    assert_eq!(stand_in.requests(), 0);
    rig.shutdown().await;
}

#[tokio::test]
async fn no_further_try_begins_behind_the_time_for_tries() {
    let hanging = Backend::start("az1", Mode::Hang);
    let other = Backend::start("az2", Mode::Hang);
    let content = |within| {
        let mut content = with(snapshot(&[&hanging, &other]), |route| {
            route.filters.timeouts.try_first_byte = Some(Duration::from_millis(200));
            route.filters.timeouts.total = Some(Duration::from_millis(1500));
            route.filters.retry.within = within;
        });
        first(&mut content.backends)
            .health
            .passive
            .consecutive_failures = 0;
        content
    };
    let asked = || hanging.requests() + other.requests();
    let rig = Rig::start(content(Some(Duration::from_millis(1)))).await;
    assert_eq!(rig.send(GET.as_bytes()).await.status, 504);
    assert_eq!(asked(), 1);
    rig.shutdown().await;
    let rig = Rig::start(content(None)).await;
    assert_eq!(rig.send(GET.as_bytes()).await.status, 504);
    assert_eq!(asked(), 3);
    rig.shutdown().await;
}
