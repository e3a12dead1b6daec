//! Members seen by the hub, and what gateways get of it.
#![allow(clippy::unwrap_used)] // A failed unwrap is a failed test.

mod support;

use serde_json::json;
use support::{Bench, TestApi, addresses};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_union_of_two_members_is_published_and_follows_their_changes() {
    let mut bench = Bench::start().await;
    let (az1, az2) = (TestApi::start("az1").await, TestApi::start("az2").await);
    az1.service("web", &["127.1.0.1", "127.1.0.2"]).await;
    az2.service("web", &["127.2.0.1"]).await;
    bench.member("az1", az1.server.admin_kubeconfig()).await;
    bench.member("az2", az2.server.admin_kubeconfig()).await;
    bench
        .ingress("web", json!({}), "shop.example.com", "/", "web")
        .await;
    let snapshot = bench
        .snapshot("both members", |s| {
            addresses(s, "shop/web:80", "az1").len() == 2
                && addresses(s, "shop/web:80", "az2").len() == 1
        })
        .await;
    assert_eq!(
        addresses(&snapshot, "shop/web:80", "az1"),
        ["127.1.0.1:8080", "127.1.0.2:8080"]
    );
    assert_eq!(snapshot.hosts.len(), 1);

    az1.endpoints("web", &[]).await;
    bench
        .snapshot("az1 at zero", |s| {
            addresses(s, "shop/web:80", "az1").is_empty()
                && addresses(s, "shop/web:80", "az2").len() == 1
        })
        .await;

    bench.cluster("az2", "Exclude").await;
    bench
        .snapshot("az2 excluded", |s| {
            addresses(s, "shop/web:80", "az2").is_empty()
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_whose_api_is_gone_keeps_its_endpoints_also_over_a_restart_of_the_hub() {
    let mut bench = Bench::start().await;
    let (az1, az2) = (TestApi::start("az1").await, TestApi::start("az2").await);
    az1.service("web", &["127.1.0.1"]).await;
    az2.service("web", &["127.2.0.1"]).await;
    bench.member("az1", az1.server.admin_kubeconfig()).await;
    bench.member("az2", az2.server.admin_kubeconfig()).await;
    bench
        .ingress("web", json!({}), "shop.example.com", "/", "web")
        .await;
    let both = |s: &tidegate_model::Snapshot| {
        addresses(s, "shop/web:80", "az1").len() == 1
            && addresses(s, "shop/web:80", "az2").len() == 1
    };
    bench.snapshot("both members", both).await;

    az1.server.shutdown().await;
    let cluster = bench
        .object("Cluster", None, "az1", "Reachable=False", |c| {
            condition(c, "Reachable") == "False"
        })
        .await;
    assert_eq!(condition(&cluster, "Joined"), "True");
    // The other member goes on being followed meanwhile.
    az2.endpoints("web", &["127.2.0.1", "127.2.0.2"]).await;
    let both = |s: &tidegate_model::Snapshot| {
        addresses(s, "shop/web:80", "az1").len() == 1
            && addresses(s, "shop/web:80", "az2").len() == 2
    };
    bench.snapshot("az1 as seen last", both).await;

    bench.stop_hub().await;
    assert!(bench.dir.path().join("observed/az1.json").exists());
    bench.start_hub().await;
    az2.endpoints("web", &["127.2.0.1"]).await;
    bench
        .snapshot("az1 from disk", |s| {
            addresses(s, "shop/web:80", "az1").len() == 1
                && addresses(s, "shop/web:80", "az2").len() == 1
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kubeconfig_that_may_not_be_used_is_named_in_the_cluster_s_condition() {
    let bench = Bench::start().await;
    bench
        .member("bad", "apiVersion: v1\nkind: Config\nusers: []\n")
        .await;
    let cluster = bench
        .object("Cluster", None, "bad", "Joined=False", |c| {
            condition(c, "Joined") == "False"
        })
        .await;
    assert!(
        cluster.to_string().contains("current-context"),
        "{cluster:#}"
    );
}

fn condition(object: &serde_json::Value, type_: &str) -> String {
    let conditions = object["status"]["conditions"].as_array();
    let found = conditions
        .into_iter()
        .flatten()
        .find(|c| c["type"] == type_);
    found
        .and_then(|c| c["status"].as_str())
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_tell_what_is_known_and_what_is_only_remembered() {
    let mut bench = Bench::start().await;
    let az1 = TestApi::start("az1").await;
    az1.service("web", &["127.1.0.1", "127.1.0.2"]).await;
    bench.member("az1", az1.server.admin_kubeconfig()).await;
    bench
        .ingress("web", json!({}), "shop.example.com", "/", "web")
        .await;
    bench
        .ingress("lost", json!({}), "lost.example.com", "/", "nowhere")
        .await;
    bench.snapshot("both hosts", |s| s.hosts.len() == 2).await;
    let hub = bench.hub.as_ref().unwrap();
    for line in [
        "hub_member_known{cluster=\"az1\"} 1",
        "hub_member_ready_endpoints{cluster=\"az1\"} 2",
        "hub_snapshot_size{of=\"ingresses\"} 2",
        "hub_snapshot_size{of=\"hosts\"} 2",
        "hub_problems{severity=\"error\"} 1",
        "hub_receivers_connected 1",
    ] {
        hub.metric(line).await;
    }
    let age = "hub_member_answer_age_seconds{cluster=\"az1\"} ";
    hub.metric(age).await;
    az1.server.shutdown().await;
    hub.metric("hub_member_known{cluster=\"az1\"} 0").await;
    // What was seen last is still in use.
    hub.metric("hub_member_ready_endpoints{cluster=\"az1\"} 2")
        .await;
    hub.metric(age).await;
}
