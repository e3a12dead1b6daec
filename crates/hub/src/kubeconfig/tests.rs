use super::*;
use serde_json::json;

/// A good kubeconfig with one change made to its cluster and user.
fn with(cluster: Value, user: Value) -> String {
    let mut base_cluster =
        json!({ "server": "https://127.0.0.1:6443", "certificate-authority-data": "Q0E=" });
    let mut base_user = json!({ "token": "secret" });
    for (base, change) in [(&mut base_cluster, cluster), (&mut base_user, user)] {
        for (key, value) in change.as_object().unwrap() {
            base[key] = value.clone();
        }
    }
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{ "name": "c", "context": { "cluster": "k", "user": "u" } }],
        "clusters": [{ "name": "k", "cluster": base_cluster }],
        "users": [{ "name": "u", "user": base_user }],
    })
    .to_string()
}

#[test]
fn a_good_one_is_reduced_to_what_is_used() {
    let config = MemberKubeconfig::parse(&with(json!({}), json!({ "extra": 1 }))).unwrap();
    assert_eq!(config.server, "https://127.0.0.1:6443");
    assert!(!config.reduced().contains("extra"));
    assert!(MemberKubeconfig::parse(&config.reduced()).is_ok());
    config.to_kube().unwrap();
    assert!(!format!("{config:?}").contains("secret"));
}

#[test]
fn what_could_run_read_or_trust_anything_is_refused_by_name() {
    let cases = [
        (
            json!({}),
            json!({ "exec": { "command": "sh" } }),
            "users[u].user.exec",
        ),
        (
            json!({}),
            json!({ "auth-provider": { "name": "gcp" } }),
            "users[u].user.auth-provider",
        ),
        (
            json!({}),
            json!({ "client-certificate": "/a" }),
            "users[u].user.client-certificate",
        ),
        (
            json!({}),
            json!({ "client-key": "/a" }),
            "users[u].user.client-key",
        ),
        (
            json!({}),
            json!({ "tokenFile": "/a" }),
            "users[u].user.tokenFile",
        ),
        (
            json!({}),
            json!({ "username": "a" }),
            "users[u].user.username",
        ),
        (json!({}), json!({ "as": "root" }), "users[u].user.as"),
        (json!({}), json!({ "token": "" }), "users[u].user.token"),
        (
            json!({ "certificate-authority": "/ca" }),
            json!({}),
            "clusters[k].cluster.certificate-authority",
        ),
        (
            json!({ "proxy-url": "http://p" }),
            json!({}),
            "clusters[k].cluster.proxy-url",
        ),
        (
            json!({ "insecure-skip-tls-verify": true }),
            json!({}),
            "clusters[k].cluster.insecure-skip-tls-verify",
        ),
        (
            json!({ "certificate-authority-data": "" }),
            json!({}),
            "clusters[k].cluster.certificate-authority-data",
        ),
        (
            json!({ "server": "http://127.0.0.1" }),
            json!({}),
            "clusters[k].cluster.server",
        ),
    ];
    for (cluster, user, field) in cases {
        let error = MemberKubeconfig::parse(&with(cluster, user))
            .unwrap_err()
            .to_string();
        assert!(error.contains(&format!("{field} ")), "{field}: {error}");
    }
}

#[test]
fn several_contexts_need_a_current_one() {
    let mut config: Value = serde_json::from_str(&with(json!({}), json!({}))).unwrap();
    config["current-context"] = json!("");
    assert!(MemberKubeconfig::parse(&config.to_string()).is_ok());
    let again = config["contexts"][0].clone();
    config["contexts"].as_array_mut().unwrap().push(again);
    let error = MemberKubeconfig::parse(&config.to_string())
        .unwrap_err()
        .to_string();
    assert!(error.contains("current-context"), "{error}");
}

#[test]
fn anything_else_is_unreadable_or_missing_something() {
    for text in [
        "",
        "a",
        "[]",
        "{}",
        "{",
        "\u{0}",
        "contexts: 3",
        "current-context: x",
    ] {
        assert!(MemberKubeconfig::parse(text).is_err(), "{text:?}");
    }
}
