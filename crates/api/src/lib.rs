//! Tidegate's own Kubernetes kinds: one file a kind.
//!
//! ```text
//! fleet.tidegate.io/v1alpha1     Cluster          a member: how to reach it, where it is, what it may serve
//! traffic.tidegate.io/v1alpha1   GatewayConfig    parameters of an IngressClass: clusters, limits
//!                                FailoverPolicy   order of clusters, thresholds, health checks of a Service
//! ```
//!
//! Field texts are what `kubectl explain` shows. What a schema cannot say is checked where the object
//! is used and reported as a condition; nothing here does I/O or decides anything.

// Printer columns repeat `type_` and `json_path` by design.
#![allow(clippy::duplicated_attributes)]

pub mod cluster;
pub mod condition;
mod duration;
pub mod failover_policy;
pub mod gateway_config;

pub use cluster::{Cluster, ClusterSpec, ClusterStatus};
pub use duration::{Duration, InvalidDuration};
pub use failover_policy::{FailoverPolicy, FailoverPolicySpec, FailoverPolicyStatus};
pub use gateway_config::{GatewayConfig, GatewayConfigSpec};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

/// The prefix of Tidegate's own annotations and labels.
pub const PREFIX: &str = "tidegate.io/";

/// Annotation on an Ingress in which the hub says, as JSON, what is programmed and what is wrong.
pub const STATUS_ANNOTATION: &str = "tidegate.io/status";

/// Controller name of the IngressClasses that Tidegate serves.
pub const INGRESS_CONTROLLER: &str = "tidegate.io/ingress";

/// The original system's controller name, accepted so that its manifests run unchanged.
pub const ORIGINAL_INGRESS_CONTROLLER: &str = "mse.alibabacloud.com/ingress";

/// Namespace on the hub that holds the kubeconfig Secrets of members.
pub const SYSTEM_NAMESPACE: &str = "tidegate-system";

/// The definitions of all kinds of this crate, in a fixed order.
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![Cluster::crd(), GatewayConfig::crd(), FailoverPolicy::crd()]
}

#[cfg(test)]
mod tests;
