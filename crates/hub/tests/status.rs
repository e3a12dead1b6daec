//! What the hub writes on objects.
#![allow(clippy::unwrap_used)] // A failed unwrap is a failed test.

mod support;

use serde_json::{Value, json};
use std::time::Duration;
use support::{Bench, TestApi, addresses, dynamic};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn good_ingresses_get_the_address_bad_ones_the_reason_and_neither_disturbs_the_other() {
    let mut bench = Bench::start().await;
    let az1 = TestApi::start("az1").await;
    az1.service("web", &["127.1.0.1"]).await;
    bench.member("az1", az1.server.admin_kubeconfig()).await;
    bench
        .ingress("good", json!({}), "shop.example.com", "/", "web")
        .await;
    bench
        .snapshot("the good route", |s| {
            addresses(s, "shop/web:80", "az1").len() == 1
        })
        .await;
    let annotations = json!({ "nginx.ingress.kubernetes.io/canary": "perhaps" });
    bench
        .ingress("bad", annotations, "bad.example.com", "/a/%62", "nowhere")
        .await;

    let good = bench
        .object("Ingress", Some("shop"), "good", "an address", |i| {
            i["status"]["loadBalancer"]["ingress"][0]["ip"] == "127.9.9.9"
                && status(i)["programmed"].is_u64()
                && status(i)["problems"] == json!([])
        })
        .await;
    assert_eq!(
        good["status"]["loadBalancer"]["ingress"][0]["ports"][0]["port"],
        8080
    );

    let bad = bench
        .object("Ingress", Some("shop"), "bad", "its problems", |i| {
            status(i)["problems"]
                .as_array()
                .is_some_and(|p| p.len() == 2)
        })
        .await;
    let text = status(&bad).to_string();
    assert!(text.contains("spec.rules[0].http.paths[0].path"), "{text}");
    assert!(
        text.contains("metadata.annotations[nginx.ingress.kubernetes.io/canary]"),
        "{text}"
    );
    assert!(
        bad["status"]["loadBalancer"]["ingress"]
            .as_array()
            .is_none_or(Vec::is_empty)
    );

    let events = dynamic(&bench.api.client, "Event", Some("shop"));
    let look = async {
        loop {
            let found: Vec<Value> = events
                .list(&Default::default())
                .await
                .unwrap()
                .into_iter()
                .map(|e| e.data)
                .collect();
            if found.len() >= 2 {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let found = tokio::time::timeout(support::PATIENCE, look)
        .await
        .expect("events are written");
    assert!(
        found.iter().all(|e| e["involvedObject"]["name"] == "bad"),
        "{found:#?}"
    );
    let snapshot = bench.snapshots.borrow().clone().unwrap();
    assert_eq!(snapshot.hosts.len(), 1, "the bad one has no route");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_without_news_writes_nothing() {
    let mut bench = Bench::start().await;
    let az1 = TestApi::start("az1").await;
    az1.service("web", &["127.1.0.1"]).await;
    bench.member("az1", az1.server.admin_kubeconfig()).await;
    bench
        .ingress("web", json!({}), "shop.example.com", "/", "web")
        .await;
    bench
        .ingress("lost", json!({}), "lost.example.com", "/", "nowhere")
        .await;
    bench
        .api
        .apply(json!({
            "apiVersion": "traffic.tidegate.io/v1alpha1", "kind": "FailoverPolicy",
            "metadata": { "name": "web", "namespace": "shop" },
            "spec": { "targetRef": { "kind": "Service", "name": "web" }, "tiers": [{ "clusters": [{ "name": "az1" }] }] },
        }))
        .await;
    bench
        .snapshot("the tier", |s| {
            s.backends.values().any(|b| b.placement.tiers.len() == 1)
        })
        .await;
    bench
        .object("FailoverPolicy", Some("shop"), "web", "Accepted", |p| {
            p["status"]["conditions"][0]["status"] == "True"
        })
        .await;
    for name in ["web", "lost"] {
        bench
            .object("Ingress", Some("shop"), name, "an address", |i| {
                i["status"]["loadBalancer"]["ingress"][0]["ip"] == "127.9.9.9"
            })
            .await;
    }
    bench
        .object("Cluster", None, "az1", "Observed", |c| {
            c["status"]["conditions"][2]["status"] == "True" && c["status"]["version"].is_string()
        })
        .await;
    // Waits for whatever is still on its way; then two rounds of probes and looks must change nothing.
    let mut before = bench.versions().await;
    let settle = async {
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let now = bench.versions().await;
            if now == before {
                return;
            }
            before = now;
        }
    };
    tokio::time::timeout(support::PATIENCE, settle)
        .await
        .expect("writes end");
    // Touching a member makes a pass; an address that is not an object of ours changes nothing to write.
    az1.service("other", &["127.1.0.9"]).await;
    tokio::time::sleep(Duration::from_secs(11)).await;
    let after = bench.versions().await;
    let changed: Vec<_> = after.iter().filter(|v| !before.contains(v)).collect();
    // The counts of Services and endpoints are news on the Cluster.
    assert!(
        changed.iter().all(|(name, _)| name == "Cluster az1"),
        "{changed:?}"
    );
    let before = bench.versions().await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(before, bench.versions().await);
}

fn status(ingress: &Value) -> Value {
    ingress["metadata"]["annotations"]["tidegate.io/status"]
        .as_str()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}
