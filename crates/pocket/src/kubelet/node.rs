//! The node's own objects: the Node, and the Lease that says it is alive.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{
    Node, NodeAddress, NodeCondition, NodeSpec, NodeStatus, NodeSystemInfo,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, Time};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::cidr::PodCidr;
use crate::control::owner::controlled_by;

const RENEW_EVERY: Duration = Duration::from_secs(10);
const LEASE_SECONDS: i32 = 40;
const LEASES: &str = "kube-node-lease";
/// As a kubelet's default.
const PODS_MAX: &str = "110";

/// Creates or updates the Node called `name`.
pub(super) async fn register(
    client: &Client,
    name: &str,
    cidr: PodCidr,
) -> Result<Node, kube::Error> {
    let api: Api<Node> = Api::all(client.clone());
    let node = Node {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(labels(name)),
            ..ObjectMeta::default()
        },
        spec: Some(NodeSpec {
            pod_cidr: Some(cidr.to_string()),
            pod_cidrs: Some(vec![cidr.to_string()]),
            ..NodeSpec::default()
        }),
        status: None,
    };
    let present = match api.create(&PostParams::default(), &node).await {
        Err(kube::Error::Api(status)) if status.code == 409 => {
            let patch = json!({"metadata": {"labels": labels(name)}, "spec": node.spec});
            api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
                .await?
        }
        created => created?,
    };
    let patch = json!({"status": status(&present, cidr.node_ip())});
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(patch))
        .await
}

fn labels(name: &str) -> BTreeMap<String, String> {
    [
        ("kubernetes.io/hostname", name),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", arch()),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

/// The architecture in Go's words, which Kubernetes uses.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn kernel() -> String {
    // Only shown; empty where there is no such file.
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn status(node: &Node, ip: Ipv4Addr) -> NodeStatus {
    let now = Time(Timestamp::now());
    let before = node.status.as_ref().and_then(|s| s.conditions.as_ref());
    let ready = before
        .into_iter()
        .flatten()
        .find(|c| c.type_ == "Ready" && c.status == "True");
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let resources: BTreeMap<String, Quantity> =
        [("pods", PODS_MAX.to_owned()), ("cpu", cpus.to_string())]
            .map(|(key, value)| (key.to_owned(), Quantity(value)))
            .into();
    NodeStatus {
        addresses: Some(
            [
                ("InternalIP", ip.to_string()),
                ("Hostname", node.name_any()),
            ]
            .map(|(type_, address)| NodeAddress {
                type_: type_.to_owned(),
                address,
            })
            .into(),
        ),
        allocatable: Some(resources.clone()),
        capacity: Some(resources),
        conditions: Some(vec![NodeCondition {
            type_: "Ready".to_owned(),
            status: "True".to_owned(),
            reason: Some("KubeletReady".to_owned()),
            message: Some("the pocket cluster's kubelet is running".to_owned()),
            last_heartbeat_time: Some(now.clone()),
            last_transition_time: ready
                .and_then(|c| c.last_transition_time.clone())
                .or(Some(now)),
        }]),
        node_info: Some(NodeSystemInfo {
            architecture: arch().to_owned(),
            operating_system: "linux".to_owned(),
            os_image: "processes of this machine".to_owned(),
            container_runtime_version: format!("process://{}", env!("CARGO_PKG_VERSION")),
            kubelet_version: format!("v{}-pocket", env!("CARGO_PKG_VERSION")),
            kernel_version: kernel(),
            ..NodeSystemInfo::default()
        }),
        ..NodeStatus::default()
    }
}

/// Renews the lease until `cancel`.
pub(super) async fn stay_alive(client: Client, node: Node, cancel: CancellationToken) {
    let api: Api<Lease> = Api::namespaced(client, LEASES);
    let name = node.name_any();
    loop {
        let spec = LeaseSpec {
            holder_identity: Some(name.clone()),
            lease_duration_seconds: Some(LEASE_SECONDS),
            renew_time: Some(MicroTime(Timestamp::now())),
            ..LeaseSpec::default()
        };
        let patch = Patch::Merge(json!({"spec": spec}));
        let renewed = match api.patch(&name, &PatchParams::default(), &patch).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {
                let metadata = ObjectMeta {
                    name: Some(name.clone()),
                    owner_references: Some(vec![controlled_by(&node)]),
                    ..ObjectMeta::default()
                };
                api.create(
                    &PostParams::default(),
                    &Lease {
                        metadata,
                        spec: Some(spec),
                    },
                )
                .await
            }
            other => other,
        };
        if let Err(error) = renewed {
            warn!(%error, node = name, "the node's lease was not renewed; trying again in {RENEW_EVERY:?}");
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(RENEW_EVERY) => {}
        }
    }
}
