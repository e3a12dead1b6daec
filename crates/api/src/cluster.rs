//! `fleet.tidegate.io/Cluster`: a member of the fleet.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a member cluster is: how the hub reaches its API, where it is, how the gateway reaches its
/// pods and whether it may serve.
#[derive(CustomResource, JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "fleet.tidegate.io",
    version = "v1alpha1",
    kind = "Cluster",
    plural = "clusters",
    shortname = "cl",
    category = "tidegate",
    status = "ClusterStatus",
    derive = "PartialEq",
    doc = "A member of the fleet: a Kubernetes cluster whose Services the gateway serves. Its name must be an RFC 1123 label.",
    printcolumn(
        name = "Joined",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Joined\")].status"
    ),
    printcolumn(
        name = "Reachable",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Reachable\")].status"
    ),
    printcolumn(
        name = "Observed",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Observed\")].status"
    ),
    printcolumn(name = "Traffic", type_ = "string", json_path = ".spec.traffic"),
    printcolumn(name = "Region", type_ = "string", json_path = ".spec.location.region"),
    printcolumn(name = "Zone", type_ = "string", json_path = ".spec.location.zone"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version"),
    printcolumn(
        name = "Endpoints",
        type_ = "integer",
        json_path = ".status.readyEndpoints",
        priority = 1
    ),
    printcolumn(
        name = "Last-Observed",
        type_ = "date",
        json_path = ".status.lastObserved",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSpec {
    /// How the hub reaches the cluster's API.
    pub connection: Connection,
    /// Where the cluster is.
    #[serde(default)]
    pub location: Location,
    /// How the gateway reaches the cluster's pods.
    #[serde(default)]
    pub reach: Reach,
    /// Whether the cluster may serve requests.
    #[serde(default)]
    pub traffic: Traffic,
    /// Identity of the cluster: the UID of its kube-system namespace, written by
    /// `tidegate cluster join` so that one cluster is not joined under two names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub uid: Option<String>,
}

/// How the hub reaches a member's API.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// The Secret on the hub that holds a kubeconfig for the cluster. It must not name programs,
    /// files or proxies, nor switch TLS verification off.
    pub kubeconfig_secret_ref: SecretKeyRef,
}

/// One key of a Secret.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// Namespace of the Secret.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key within the Secret.
    #[serde(default = "default_key")]
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// Where a cluster is.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Location {
    /// The region, as `eu-central`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub region: Option<String>,
    /// The availability zone, as `eu-central-a`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub zone: Option<String>,
    /// Whether the cluster runs at a cloud provider or in an own data centre.
    #[serde(default)]
    pub site: Site,
}

/// What kind of place a cluster runs in.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Site {
    /// At a cloud provider.
    #[default]
    Cloud,
    /// In an own data centre.
    OnPremises,
}

/// How the gateway reaches pods.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Pod addresses are routable from the gateway.
    #[default]
    Direct,
}

/// Whether a cluster may serve requests.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Traffic {
    /// It serves.
    #[default]
    Serve,
    /// It serves only what no other cluster can: it stands in a last tier of its own.
    Drain,
    /// Its endpoints are not used at all.
    Exclude,
}

/// What the hub saw of a member cluster.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ClusterStatus {
    /// Joined, Reachable and Observed, each with a reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Version of the cluster's API server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Services the hub has seen there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services: Option<i64>,
    /// Ready endpoints the hub has seen there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_endpoints: Option<i64>,
    /// When the cluster's API last answered. Renewed about once a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_observed: Option<Time>,
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

fn default_key() -> String {
    "kubeconfig".to_owned()
}
