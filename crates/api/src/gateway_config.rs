//! `traffic.tidegate.io/GatewayConfig`: parameters of an IngressClass.

use crate::Duration;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which clusters a gateway serves from, and its limits.
#[derive(CustomResource, JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "traffic.tidegate.io",
    version = "v1alpha1",
    kind = "GatewayConfig",
    plural = "gatewayconfigs",
    shortname = "gwc",
    category = "tidegate",
    derive = "PartialEq",
    doc = "Parameters of an IngressClass: which clusters its routes lead to, and the gateway's limits. Limits hold for the whole gateway: those of the default IngressClass's GatewayConfig count.",
    printcolumn(name = "Clusters", type_ = "string", json_path = ".spec.clusters"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct GatewayConfigSpec {
    /// Names of the attached clusters. Not set: all clusters of the fleet. An empty list: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 63)))]
    pub clusters: Option<Vec<String>>,
    /// How long things may take. None may be zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<Timeouts>,
    /// When a request is sent again, always to another endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
    /// Addresses and ranges (`10.0.0.0/8`) of proxies in front of the gateway: what they say about the client in
    /// `X-Forwarded-*` and `X-Request-Id` is believed. What anybody else says is dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 64)))]
    pub trusted_proxies: Option<Vec<String>>,
    /// Addresses and ranges of load balancers whose connections begin with a PROXY header (version 1 or 2): the client
    /// is who it names. They must send one, on every listener; nobody else may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 64)))]
    pub proxy_protocol_peers: Option<Vec<String>>,
}

/// Time limits; what is not set keeps its default.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Timeouts {
    /// From a client's first byte to the end of its request head. Default 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_head: Option<Duration>,
    /// Between requests on a client's connection. Default 75s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_idle: Option<Duration>,
    /// To connect to an endpoint. Default 500ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<Duration>,
    /// From the end of a repeatable request to the first byte of its answer, before another endpoint
    /// is tried as well. Default 500ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub try_first_byte: Option<Duration>,
    /// From the end of a request's head to the first byte of its answer, over all tries; then the
    /// gateway answers 504. Default 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte: Option<Duration>,
    /// Without any byte of a body in either direction, before a request is given up. Default 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_idle: Option<Duration>,
    /// How long requests in flight may go on when the gateway is told to end. Default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<Duration>,
}

/// Limits of retries; what is not set keeps its default.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Retries {
    /// Tries beside the first; 0 turns retries off. Default 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10))]
    pub max: Option<u32>,
    /// Retries may be at most so many percent of the requests of the last ten seconds. Default 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub budget_percent: Option<u32>,
    /// Retries a second that are allowed beside the percentage, for services with little traffic.
    /// Default 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub budget_per_second: Option<u32>,
}
