//! Plain values shared by the hub and the data plane.
//!
//! ```text
//! Snapshot ── Settings
//!    │
//!    ├── tls:      HostPattern -> CertificateId      certificates: CertificateId -> Certificate
//!    ├── hosts:    HostPattern -> [Route]      Route ── PathMatch, HeaderMatch, Action
//!    │                                                                  │ names
//!    └── backends: BackendId -> Backend  <──────────────────────────────┘
//!                                 ├── Placement (tiers of clusters, spill, panic, return)
//!                                 ├── HealthPolicy (active, passive)
//!                                 └── ClusterName -> [Endpoint]
//! ```
//!
//! The hub compiles a [`Snapshot`]; gateways serve it. Nothing here knows Kubernetes, sockets or the
//! clock, so both sides can depend on it and neither on the other. Names and hosts are newtypes whose
//! constructors refuse what could not be served; a value that deserialises has passed the same checks.

mod backend;
mod duration;
mod host;
mod ids;
mod route;
mod settings;
mod snapshot;
mod tls;

pub use backend::{
    ActiveCheck, Backend, Endpoint, HealthPolicy, PassiveCheck, Placement, Probe, Return, Tier,
    TierMember, Weight,
};
pub use host::{HostPattern, InvalidHost};
pub use ids::{BackendId, ClusterName, Generation, InvalidName, RouteId};
pub use route::{Action, Forward, HeaderMatch, InvalidPath, PathMatch, RoutePlacement};
pub use route::{Route, normalise_path};
pub use settings::{RetrySettings, Settings, Timeouts};
pub use snapshot::{InvalidSnapshot, SNAPSHOT_FORMAT, Snapshot};
pub use tls::{Certificate, CertificateId, PrivateKey};

#[cfg(test)]
mod tests;
