//! Another service says who may ask.
#![allow(missing_docs, clippy::unwrap_used)]

mod rig;

use rig::*;
use std::time::Duration;
use tidegate_model::{
    AuthCache, AuthTarget, BackendId, Cidr, ExternalAuth, Header, HostPattern, KeepAnswers,
    KeyPart, PathMatch, Route, RouteId, Satisfy, Snapshot,
};

const GRANT: &str = "HTTP/1.1 202 Accepted\r\nX-User: anna\r\nSet-Cookie: s=1\r\nX-Other: no\r\nContent-Length: 2\r\n\r\nok";
const NO_SESSION: &str = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nSet-Cookie: s=\r\n\
                          Content-Length: 0\r\n\r\n";

fn by_backend() -> ExternalAuth {
    ExternalAuth {
        to: AuthTarget::Backend {
            id: BackendId::new("auth", "judge", "80").unwrap(),
            host: "judge.auth.svc".to_owned(),
        },
        method: "GET".to_owned(),
        path: "/check".to_owned(),
        query: vec![KeyPart::Text("for=".to_owned()), KeyPart::Uri],
        request_headers: vec![Header {
            name: "X-Env".to_owned(),
            value: "prod".to_owned(),
        }],
        response_headers: vec!["X-User".to_owned()],
        redirect: Vec::new(),
        cache: None,
        sign_in: Vec::new(),
    }
}

/// The shop, whose requests `judge` is asked about.
fn guarded(shop: &Backend, judge: &Backend, auth: ExternalAuth) -> Snapshot {
    let mut content = unprobed(snapshot(&[shop]));
    beside(&mut content, "auth", "judge", judge);
    first(&mut content.hosts)[0].filters.external_auth = Some(auth);
    content
}

#[tokio::test]
async fn the_service_sees_the_request_and_the_backend_what_it_says() {
    let shop = Backend::start("az1", Mode::Serve);
    let judge = Backend::start("judge", Mode::Raw(GRANT));
    let rig = Rig::start(guarded(&shop, &judge, by_backend())).await;
    let request = "POST /cart?a=1&b=2 HTTP/1.1\r\nHost: shop.example.com\r\nCookie: session=7\r\nX-User: root\r\nX-Env: test\r\n\
                   X-Original-URL: http://forged/\r\nContent-Length: 4\r\n\r\nbody";
    let answer = rig.send(request.as_bytes()).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "az1"));
    assert!(
        answer.head.contains("Set-Cookie: s=1\r\n"),
        "{}",
        answer.head
    );
    let asked = judge.received();
    assert!(
        asked.starts_with(
            "GET /check?for=%2Fcart%3Fa%3D1%26b%3D2 HTTP/1.1\r\nHost: judge.auth.svc\r\n"
        ),
        "{asked}"
    );
    for line in [
        "Cookie: session=7\r\n",
        "X-Original-URL: http://shop.example.com/cart?a=1&b=2\r\n",
        "X-Original-Method: POST\r\n",
        "X-Env: prod\r\n",
        "X-Auth-Request-Redirect: /cart?a=1&b=2\r\n",
        "X-Forwarded-For: 127.0.0.1\r\n",
    ] {
        assert_eq!(asked.matches(line).count(), 1, "{line:?}: {asked}");
    }
    for gone in ["body", "forged", "Content-Length", "X-Env: test"] {
        assert!(!asked.contains(gone), "{gone:?}: {asked}");
    }
    let served = shop.received();
    let id = |head: &str| {
        let line = head.lines().find(|line| line.starts_with("X-Request-Id: "));
        line.unwrap().to_owned()
    };
    assert_eq!(id(&asked), id(&served));
    for line in ["X-User: anna\r\n", "X-Env: test\r\n", "\r\n\r\nbody"] {
        assert!(served.contains(line), "{line:?}: {served}");
    }
    for gone in ["root", "X-Other"] {
        assert!(!served.contains(gone), "{gone:?}: {served}");
    }
    rig.shutdown().await;
}

