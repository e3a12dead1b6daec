//! The hub: observes members, decides, publishes to gateways, writes status.
//!
//! ```text
//!           hub API ── follow ──┐                                   ┌── feed ──> gateways
//!                               ├─> WorldView ── translate ──> pass ┤
//! member API ── member ── disk ─┘   (decide.rs)                     └── act: conditions, Events, addresses
//! ```
//!
//! It speaks only the Kubernetes API, to itself and to members, so that the hub's API may be the embedded
//! one or any other. Each member is a failure domain of its own: one that cannot be reached keeps what was
//! seen of it last, also over a restart. Nothing that serves requests waits for the hub.
//!
//! Not here: leader election (one hub runs), agents, Gateway API.

mod act;
mod client;
mod decide;
pub mod gateway_process;
mod gateways;
mod hub;
pub mod join;
mod kubeconfig;
mod metrics;
mod observe;

pub use client::ClientError;
pub use hub::{Hub, HubConfig, HubError};
pub use metrics::HubMetrics;

/// Field manager of everything the hub writes.
pub(crate) const FIELD_MANAGER: &str = "tidegate-hub";
