//! What becomes of Ingresses when their IngressClass or its GatewayConfig is deleted.
#![allow(clippy::unwrap_used)] // A failed unwrap is a failed test.

mod support;

use serde_json::{Value, json};
use support::{Bench, TestApi, addresses, dynamic, ingress};
use tidegate_model::{HostPattern, Snapshot};

fn class(name: &str, config: &str) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
        "metadata": { "name": name },
        "spec": {
            "controller": "tidegate.io/ingress",
            "parameters": { "apiGroup": "traffic.tidegate.io", "kind": "GatewayConfig", "name": config },
        },
    })
}

fn config(name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "traffic.tidegate.io/v1alpha1", "kind": "GatewayConfig",
        "metadata": { "name": name }, "spec": spec,
    })
}

fn serves(snapshot: &Snapshot, host: &str) -> bool {
    snapshot
        .hosts
        .contains_key(&HostPattern::parse(host).unwrap())
}

/// An Ingress that names no class.
fn classless() -> Value {
    let mut classless = ingress("classless", json!({}), "default.example.com", "/", "web");
    classless["spec"]
        .as_object_mut()
        .unwrap()
        .remove("ingressClassName");
    classless
}

/// Whether the status of an Ingress holds a text.
fn says(ingress: &Value, text: &str) -> bool {
    let status = ingress["metadata"]["annotations"]["tidegate.io/status"].as_str();
    status.is_some_and(|status| status.contains(text))
}

async fn delete(bench: &Bench, kind: &str, name: &str) {
    let api = dynamic(&bench.api.client, kind, None);
    api.delete(name, &Default::default()).await.unwrap();
}

/// Two members; `default.example.com` is served by the default class, `own.example.com` by class `own`, which leads to az1 alone.
async fn fleet() -> (Bench, TestApi, TestApi) {
    let mut bench = Bench::start().await;
    let (az1, az2) = (TestApi::start("az1").await, TestApi::start("az2").await);
    az1.service("web", &["127.1.0.1"]).await;
    az2.service("web", &["127.2.0.1"]).await;
    bench.member("az1", az1.server.admin_kubeconfig()).await;
    bench.member("az2", az2.server.admin_kubeconfig()).await;
    let limits = json!({ "timeouts": { "connect": "7s" }, "clusters": ["az1", "az2"] });
    bench.api.apply(config("default", limits)).await;
    bench
        .api
        .apply(config("own", json!({ "clusters": ["az1"] })))
        .await;
    bench.api.apply(class("own", "own")).await;
    bench.api.apply(classless()).await;
    let mut own = ingress("own", json!({}), "own.example.com", "/", "web");
    own["spec"]["ingressClassName"] = json!("own");
    bench.api.apply(own).await;
    bench.snapshot("both hosts", both).await;
    (bench, az1, az2)
}

