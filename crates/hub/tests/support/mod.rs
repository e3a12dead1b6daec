//! A hub over a real API server in memory, real members, and a receiver that shows what is published.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)] // Each test file uses its part.

use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::{Client, ResourceExt};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tidegate_apiserver::{Config, Server};
use tidegate_feed::{Connection, LastKnownGood, Publisher, receive};
use tidegate_hub::{Hub, HubConfig, HubError};
use tidegate_model::{ClusterName, Snapshot};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// No condition waits longer.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct TestApi {
    pub server: Server,
    pub client: Client,
}

impl TestApi {
    pub async fn start(name: &str) -> Self {
        Self::start_with(Config::in_memory(name)).await
    }

    pub async fn start_with(config: Config) -> Self {
        let server = Server::start(config).await.unwrap();
        let client = Hub::client(server.admin_kubeconfig()).await.unwrap();
        Self { server, client }
    }

    pub async fn apply(&self, object: Value) {
        apply(&self.client, object).await;
    }

    /// A Service and one EndpointSlice with these ready addresses.
    pub async fn service(&self, name: &str, addresses: &[&str]) {
        self.apply(
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "shop" } }),
        )
        .await;
        self.apply(json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": name, "namespace": "shop" },
            "spec": { "ports": [{ "name": "http", "port": 80, "protocol": "TCP" }] },
        }))
        .await;
        self.endpoints(name, addresses).await;
    }

    pub async fn endpoints(&self, name: &str, addresses: &[&str]) {
        let endpoints: Vec<Value> = addresses
            .iter()
            .map(|a| json!({ "addresses": [a], "conditions": { "ready": true } }))
            .collect();
        self.apply(json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": { "name": format!("{name}-1"), "namespace": "shop", "labels": { "kubernetes.io/service-name": name } },
            "addressType": "IPv4",
            "ports": [{ "name": "http", "port": 8080, "protocol": "TCP" }],
            "endpoints": endpoints,
        }))
        .await;
    }
}

pub fn dynamic(client: &Client, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
    let (group, version) = match kind {
        "Namespace" | "Service" | "Secret" | "Event" => ("", "v1"),
        "EndpointSlice" => ("discovery.k8s.io", "v1"),
        "Ingress" | "IngressClass" => ("networking.k8s.io", "v1"),
        "Cluster" => ("fleet.tidegate.io", "v1alpha1"),
        "GatewayConfig" | "FailoverPolicy" => ("traffic.tidegate.io", "v1alpha1"),
        other => panic!("{other}"),
    };
    let gvk = GroupVersionKind::gvk(group, version, kind);
    let resource = match kind {
        "Ingress" => ApiResource::from_gvk_with_plural(&gvk, "ingresses"),
        "IngressClass" => ApiResource::from_gvk_with_plural(&gvk, "ingressclasses"),
        "FailoverPolicy" => ApiResource::from_gvk_with_plural(&gvk, "failoverpolicies"),
        _ => ApiResource::from_gvk(&gvk),
    };
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

pub async fn apply(client: &Client, object: Value) {
    let api = dynamic(
        client,
        object["kind"].as_str().unwrap(),
        object["metadata"]["namespace"].as_str(),
    );
    let params = PatchParams::apply("test").force();
    api.patch(
        object["metadata"]["name"].as_str().unwrap(),
        &params,
        &Patch::Apply(&object),
    )
    .await
    .unwrap();
}

/// The hub and its receiver; the data directory outlives restarts.
pub struct Bench {
    pub api: TestApi,
    pub dir: TempDir,
    pub hub: Option<Running>,
    pub snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    _receiver: tokio_util::sync::DropGuard,
}

pub struct Running {
    pub shutdown: CancellationToken,
    pub ready: CancellationToken,
    metrics: Registry,
    task: JoinHandle<Result<(), HubError>>,
}

impl Running {
    /// What `/metrics` shows.
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.metrics).unwrap();
        text
    }

    /// Waits until a line of it is there; one that ends in a space, with any value.
    pub async fn metric(&self, line: &str) {
        let look = async {
            let is = |found: &str| found == line || line.ends_with(' ') && found.starts_with(line);
            while !self.metrics().lines().any(is) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, look).await;
        assert!(found.is_ok(), "no {line} in\n{}", self.metrics());
    }
}

pub const GATEWAY: &str = "127.9.9.9:8080";