#[tokio::test]
async fn who_is_refused_reaches_no_backend_and_is_sent_to_sign_in_if_there_is_a_place() {
    let shop = Backend::start("az1", Mode::Serve);
    let judge = Backend::start("judge", Mode::Raw(NO_SESSION));
    let content = guarded(&shop, &judge, by_backend());
    let rig = Rig::start(content.clone()).await;
    let refused = rig.get("/a").await;
    assert_eq!(refused.status, 401);
    for line in ["WWW-Authenticate: Bearer\r\n", "Set-Cookie: s=\r\n"] {
        assert!(refused.head.contains(line), "{}", refused.head);
    }
    judge.set(Mode::Status(403));
    assert_eq!(rig.get("/a").await.status, 403);
    let mut with_sign_in = content;
    let auth = &mut first(&mut with_sign_in.hosts)[0].filters.external_auth;
    let text = |text: &str| KeyPart::Text(text.to_owned());
    auth.as_mut().unwrap().sign_in = vec![
        text("https://"),
        KeyPart::Host,
        text("/start?rd="),
        KeyPart::Scheme,
        text("://"),
        KeyPart::Authority,
        KeyPart::Uri,
    ];
    rig.publish(with_sign_in).await;
    judge.set(Mode::Raw(NO_SESSION));
    let sent = rig.get("/a?b=c&d=//evil.example.com").await;
    assert_eq!(sent.status, 302);
    let place = "Location: https://shop.example.com/start?rd=http://shop.example.com%2Fa%3Fb%3Dc%26d%3D%2F%2Fevil.example.com\r\n";
    assert!(sent.head.contains(place), "{}", sent.head);
    assert!(!sent.head.contains("WWW-Authenticate"), "{}", sent.head);
    assert_eq!(shop.requests(), 0);
    rig.shutdown().await;
}

#[tokio::test]
async fn a_service_that_cannot_be_asked_lets_nobody_in() {
    let shop = Backend::start("az1", Mode::Serve);
    let judge = Backend::start("judge", Mode::Reset);
    let mut content = guarded(&shop, &judge, by_backend());
    content.settings.timeouts.first_byte = Duration::from_millis(200);
    let rig = Rig::start(content.clone()).await;
    for mode in [
        Mode::Reset,
        Mode::Hang,
        Mode::Status(500),
        Mode::Status(302),
        Mode::Status(404),
        Mode::Raw("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"),
    ] {
        judge.set(mode);
        let refused = rig.get("/").await;
        assert_eq!(refused.status, 503, "{mode:?}");
        assert!(refused.body.contains("authentication"), "{}", refused.body);
    }
    // Without any endpoint as well.
    let id = BackendId::new("auth", "judge", "80").unwrap();
    let mut nobody = content.backends[&id].clone();
    nobody.clusters.clear();
    content.backends.insert(id, nobody);
    rig.publish(content).await;
    assert_eq!(rig.get("/").await.status, 503);
    assert_eq!(shop.requests(), 0);
    rig.shutdown().await;
}

/// A route of the same host that leads to the judge, with a rewrite of its own.
fn own_route(content: &mut Snapshot, host: &str, path: &str) {
    let action = tidegate_model::Action::Forward(tidegate_model::Forward {
        backend: BackendId::new("auth", "judge", "80").unwrap(),
        placement: tidegate_model::RoutePlacement::Policy,
        fallback: None,
    });
    let id = RouteId("auth".to_owned());
    let mut route = Route::new(id, PathMatch::prefix(path).unwrap(), action);
    route.filters.rewrite.path = Some(tidegate_model::PathRewrite::Prefix("/inner".to_owned()));
    let host = HostPattern::parse(host).unwrap();
    let before = content.hosts.get(&host).cloned().unwrap_or_default();
    let all: Vec<Route> = before.iter().cloned().chain([route]).collect();
    content.hosts.insert(host, all.into());
}

#[tokio::test]
async fn the_gateway_s_own_routes_can_be_asked_and_only_hosts_that_it_serves_by_name() {
    let shop = Backend::start("az1", Mode::Serve);
    let judge = Backend::start("judge", Mode::Raw(GRANT));
    let own = |host: Option<&str>| ExternalAuth {
        to: AuthTarget::Own {
            host: host.map(str::to_owned),
        },
        path: "/oauth2/auth".to_owned(),
        query: Vec::new(),
        ..by_backend()
    };
    let mut content = guarded(&shop, &judge, own(None));
    own_route(&mut content, "shop.example.com", "/oauth2");
    let rig = Rig::start(content.clone()).await;
    let answer = rig.get("/").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "az1"));
    let asked = judge.received();
    assert!(
        asked.starts_with("GET /inner/auth HTTP/1.1\r\nHost: shop.example.com\r\n"),
        "{asked}"
    );
    let url = "X-Original-URL: http://shop.example.com/\r\n";
    assert!(asked.contains(url), "{asked}");

    // Another host, which only whoever serves all hosts would answer for, and would let everybody in.
    let mut elsewhere = guarded(&shop, &judge, own(Some("auth.example.com")));
    own_route(&mut elsewhere, "*", "/");
    rig.publish(elsewhere.clone()).await;
    assert_eq!(rig.get("/").await.status, 503);
    own_route(&mut elsewhere, "auth.example.com", "/oauth2");
    rig.publish(elsewhere).await;
    assert_eq!(rig.get("/").await.status, 200);

    // A question that would be asked about again, and one that no route is for.
    let mut again = guarded(&shop, &judge, own(None));
    first(&mut again.hosts)[0]
        .filters
        .external_auth
        .as_mut()
        .unwrap()
        .path = "/".to_owned();
    rig.publish(again).await;
    assert_eq!(rig.get("/").await.status, 503);
    rig.shutdown().await;
}

