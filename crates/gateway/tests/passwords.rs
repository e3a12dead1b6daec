//! Names and passwords through real sockets.
#![allow(missing_docs, clippy::unwrap_used)]

mod rig;

use rig::*;
use tidegate_model::{Access, BasicAuth, Cidr, PasswordHash, Satisfy, Snapshot};

/// `secret`, as htpasswd writes it by default.
const APR1: &str = "$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/";

fn with(content: Snapshot, users: &[(&str, &str)]) -> Snapshot {
    let mut content = unprobed(content);
    let users = users
        .iter()
        .map(|(name, hash)| ((*name).to_owned(), PasswordHash::new(*hash).unwrap()));
    let basic = BasicAuth {
        realm: "the \"shop\"".to_owned(),
        users: users.collect(),
    };
    first(&mut content.hosts)[0].filters.basic_auth = Some(basic);
    content
}

async fn ask(rig: &Rig, credentials: Option<&str>) -> Answer {
    use base64::Engine;
    let line = credentials.map(|text| {
        let encoded = base64::engine::general_purpose::STANDARD.encode(text);
        format!("Authorization: Basic {encoded}\r\n")
    });
    let line = line.unwrap_or_default();
    rig.send(format!("GET / HTTP/1.1\r\nHost: shop.example.com\r\n{line}\r\n").as_bytes())
        .await
}

#[tokio::test]
async fn only_who_has_the_password_reaches_the_backend() {
    let backend = Backend::start("az1", Mode::Serve);
    let users = [("anna", APR1), ("bert", "{PLAIN}open")];
    let rig = Rig::start(with(snapshot(&[&backend]), &users)).await;
    for wrong in [
        None,
        Some("anna:Secret"),
        Some("anna"),
        Some("nobody:secret"),
        Some(":"),
        Some("bert:secret"),
    ] {
        let answer = ask(&rig, wrong).await;
        assert_eq!(answer.status, 401, "{wrong:?}");
        let challenge = "WWW-Authenticate: Basic realm=\"the \\\"shop\\\"\", charset=\"UTF-8\"\r\n";
        assert!(answer.head.contains(challenge), "{}", answer.head);
    }
    assert_eq!(backend.requests(), 0);
    // The first request waits for the check, those after it are known.
    for _ in 0..3 {
        assert_eq!(ask(&rig, Some("anna:secret")).await.status, 200);
        assert_eq!(ask(&rig, Some("bert:open")).await.status, 200);
    }
    // Being known forgives no wrong one.
    assert_eq!(ask(&rig, Some("anna:Secret")).await.status, 401);
    assert_eq!(backend.requests(), 6);
    // A password that was changed lets nobody in any more.
    rig.publish(with(snapshot(&[&backend]), &[("anna", "{PLAIN}new")]))
        .await;
    assert_eq!(ask(&rig, Some("anna:secret")).await.status, 401);
    assert_eq!(ask(&rig, Some("anna:new")).await.status, 200);
}

#[tokio::test]
async fn an_address_or_a_password_lets_in_where_one_is_enough() {
    let backend = Backend::start("az1", Mode::Serve);
    let guarded = |satisfy, allow: &str| {
        let mut content = with(snapshot(&[&backend]), &[("anna", "{PLAIN}open")]);
        let filters = &mut first(&mut content.hosts)[0].filters;
        filters.satisfy = satisfy;
        filters.access = Access {
            allow: Some(vec![allow.parse::<Cidr>().unwrap()]),
            deny: Vec::new(),
        };
        content
    };
    let here = "127.0.0.0/8";
    let elsewhere = "192.0.2.0/24";
    let rig = Rig::start(guarded(Satisfy::Any, here)).await;
    assert_eq!(ask(&rig, None).await.status, 200);
    rig.publish(guarded(Satisfy::Any, elsewhere)).await;
    assert_eq!(ask(&rig, None).await.status, 401);
    assert_eq!(ask(&rig, Some("anna:open")).await.status, 200);
    rig.publish(guarded(Satisfy::All, here)).await;
    assert_eq!(ask(&rig, None).await.status, 401);
    assert_eq!(ask(&rig, Some("anna:open")).await.status, 200);
    rig.publish(guarded(Satisfy::All, elsewhere)).await;
    assert_eq!(ask(&rig, Some("anna:open")).await.status, 403);
}
