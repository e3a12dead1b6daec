//! Deployments and Services: from a declaration to pods that serve, and through its changes.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service, ServiceAccount};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::json;

use support::{
    Bench, container, deployment, get, ip, is_alive, is_ready, names, process, restarts,
};

fn addresses(slices: &[EndpointSlice]) -> BTreeSet<String> {
    let endpoints = slices
        .iter()
        .flat_map(|slice| slice.endpoints.iter().flatten());
    endpoints
        .filter(|e| e.conditions.as_ref().and_then(|c| c.ready) == Some(true))
        .flat_map(|e| e.addresses.clone())
        .collect()
}

fn service() -> serde_json::Value {
    json!({
        "metadata": {"name": "shop"},
        "spec": {"selector": {"app": "shop"}, "ports": [{"name": "web", "port": 80, "targetPort": "http"}]},
    })
}

#[tokio::test]
async fn a_deployment_serves_and_scales() {
    let mut bench = Bench::start("scales").await;
    bench.create::<Deployment>(deployment("shop", 3)).await;
    bench.create::<Service>(service()).await;
    let pods = bench.ready_pods(3).await;
    let ips: BTreeSet<String> = pods.iter().map(ip).collect();
    assert_eq!(ips.len(), 3);
    bench
        .until::<EndpointSlice>("the pods' addresses", |slices| addresses(slices) == ips)
        .await;
    for pod in &pods {
        let answer = get(pod, "/cart?x=1").await;
        let expect = json!([
            "scales",
            "default",
            pod.name_any(),
            "/cart",
            "shop.example.com"
        ]);
        let got = json!([
            answer["cluster"],
            answer["namespace"],
            answer["pod"],
            answer["path"],
            answer["host"]
        ]);
        assert_eq!(got, expect);
    }
    bench
        .until::<Deployment>("the deployment's status", |all| {
            let status = all[0].status.clone().unwrap_or_default();
            status.ready_replicas == Some(3) && status.available_replicas == Some(3)
        })
        .await;
    bench
        .until::<ServiceAccount>("the default account", |all| names_of(all) == ["default"])
        .await;

    bench
        .patch::<Deployment>("shop", json!({"spec": {"replicas": 0}}))
        .await;
    bench.ready_pods(0).await;
    bench
        .until::<EndpointSlice>("an empty slice", |slices| {
            slices.len() == 1 && addresses(slices).is_empty()
        })
        .await;
    assert!(pods.iter().all(|pod| !is_alive(process(pod))));

    bench
        .patch::<Deployment>("shop", json!({"spec": {"replicas": 2}}))
        .await;
    let again: BTreeSet<String> = bench.ready_pods(2).await.iter().map(ip).collect();
    bench
        .until::<EndpointSlice>("two addresses", |slices| addresses(slices) == again)
        .await;
    bench.stop().await;
}

fn names_of(accounts: &[ServiceAccount]) -> Vec<String> {
    accounts.iter().map(ResourceExt::name_any).collect()
}

#[tokio::test]
async fn a_new_template_replaces_the_pods() {
    let mut bench = Bench::start("rollout").await;
    bench.create::<Deployment>(deployment("shop", 3)).await;
    let old = names(&bench.ready_pods(3).await);
    let template = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "echo", "image": "tidegate.io/echo:v2"},
    ]}}}});
    bench.patch::<Deployment>("shop", template).await;
    bench
        .until::<Pod>("three new ready pods", |pods| {
            pods.len() == 3
                && pods.iter().all(|pod| {
                    let image = container(pod).map(|c| c.image.as_str());
                    is_ready(pod)
                        && image == Some("tidegate.io/echo:v2")
                        && !old.contains(&pod.name_any())
                })
        })
        .await;
    bench
        .until::<Deployment>("a finished rollout", |all| {
            let status = all[0].status.clone().unwrap_or_default();
            (
                status.updated_replicas,
                status.replicas,
                status.unavailable_replicas,
            ) == (Some(3), Some(3), None)
        })
        .await;
    bench.stop().await;
}

#[tokio::test]
async fn a_deleted_deployment_leaves_nothing() {
    let mut bench = Bench::start("deleted").await;
    bench.create::<Deployment>(deployment("shop", 2)).await;
    let pods = bench.ready_pods(2).await;
    let background = DeleteParams::background();
    bench
        .api::<Deployment>()
        .delete("shop", &background)
        .await
        .unwrap();
    bench.ready_pods(0).await;
    assert!(pods.iter().all(|pod| !is_alive(process(pod))));
    bench.stop().await;
}

#[tokio::test]
async fn a_restarted_cluster_keeps_pods_and_addresses() {
    let mut bench = Bench::start("kept").await;
    bench.create::<Deployment>(deployment("shop", 2)).await;
    let before = bench.ready_pods(2).await;
    bench.restart().await;
    assert!(before.iter().all(|pod| !is_alive(process(pod))));
    let after = bench
        .until::<Pod>("the pods run again", |pods| {
            pods.len() == 2 && pods.iter().all(|pod| is_ready(pod) && restarts(pod) == 1)
        })
        .await;
    let identity =
        |pods: &[Pod]| -> Vec<_> { pods.iter().map(|pod| (pod.uid(), ip(pod))).collect() };
    assert_eq!(identity(&before), identity(&after));
    let answer = get(&after[0], "/").await;
    assert_eq!(answer["pod"], json!(after[0].name_any()));
    bench.stop().await;
}