impl Bench {
    pub async fn start() -> Self {
        let api = TestApi::start("hub").await;
        api.apply(
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "shop" } }),
        )
        .await;
        api.apply(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "tidegate-system" } })).await;
        let dir = tempfile::tempdir().unwrap();
        let hub = run(&api.client, dir.path()).await;
        let (snapshots, receiver) = receiver(dir.path());
        let bench = Self {
            api,
            dir,
            hub: Some(hub),
            snapshots,
            _receiver: receiver,
        };
        bench.ready().await;
        bench
    }

    pub async fn ready(&self) {
        let ready = self.hub.as_ref().unwrap().ready.cancelled();
        tokio::time::timeout(PATIENCE, ready)
            .await
            .expect("the hub gets ready");
    }

    pub async fn stop_hub(&mut self) {
        let hub = self.hub.take().unwrap();
        hub.shutdown.cancel();
        tokio::time::timeout(PATIENCE, hub.task)
            .await
            .expect("the hub ends")
            .unwrap()
            .unwrap();
    }

    pub async fn start_hub(&mut self) {
        self.hub = Some(run(&self.api.client, self.dir.path()).await);
        self.ready().await;
    }

    pub async fn member(&self, name: &str, kubeconfig: &str) {
        self.api
            .apply(json!({
                "apiVersion": "v1", "kind": "Secret",
                "metadata": { "name": name, "namespace": "tidegate-system" },
                "data": { "kubeconfig": k8s_openapi::ByteString(kubeconfig.as_bytes().to_vec()) },
            }))
            .await;
        self.cluster(name, "Serve").await;
    }

    pub async fn cluster(&self, name: &str, traffic: &str) {
        self.api
            .apply(json!({
                "apiVersion": "fleet.tidegate.io/v1alpha1", "kind": "Cluster",
                "metadata": { "name": name },
                "spec": {
                    "connection": { "kubeconfigSecretRef": { "namespace": "tidegate-system", "name": name } },
                    "traffic": traffic,
                },
            }))
            .await;
    }

    pub async fn ingress(
        &self,
        name: &str,
        annotations: Value,
        host: &str,
        path: &str,
        service: &str,
    ) {
        self.api
            .apply(ingress(name, annotations, host, path, service))
            .await;
    }

    /// Waits until the receiver has a snapshot like this.
    pub async fn snapshot(
        &mut self,
        what: &str,
        like: impl Fn(&Snapshot) -> bool,
    ) -> Arc<Snapshot> {
        let mut snapshots = self.snapshots.clone();
        let found = snapshots.wait_for(|s| s.as_ref().is_some_and(|s| like(s)));
        match tokio::time::timeout(PATIENCE, found).await {
            Ok(found) => found.unwrap().clone().unwrap(),
            Err(_) => panic!(
                "no snapshot with {what}; the last is {:#?}",
                *self.snapshots.borrow()
            ),
        }
    }

    /// Waits until an object on the hub is like this.
    pub async fn object(
        &self,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
        what: &str,
        like: impl Fn(&Value) -> bool,
    ) -> Value {
        let api = dynamic(&self.api.client, kind, namespace);
        let mut last = Value::Null;
        let look = async {
            loop {
                last = serde_json::to_value(api.get_opt(name).await.unwrap()).unwrap();
                if like(&last) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, look).await.is_err() {
            panic!("{kind} {name} never had {what}; it is {last:#}");
        }
        last
    }

    /// Resource versions of everything the hub may write.
    pub async fn versions(&self) -> Vec<(String, Option<String>)> {
        let mut all = Vec::new();
        for kind in [
            "Cluster",
            "Ingress",
            "IngressClass",
            "GatewayConfig",
            "FailoverPolicy",
            "Event",
        ] {
            for object in dynamic(&self.api.client, kind, None)
                .list(&Default::default())
                .await
                .unwrap()
            {
                all.push((
                    format!("{kind} {}", object.name_any()),
                    object.resource_version(),
                ));
            }
        }
        all
    }
}

pub fn ingress(name: &str, annotations: Value, host: &str, path: &str, service: &str) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": { "name": name, "namespace": "shop", "annotations": annotations },
        "spec": { "ingressClassName": "tidegate", "rules": [{ "host": host, "http": { "paths": [{
            "path": path, "pathType": "Prefix",
            "backend": { "service": { "name": service, "port": { "number": 80 } } },
        }] } }] },
    })
}

async fn run(client: &Client, dir: &Path) -> Running {
    let address = format!("unix:{}/feed.sock", dir.display()).parse().unwrap();
    let publisher = Publisher::bind(&address, &dir.join("feed")).await.unwrap();
    let shutdown = CancellationToken::new();
    let ready = CancellationToken::new();
    let mut metrics = Registry::default();
    let config = HubConfig {
        metrics: tidegate_hub::HubMetrics::register(&mut metrics),
        client: client.clone(),
        publisher,
        data_dir: dir.to_owned(),
        ingress_addresses: vec![GATEWAY.parse().unwrap()],
        ready: ready.clone(),
    };
    let task = tokio::spawn(Hub::run(config, shutdown.clone()));
    Running {
        shutdown,
        ready,
        metrics,
        task,
    }
}

fn receiver(
    dir: &Path,
) -> (
    watch::Receiver<Option<Arc<Snapshot>>>,
    tokio_util::sync::DropGuard,
) {
    let (tx, rx) = watch::channel(None);
    let shutdown = CancellationToken::new();
    tokio::spawn(receive(
        format!("unix:{}/feed.sock", dir.display()).parse().unwrap(),
        "test".to_owned(),
        None,
        LastKnownGood::open(dir.join("receiver")).unwrap(),
        move |snapshot: &Arc<Snapshot>| {
            tx.send_replace(Some(Arc::clone(snapshot)));
            Ok(())
        },
        watch::channel(Connection::default()).0,
        shutdown.clone(),
    ));
    (rx, shutdown.drop_guard())
}

/// The addresses of a backend in a cluster.
pub fn addresses(snapshot: &Snapshot, backend: &str, cluster: &str) -> Vec<String> {
    snapshot
        .backends
        .iter()
        .filter(|(id, _)| id.as_str() == backend)
        .filter_map(|(_, b)| b.clusters.get(&ClusterName::new(cluster).unwrap()))
        .flatten()
        .map(|endpoint| endpoint.address.to_string())
        .collect()
}
