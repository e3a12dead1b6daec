//! Backends: the same-named Service of all clusters, and how a request is placed among them.

use crate::{BackendTls, Balance, ClusterName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// One Service port, merged over all clusters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backend {
    /// Which clusters serve, in which order.
    #[serde(default)]
    pub placement: Placement,
    /// What is spoken to endpoints.
    #[serde(default, skip_serializing_if = "Protocol::is_default")]
    pub protocol: Protocol,
    /// How they are spoken to in TLS; not at all without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<BackendTls>,
    /// How the gateway judges endpoints.
    #[serde(default)]
    pub health: HealthPolicy,
    /// Which of the endpoints gets a request.
    #[serde(default, skip_serializing_if = "Balance::is_default")]
    pub balance: Balance,
    /// The ready endpoints of each cluster, sorted by address. A cluster without any may be absent.
    #[serde(default)]
    pub clusters: BTreeMap<ClusterName, Vec<Endpoint>>,
}

/// What a backend's endpoints speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2, as gRPC needs it: without TLS by prior knowledge (RFC 9113 3.3), with TLS by ALPN (3.2).
    #[serde(alias = "h2c")]
    Http2,
}

impl Protocol {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// One ready pod port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Where it listens.
    pub address: SocketAddr,
}

/// Tiers of clusters and the rules between them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// The first tier serves; what it cannot serve spills into the next. Clusters named in no tier
    /// form a last tier of their own. No tiers: all clusters are one tier (active-active).
    #[serde(default)]
    pub tiers: Vec<Tier>,
    /// Percent, 0 to 100. While a smaller share of a tier's endpoints is healthy, the missing part of
    /// its traffic goes to the next tier: at 72, a tier with 36 % healthy keeps half.
    #[serde(default = "default_spill_below")]
    pub spill_below_percent: u8,
    /// Percent, 0 to 100. While a smaller share of *all* endpoints is healthy, health is ignored and
    /// traffic is spread over all, so that it never goes to nowhere. A cluster with no healthy endpoint
    /// is lost and counts for nothing while another has one: nothing is ever sent back into it.
    #[serde(default = "default_panic_below")]
    pub panic_below_percent: u8,
    /// How a cluster comes back.
    #[serde(default, rename = "return")]
    pub return_: Return,
}

/// Clusters that share traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// The clusters, each at most once in all tiers.
    pub clusters: Vec<TierMember>,
}

/// A cluster in a tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierMember {
    /// The cluster.
    pub cluster: ClusterName,
    /// Its share of the tier.
    #[serde(default)]
    pub weight: Weight,
}

/// How large a cluster's share of its tier is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Weight {
    /// In proportion to its ready endpoints.
    #[default]
    ReadyEndpoints,
    /// This much, whatever the number of endpoints, while it has any that can serve. In a tier where
    /// one member has an explicit weight, members without one count by their ready endpoints.
    Explicit(u32),
}

/// How an endpoint or cluster that was judged unhealthy gets traffic again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Return {
    /// How long it must have been healthy before it gets any.
    #[serde(default, with = "crate::duration")]
    pub hold: Duration,
    /// Over what time its share then grows from small to full. Zero: at once.
    #[serde(default = "default_ramp", with = "crate::duration")]
    pub ramp: Duration,
}

/// How the gateway judges the endpoints of a backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthPolicy {
    /// Probes on their own connections.
    #[serde(default)]
    pub active: ActiveCheck,
    /// Evidence from real requests.
    #[serde(default)]
    pub passive: PassiveCheck,
}

/// Active probes: once per endpoint and gateway process, however many routes use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ActiveCheck {
    /// What is asked.
    pub probe: Probe,
    /// From the start of one probe to the next.
    #[serde(with = "crate::duration")]
    pub interval: Duration,
    /// A probe unanswered for so long has failed; at most `interval`.
    #[serde(with = "crate::duration")]
    pub timeout: Duration,
    /// So many good ones in a row make an endpoint healthy again; at least 1.
    pub healthy_threshold: u32,
    /// So many failed ones in a row make it unhealthy; at least 1.
    pub unhealthy_threshold: u32,
}

/// What an active probe asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Probe {
    /// No probes: only real requests count.
    None,
    /// A TCP connection.
    #[default]
    Tcp,
    /// `GET path` with this Host must answer 200 to 399.
    Http {
        /// The path, beginning with `/`.
        path: String,
        /// The Host header; empty: the endpoint's address.
        #[serde(default)]
        host: String,
    },
}

/// Ejection by what real requests met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PassiveCheck {
    /// So many failures in a row (refused, reset, silent, 502, 503, 504) eject an endpoint; 0: never.
    pub consecutive_failures: u32,
    /// How long the first ejection lasts; each further one in a row doubles it.
    #[serde(with = "crate::duration")]
    pub base_ejection: Duration,
    /// The longest an ejection may last.
    #[serde(with = "crate::duration")]
    pub max_ejection: Duration,
}

fn default_spill_below() -> u8 {
    72
}

fn default_panic_below() -> u8 {
    50
}

fn default_ramp() -> Duration {
    Duration::from_secs(1)
}

impl Default for Placement {
    fn default() -> Self {
        Self {
            tiers: Vec::new(),
            spill_below_percent: default_spill_below(),
            panic_below_percent: default_panic_below(),
            return_: Return::default(),
        }
    }
}

impl Default for Return {
    fn default() -> Self {
        Self {
            hold: Duration::ZERO,
            ramp: default_ramp(),
        }
    }
}

impl Default for ActiveCheck {
    fn default() -> Self {
        Self {
            probe: Probe::default(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            healthy_threshold: 2,
            unhealthy_threshold: 2,
        }
    }
}

impl Default for PassiveCheck {
    fn default() -> Self {
        Self {
            consecutive_failures: 3,
            base_ejection: Duration::from_secs(1),
            max_ejection: Duration::from_secs(30),
        }
    }
}
