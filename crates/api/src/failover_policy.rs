//! `traffic.tidegate.io/FailoverPolicy`: in which order clusters serve a Service.

use crate::Duration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The order of clusters, the thresholds between them and the health checks of one target.
#[derive(CustomResource, JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "traffic.tidegate.io",
    version = "v1alpha1",
    kind = "FailoverPolicy",
    plural = "failoverpolicies",
    shortname = "fop",
    category = "tidegate",
    namespaced,
    status = "FailoverPolicyStatus",
    derive = "PartialEq",
    doc = "In which order clusters serve a Service or an Ingress, when traffic moves between them, and how endpoints are checked.",
    printcolumn(name = "Target", type_ = "string", json_path = ".spec.targetRef.kind"),
    printcolumn(name = "Name", type_ = "string", json_path = ".spec.targetRef.name"),
    printcolumn(
        name = "Accepted",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Accepted\")].status"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct FailoverPolicySpec {
    /// What the policy is for, in its own namespace. A policy for an Ingress wins, on that Ingress's
    /// routes, over one for the Service behind it.
    pub target_ref: TargetRef,
    /// The first tier serves; what it cannot serve goes to the next. Clusters named in no tier form a
    /// last tier. No tiers: all clusters share traffic (active-active).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub tiers: Vec<Tier>,
    /// Percent. While a smaller share of a tier's endpoints is healthy, the missing part of its
    /// traffic goes to the next tier. Default 72.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub spill_below_percent: Option<u8>,
    /// Percent. While a smaller share of all endpoints is healthy, health is ignored and traffic is
    /// spread over all. Default 50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub panic_below_percent: Option<u8>,
    /// How a cluster comes back after it was unhealthy.
    #[serde(default, rename = "return", skip_serializing_if = "Option::is_none")]
    pub return_: Option<Return>,
    /// How endpoints are checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
}

/// The object a policy is for.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct TargetRef {
    /// Kind of the target.
    pub kind: TargetKind,
    /// Name of the target in the policy's namespace. A Service is the one of this name in every
    /// attached cluster.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// What a policy can be for.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// A Service of the member clusters.
    Service,
    /// An Ingress of the hub.
    Ingress,
}

/// Clusters that share traffic.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Tier {
    /// The clusters, each at most once in all tiers.
    #[schemars(length(min = 1, max = 100))]
    pub clusters: Vec<TierMember>,
}

/// A cluster in a tier.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct TierMember {
    /// Name of the Cluster.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Its share of the tier. Not set: in proportion to its ready endpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub weight: Option<u32>,
}

/// How an endpoint or cluster that was judged unhealthy gets traffic again.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Return {
    /// How long it must have been healthy before it gets any. Default 0s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Duration>,
    /// Over what time its share then grows from small to full; 0s: at once. Default 1s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ramp: Option<Duration>,
}

/// How the gateway checks endpoints, on connections of its own.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// What is asked.
    #[serde(default, rename = "type")]
    pub type_: CheckType,
    /// For HTTP: the path that must answer 200 to 399. Default `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub path: Option<String>,
    /// For HTTP: the Host header. Default: the endpoint's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub host: Option<String>,
    /// From the start of one check to the next. Default 1s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// A check unanswered for so long has failed; at most the interval. Default: the interval, at
    /// most 1s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// So many good checks in a row make an endpoint healthy again. Default 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub healthy_threshold: Option<u32>,
    /// So many failed checks in a row make it unhealthy. Default 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub unhealthy_threshold: Option<u32>,
}

/// What a health check asks.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CheckType {
    /// A TCP connection.
    #[default]
    #[serde(rename = "TCP")]
    Tcp,
    /// An HTTP GET.
    #[serde(rename = "HTTP")]
    Http,
    /// No checks: only real requests count.
    None,
}

/// What became of a policy.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct FailoverPolicyStatus {
    /// Accepted, with a reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}
