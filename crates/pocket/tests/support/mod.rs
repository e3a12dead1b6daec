//! A real pocket cluster with real processes, and bounded waits on what its API says.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // Each test file uses its part.

use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
use tidegate_pocket::{ImageTable, Pocket, PocketConfig, ProcessShim};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// No condition waits longer.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A cluster whose data outlives restarts.
pub struct Bench {
    pub client: Client,
    name: String,
    dir: TempDir,
    pocket: Option<Pocket>,
}

impl Bench {
    pub async fn start(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (pocket, client) = start(name, dir.path()).await;
        Self {
            client,
            name: name.to_owned(),
            dir,
            pocket: Some(pocket),
        }
    }

    /// Ends the cluster.
    pub async fn stop(&mut self) {
        self.pocket.take().unwrap().shutdown().await;
    }

    /// Ends the cluster and starts it on the same data.
    pub async fn restart(&mut self) {
        self.stop().await;
        let (pocket, client) = start(&self.name, self.dir.path()).await;
        self.pocket = Some(pocket);
        self.client = client;
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), "default")
    }

    pub async fn create<K>(&self, object: Value)
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>
            + DeserializeOwned
            + serde::Serialize
            + Clone
            + std::fmt::Debug,
    {
        let object: K = serde_json::from_value(object).unwrap();
        self.api::<K>()
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
    }

    pub async fn patch<K>(&self, name: &str, patch: Value)
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>
            + DeserializeOwned
            + Clone
            + std::fmt::Debug,
    {
        self.api::<K>()
            .patch(name, &PatchParams::default(), &Patch::Strategic(patch))
            .await
            .unwrap();
    }

    /// Waits until the objects of a kind are like this.
    pub async fn until<K>(&self, what: &str, like: impl Fn(&[K]) -> bool) -> Vec<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>
            + DeserializeOwned
            + Clone
            + std::fmt::Debug,
    {
        let mut last = Vec::new();
        let look = async {
            loop {
                last = self
                    .api::<K>()
                    .list(&ListParams::default())
                    .await
                    .unwrap()
                    .items;
                if like(&last) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, look).await.is_err() {
            panic!("never saw {what}; the last is {last:#?}");
        }
        last
    }

    /// Waits for exactly `count` pods, all ready and none leaving.
    pub async fn ready_pods(&self, count: usize) -> Vec<Pod> {
        let all_ready = |pods: &[Pod]| {
            pods.len() == count && pods.iter().all(|p| is_ready(p) && !is_leaving(p))
        };
        self.until(&format!("{count} ready pods"), all_ready).await
    }
}

async fn start(name: &str, dir: &Path) -> (Pocket, Client) {
    let mut images = ImageTable::default();
    images.add("example.com/shell=/bin/sh").unwrap();
    let pocket = Pocket::start(PocketConfig {
        name: name.parse().unwrap(),
        data_dir: dir.to_owned(),
        api_listen: ([127, 0, 0, 1], 0).into(),
        pod_cidr: None,
        images,
        shim: ProcessShim {
            program: env!("CARGO_BIN_EXE_pocket-pod-process").into(),
            args: Vec::new(),
        },
    })
    .await
    .unwrap();
    assert!(pocket.ready());
    let kubeconfig = Kubeconfig::from_yaml(pocket.kubeconfig()).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .unwrap();
    (pocket, Client::try_from(config).unwrap())
}

/// A deployment of the echo server on port 8080.
pub fn deployment(name: &str, replicas: i32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [echo()]},
            },
        },
    })
}

/// A container of the echo server with quick probes.
pub fn echo() -> Value {
    json!({
        "name": "echo",
        "image": "tidegate.io/echo:v1",
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 1, "failureThreshold": 1},
    })
}

pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|s| s.conditions.as_ref());
    conditions
        .into_iter()
        .flatten()
        .any(|c| c.type_ == "Ready" && c.status == "True")
}

pub fn is_leaving(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

pub fn ip(pod: &Pod) -> String {
    pod.status
        .as_ref()
        .and_then(|s| s.pod_ip.clone())
        .unwrap_or_default()
}

pub fn container(pod: &Pod) -> Option<&ContainerStatus> {
    pod.status.as_ref()?.container_statuses.as_ref()?.first()
}

pub fn restarts(pod: &Pod) -> i32 {
    container(pod).map_or(0, |c| c.restart_count)
}

/// The process of the pod's container.
pub fn process(pod: &Pod) -> rustix::process::Pid {
    let id = container(pod).and_then(|c| c.container_id.clone()).unwrap();
    let pid = id.strip_prefix("process://").unwrap().parse().unwrap();
    rustix::process::Pid::from_raw(pid).unwrap()
}

/// Whether the process is there.
pub fn is_alive(pid: rustix::process::Pid) -> bool {
    rustix::process::test_kill_process(pid).is_ok()
}

/// What the pod answers on port 8080.
pub async fn get(pod: &Pod, path: &str) -> Value {
    let mut stream = TcpStream::connect((ip(pod), 8080)).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: shop.example.com\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    serde_json::from_str(body).unwrap_or_else(|_| Value::from(body))
}

pub fn names(pods: &[Pod]) -> Vec<String> {
    pods.iter().map(ResourceExt::name_any).collect()
}