fn both(snapshot: &Snapshot) -> bool {
    serves(snapshot, "default.example.com")
        && serves(snapshot, "own.example.com")
        && addresses(snapshot, "shop/web:80@config.own", "az1").len() == 1
        && addresses(snapshot, "shop/web:80@config.own", "az2").is_empty()
        && snapshot.settings.timeouts.connect.as_secs() == 7
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_class_is_served_on_while_an_ingress_needs_it_and_says_so() {
    let (mut bench, az1, _az2) = fleet().await;
    delete(&bench, "IngressClass", "own").await;
    delete(&bench, "GatewayConfig", "own").await;
    let told = |i: &Value| says(i, "IngressClass own was deleted");
    bench
        .object("Ingress", Some("shop"), "own", "the news", told)
        .await;
    az1.endpoints("web", &["127.1.0.3"]).await;
    let after = |s: &Snapshot| {
        both(s) && addresses(s, "shop/web:80@config.own", "az1") == ["127.1.0.3:8080"]
    };
    bench
        .snapshot("what was deleted, still followed", after)
        .await;

    bench.stop_hub().await;
    bench.start_hub().await;
    az1.endpoints("web", &["127.1.0.4"]).await;
    let after = |s: &Snapshot| {
        both(s) && addresses(s, "shop/web:80@config.own", "az1") == ["127.1.0.4:8080"]
    };
    bench.snapshot("the same after a restart", after).await;

    let mut own = ingress("own", json!({}), "own.example.com", "/", "web");
    own["spec"]["ingressClassName"] = json!("nobody");
    bench.api.apply(own).await;
    bench
        .snapshot("no host whose class never was", |s| {
            !serves(s, "own.example.com") && serves(s, "default.example.com")
        })
        .await;
    // Nobody needs it any more: it is forgotten, and does not come back with an Ingress.
    let mut own = ingress("own", json!({}), "late.example.com", "/", "web");
    own["spec"]["ingressClassName"] = json!("own");
    bench.api.apply(own).await;
    let told = |i: &Value| says(i, "there is no IngressClass");
    bench
        .object("Ingress", Some("shop"), "own", "a class that is gone", told)
        .await;
    let last = bench.snapshots.borrow().clone().unwrap();
    assert!(!serves(&last, "late.example.com"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_default_class_and_its_config_come_back_as_they_were() {
    let (mut bench, az1, _az2) = fleet().await;
    let uid = |object: &Value| object["metadata"]["uid"].as_str().map(str::to_owned);
    let there = |_: &Value| true;
    let class = bench
        .object("IngressClass", None, "tidegate", "the class", there)
        .await;
    let config = bench
        .object("GatewayConfig", None, "default", "the config", there)
        .await;
    delete(&bench, "GatewayConfig", "default").await;
    delete(&bench, "IngressClass", "tidegate").await;
    let new = bench
        .object("IngressClass", None, "tidegate", "a new class", |new| {
            uid(new).is_some() && uid(new) != uid(&class)
        })
        .await;
    assert_eq!(new["spec"], class["spec"]);
    assert_eq!(
        new["metadata"]["annotations"]["ingressclass.kubernetes.io/is-default-class"],
        "true"
    );
    let new = bench
        .object("GatewayConfig", None, "default", "a new config", |new| {
            uid(new).is_some() && uid(new) != uid(&config)
        })
        .await;
    assert_eq!(new["spec"], config["spec"]);
    az1.endpoints("web", &["127.1.0.3"]).await;
    let after = |s: &Snapshot| {
        both(s) && addresses(s, "shop/web:80@config.default", "az1") == ["127.1.0.3:8080"]
    };
    bench.snapshot("the default class as before", after).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_default_classes_the_newer_one_counts_and_the_older_is_told() {
    let mut bench = Bench::start().await;
    let az1 = TestApi::start("az1").await;
    az1.service("web", &["127.1.0.1"]).await;
    bench.member("az1", az1.server.admin_kubeconfig()).await;
    let created = bench
        .object("IngressClass", None, "tidegate", "the class", |class| {
            class["metadata"]["creationTimestamp"].is_string()
        })
        .await["metadata"]["creationTimestamp"]
        .clone();
    // Times of creation have whole seconds: one that is made in the same one would not be newer.
    let mut made = json!({ "metadata": {} });
    while made["metadata"]["creationTimestamp"].is_null()
        || made["metadata"]["creationTimestamp"] == created
    {
        if made["metadata"]["creationTimestamp"].is_string() {
            delete(&bench, "IngressClass", "foreign").await;
        }
        bench
            .api
            .apply(json!({
                "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
                "metadata": {
                    "name": "foreign",
                    "annotations": { "ingressclass.kubernetes.io/is-default-class": "true" },
                },
                "spec": { "controller": "example.com/other" },
            }))
            .await;
        made = bench
            .object("IngressClass", None, "foreign", "being there", |c| {
                !c.is_null()
            })
            .await;
    }
    bench.api.apply(classless()).await;
    bench
        .ingress("named", json!({}), "named.example.com", "/", "web")
        .await;
    let seen = bench
        .snapshot("the named class", |s| serves(s, "named.example.com"))
        .await;
    assert!(!serves(&seen, "default.example.com"));
    let events = dynamic(&bench.api.client, "Event", Some("default"));
    let look = async {
        loop {
            let all = events.list(&Default::default()).await.unwrap();
            let texts = all.iter().map(|event| event.data["message"].to_string());
            if texts
                .into_iter()
                .any(|text| text.contains("IngressClass foreign is marked as the default too"))
            {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(support::PATIENCE, look)
        .await
        .expect("the older class is told");
}
