//! What the gateway serves: routes compiled from a snapshot, and the backends they lead to.
//!
//! ```text
//! Table ── exact/wildcard/any host -> Arc<HostRoutes> ── RouteEntry ── ForwardEntry ─┐
//!   '───── BackendId -> Arc<BackendState>  <────────────────────────────────────────┘
//! ```
//!
//! There are two kinds of change. A change of **routes** compiles the hosts it touches; all others are shared
//! with the table before. A change of **endpoints** or of a backend's rules goes into its [`BackendState`],
//! which old and new tables share, and compiles no route.

mod compile;
mod conditions;
mod host;
mod route;
mod tree;

pub use compile::ApplyReport;
pub(crate) use conditions::{cookie, parameter};
pub use host::{ForwardEntry, HostRoutes, RouteAction, RouteEntry, Split};
pub use route::{HeaderLookup, RequestHead, route};

pub use crate::choose::BackendState;
use crate::tls::{Certificates, Handshakes, Outgoing, Passthrough, Trusted};
use std::collections::HashMap;
use std::sync::Arc;
use tidegate_model::{BackendId, Generation, Settings, SharedText, Snapshot};

/// The compiled form of one snapshot. Immutable, but for the endpoints behind its backends.
#[derive(Debug)]
pub struct Table {
    snapshot: Arc<Snapshot>,
    settings: Arc<Settings>,
    hosts: Arc<Hosts>,
    backends: Arc<HashMap<BackendId, Arc<BackendState>>>,
    certificates: Arc<Certificates>,
    trusted: Arc<Trusted>,
    handshakes: Arc<Handshakes>,
    passthrough: Arc<Passthrough>,
    outgoing: Arc<Outgoing>,
}

/// All hosts; shared between tables while no route changes.
#[derive(Clone, Debug, Default)]
struct Hosts {
    exact: HashMap<SharedText, Arc<HostRoutes>>,
    wildcard: HashMap<SharedText, Arc<HostRoutes>>,
    any: Option<Arc<HostRoutes>>,
}

impl Hosts {
    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.wildcard.is_empty() && self.any.is_none()
    }
}

impl Table {
    /// What it was compiled from.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The place of its snapshot in the order of snapshots.
    pub fn generation(&self) -> Generation {
        self.snapshot.generation
    }

    /// Whether no snapshot was ever applied.
    pub(crate) fn is_unset(&self) -> bool {
        self.snapshot.generation == Generation(0) && self.hosts.is_empty()
    }

    /// Whether a host, in lower case and without port, is served by this very name.
    pub(crate) fn serves_by_name(&self, host: &str) -> bool {
        self.hosts.exact.contains_key(host)
    }

    /// Settings of the whole gateway.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// What clients of TLS see.
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// Who signs certificates of others.
    pub fn trusted(&self) -> &Trusted {
        &self.trusted
    }

    /// How clients of TLS shake hands, by host.
    pub fn handshakes(&self) -> &Handshakes {
        &self.handshakes
    }

    /// Hosts whose TLS is not ended here.
    pub fn passthrough(&self) -> &Passthrough {
        &self.passthrough
    }

    /// How backends are spoken to in TLS.
    pub fn outgoing(&self) -> &Outgoing {
        &self.outgoing
    }

    /// A backend by name.
    pub fn backend(&self, id: &BackendId) -> Option<&Arc<BackendState>> {
        self.backends.get(id)
    }

    /// All backends, in no order.
    pub fn backends(&self) -> impl Iterator<Item = &Arc<BackendState>> {
        self.backends.values()
    }
}

#[cfg(test)]
mod tests;