#[tokio::test]
async fn an_address_that_is_let_in_is_not_asked_about_where_one_rule_is_enough() {
    let shop = Backend::start("az1", Mode::Serve);
    let judge = Backend::start("judge", Mode::Status(403));
    let mut content = guarded(&shop, &judge, by_backend());
    let filters = &mut first(&mut content.hosts)[0].filters;
    filters.satisfy = Satisfy::Any;
    filters.access.allow = Some(vec!["127.0.0.0/8".parse::<Cidr>().unwrap()]);
    let rig = Rig::start(content.clone()).await;
    assert_eq!(rig.get("/").await.status, 200);
    assert_eq!(judge.requests(), 0);
    let filters = &mut first(&mut content.hosts)[0].filters;
    filters.access.allow = Some(vec!["10.0.0.0/8".parse::<Cidr>().unwrap()]);
    rig.publish(content).await;
    assert_eq!(rig.get("/").await.status, 403);
    judge.set(Mode::Raw(GRANT));
    assert_eq!(rig.get("/").await.status, 200);
    rig.shutdown().await;
}

#[tokio::test]
async fn what_is_remembered_is_not_asked_again_and_is_nobody_else_s() {
    let shop = Backend::start("az1", Mode::Serve);
    let granted = "HTTP/1.1 200 OK\r\nX-User: anna\r\nContent-Length: 0\r\n\r\n";
    let judge = Backend::start("judge", Mode::Raw(granted));
    let cached = ExternalAuth {
        cache: Some(AuthCache {
            key: vec![KeyPart::Host, KeyPart::Cookie("session".to_owned())],
            keep: vec![KeepAnswers {
                statuses: vec![200, 403],
                time: Duration::from_secs(3600),
            }],
        }),
        ..by_backend()
    };
    let content = guarded(&shop, &judge, cached);
    let rig = Rig::start(content.clone()).await;
    let ask = async |cookie: &str| {
        let request =
            format!("GET / HTTP/1.1\r\nHost: shop.example.com\r\nCookie: {cookie}\r\n\r\n");
        rig.send(request.as_bytes()).await.status
    };
    for _ in 0..3 {
        assert_eq!(ask("session=anna").await, 200);
    }
    assert_eq!(judge.requests(), 1);
    assert_eq!(
        shop.received().matches("X-User: anna\r\n").count(),
        3,
        "what was said is remembered whole"
    );
    judge.set(Mode::Status(403));
    assert_eq!(ask("session=bert").await, 403);
    assert_eq!(ask("session=bert").await, 403);
    assert_eq!(judge.requests(), 2);
    // A change of another rule of the route forgets nothing.
    let mut changed = content;
    first(&mut changed.hosts)[0].filters.max_body = Some(1000);
    rig.publish(changed).await;
    assert_eq!(ask("session=anna").await, 200);
    assert_eq!(judge.requests(), 2);
    // Neither who has no session, nor an answer that sets a cookie or says nothing, is remembered.
    for (mode, expected) in [
        (Mode::Raw(granted), 200),
        (Mode::Status(403), 403),
        (Mode::Raw(GRANT), 200),
        (Mode::Status(500), 503),
    ] {
        let before = judge.requests();
        judge.set(mode);
        let cookie = match mode {
            Mode::Raw(GRANT) | Mode::Status(500) => "session=carl",
            _ => "other=x",
        };
        assert_eq!(ask(cookie).await, expected);
        assert_eq!(ask(cookie).await, expected);
        assert_eq!(judge.requests(), before + 2, "{mode:?}");
    }
    rig.shutdown().await;
}
