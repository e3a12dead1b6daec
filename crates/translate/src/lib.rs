//! World view to gateway snapshot and diagnostics: pure functions.
//!
//! ```text
//! WorldView ── hub objects ──> class (IngressClass, GatewayConfig) ─┐
//!    │                         policy (FailoverPolicy) ─────────────┤
//!    │                         annotation (one typed table) ────────┼──> ingress ──> routes, tls ──> Snapshot
//!    └────── members ────────> fleet (Services, EndpointSlices) ────┘                    └────> Diagnostics
//! ```
//!
//! Equal worlds give byte-equal snapshots, whatever order their objects come in. There is no clock, no
//! I/O and no failure: a bad object yields a [`Diagnostic`] and a safe local fallback, and never changes
//! what another object gets. How fresh a member's objects are never changes endpoints, because what
//! cannot be seen is not known to be gone.

mod alias;
mod annotation;
mod auth;
mod backend;
mod class;
mod destination;
mod diagnostic;
mod fleet;
mod header_map;
mod host_access;
mod host_tls;
mod ingress;
mod named;
mod objects;
mod part;
mod passthrough;
mod policy;
mod routes;
mod tls;
mod touch;
mod translator;
mod trust;
pub mod verdict;
mod world;

pub use annotation::document;
pub use auth::AuthSecret;
pub use class::{ClassUse, DEFAULT_CLASS, is_default};
pub use diagnostic::{Diagnostic, Kind, ObjectRef, Reason, Severity};
pub use objects::{Ingresses, ObjectName, Objects, Replaced, name_of};
pub use policy::PolicyVerdict;
pub use tls::TlsSecret;
pub use translator::Translator;
pub use world::{Freshness, MemberView, Unreadable, WorldView};

use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_model::{HostPattern, Route, SharedMap, SharedPart, Snapshot};

/// What the world means for gateways and for the people who wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct Translation {
    /// What gateways serve. Its generation is 0: whoever publishes it numbers it.
    pub snapshot: Snapshot,
    /// Everything that is ignored, refused or suspicious, sorted by object and field.
    pub diagnostics: Vec<Arc<Diagnostic>>,
    /// The Ingresses of our classes with the routes they own in the snapshot.
    pub ingresses: SharedMap<Arc<ObjectRef>, SharedPart<Vec<(HostPattern, Route)>>>,
    /// What became of each FailoverPolicy.
    pub policies: BTreeMap<ObjectRef, PolicyVerdict>,
}

/// Compiles the world. Whoever does so again and again keeps a [`Translator`].
pub fn translate(world: &WorldView) -> Translation {
    Translator::default().translate(world)
}
