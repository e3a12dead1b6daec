//! Settings that hold for a whole gateway.

use crate::Cidr;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Settings of a gateway, the same for all its routes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// How long things may take.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// When a request is sent again.
    #[serde(default)]
    pub retry: RetrySettings,
    /// Proxies in front of the gateway: what they say in `X-Forwarded-*` and `X-Request-Id` about the client is
    /// believed. What anybody else says is dropped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trusted_proxies: Vec<Cidr>,
    /// Load balancers whose connections begin with a PROXY header of version 1 or 2: the client is who it names.
    /// They must send one, on every listener; nobody else may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proxy_protocol_peers: Vec<Cidr>,
    /// How many gateways share the limits of all together; at least 1.
    #[serde(default = "alone", skip_serializing_if = "is_alone")]
    pub gateways: u32,
}

fn alone() -> u32 {
    1
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_alone(gateways: &u32) -> bool {
    *gateways == alone()
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeouts: Timeouts::default(),
            retry: RetrySettings::default(),
            trusted_proxies: Vec::new(),
            proxy_protocol_peers: Vec::new(),
            gateways: alone(),
        }
    }
}

/// Time limits. None may be zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// From a client's first byte to the end of its request head.
    #[serde(with = "crate::duration")]
    pub request_head: Duration,
    /// Between requests on a client's connection.
    #[serde(with = "crate::duration")]
    pub client_idle: Duration,
    /// To connect to an endpoint.
    #[serde(with = "crate::duration")]
    pub connect: Duration,
    /// From the end of a repeatable request to the first byte of the answer, before another endpoint
    /// is tried as well.
    #[serde(with = "crate::duration")]
    pub try_first_byte: Duration,
    /// From the end of a request's head to the first byte of its answer, over all tries: then 504.
    #[serde(with = "crate::duration")]
    pub first_byte: Duration,
    /// Without any byte of a body in either direction, before the request is given up.
    #[serde(with = "crate::duration")]
    pub body_idle: Duration,
    /// How long requests in flight may go on after SIGTERM.
    #[serde(with = "crate::duration")]
    pub drain: Duration,
}

/// When a request is sent again: to another endpoint, never to the same one twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetrySettings {
    /// Tries beside the first; 0 turns retries off.
    pub max: u32,
    /// Retries may be at most so many percent of the requests of the last ten seconds ...
    pub budget_percent: u32,
    /// ... and so many a second beside, so that quiet services can retry at all.
    pub budget_per_second: u32,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            request_head: Duration::from_secs(10),
            client_idle: Duration::from_secs(75),
            connect: Duration::from_millis(500),
            try_first_byte: Duration::from_millis(500),
            first_byte: Duration::from_secs(60),
            body_idle: Duration::from_secs(60),
            drain: Duration::from_secs(30),
        }
    }
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            max: 3,
            budget_percent: 20,
            budget_per_second: 10,
        }
    }
}
