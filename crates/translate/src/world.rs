//! The immutable input of one pass.

use crate::{AuthSecret, Ingresses, ObjectRef, Objects, TlsSecret};
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::IngressClass;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidegate_api::{Cluster, FailoverPolicy, GatewayConfig};
use tidegate_model::ClusterName;

/// Everything a pass looks at. The order of objects does not matter.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)] // The fields are the kinds' own names.
pub struct WorldView {
    pub clusters: Vec<Arc<Cluster>>,
    pub gateway_configs: Vec<Arc<GatewayConfig>>,
    pub ingress_classes: Vec<Arc<IngressClass>>,
    pub ingresses: Ingresses,
    pub failover_policies: Vec<Arc<FailoverPolicy>>,
    /// The hub's Secrets of type `kubernetes.io/tls`.
    pub tls_secrets: Vec<Arc<TlsSecret>>,
    /// The hub's Secrets of type `Opaque`.
    pub auth_secrets: Vec<Arc<AuthSecret>>,
    /// The hub's ConfigMaps.
    pub config_maps: Objects<ConfigMap>,
    /// Objects of the kinds above that could not be read.
    pub unreadable: Vec<Unreadable>,
    /// IngressClasses and GatewayConfigs among those above that were deleted, and are here as they were last because
    /// something still needs them.
    pub deleted: BTreeSet<ObjectRef>,
    /// What was seen of members. Those without a [`Cluster`] are not used.
    pub members: BTreeMap<ClusterName, MemberView>,
}

/// What was seen of one member.
#[derive(Clone, Debug)]
pub struct MemberView {
    /// How fresh it is. This changes messages, never endpoints.
    pub freshness: Freshness,
    /// Its Services as last seen.
    pub services: Vec<Arc<Service>>,
    /// Its EndpointSlices as last seen.
    pub slices: Vec<Arc<EndpointSlice>>,
}

/// How fresh a member's objects are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Freshness {
    /// They are being followed.
    Known,
    /// They were seen once and cannot be followed now.
    Stale,
    /// They were never seen: that there are none is not known either.
    Never,
}

/// An object that is there but cannot be read as its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Which.
    pub object: ObjectRef,
    /// Why.
    pub error: String,
}
