//! One judgement of every endpoint and cluster, shared by all routes and workers.
//!
//! ```text
//! HealthTable ── BackendHealth (one Service port) ── EndpointState (one address in one cluster)
//!      '─────── ClusterState  <───────────────────────────┘
//! ```
//!
//! Evidence comes from every request ([`crate::choose::Pick`]) and from the prober ([`probe`]). It is kept in
//! atomics, so workers never wait for one another, and it outlives changes of the table. An endpoint *can
//! serve* unless one of these holds:
//!
//! * **Ejected**: `consecutive_failures` answers in a row failed (refused, reset, timed out, 502, 503, 504).
//!   It lasts `base_ejection`, doubled each further time in a row up to `max_ejection`, and ends early when
//!   probes that had failed succeed again. The last endpoint of a backend that can serve is never ejected.
//! * **Probe failed**: `unhealthy_threshold` probes in a row failed, until `healthy_threshold` succeeded.
//! * **Suspect**: it, or its whole cluster, fell silent; see [`silence`].
//! * **Held**: it could not serve until less than `return.hold` ago. After that its share grows from
//!   [`RAMP_FLOOR`] to full over `return.ramp`.
//!
//! Verdicts are marks in atomics plus a counter ([`BackendHealth::epoch`]) that tells
//! [`crate::choose`] when its prepared shares are out of date.

mod backend;
mod cluster;
mod endpoint;
mod latency;
mod peak_ewma;
pub mod probe;
mod sharded;
pub mod silence;
mod table;

pub use backend::{BackendHealth, Policy};
pub use cluster::{ClusterState, Fleet, Part};
pub use endpoint::{Availability, EndpointId, EndpointState, Outcome, RAMP_FLOOR, Unavailable};
pub use latency::LatencyEstimate;
pub(crate) use sharded::Sharded;
pub use table::HealthTable;

#[cfg(test)]
mod tests;
