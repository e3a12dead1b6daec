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

mod annotation;
mod backend;
mod class;
mod diagnostic;
mod fleet;
mod ingress;
mod policy;
mod routes;
mod tls;
mod world;

pub use diagnostic::{Diagnostic, Kind, ObjectRef, Reason, Severity};
pub use policy::PolicyVerdict;
pub use tls::TlsSecret;
pub use world::{Freshness, MemberView, Unreadable, WorldView};

use std::collections::BTreeMap;
use tidegate_model::{Generation, HostPattern, Route, Snapshot};

/// What the world means for gateways and for the people who wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct Translation {
    /// What gateways serve. Its generation is 0: whoever publishes it numbers it.
    pub snapshot: Snapshot,
    /// Everything that is ignored, refused or suspicious, sorted by object and field.
    pub diagnostics: Vec<Diagnostic>,
    /// The Ingresses of our classes with the routes they own in the snapshot.
    pub ingresses: BTreeMap<ObjectRef, Vec<(HostPattern, Route)>>,
    /// What became of each FailoverPolicy.
    pub policies: BTreeMap<ObjectRef, PolicyVerdict>,
}

/// Compiles the world.
pub fn translate(world: &WorldView) -> Translation {
    let mut diagnostics = diagnostic::Sink::default();
    for unreadable in &world.unreadable {
        diagnostics.error(
            &unreadable.object,
            "",
            Reason::Unreadable,
            format!(
                "the object cannot be read and is ignored: {}",
                unreadable.error
            ),
        );
    }
    let fleet = fleet::Fleet::new(world, &mut diagnostics);
    let classes = class::Classes::new(world, &fleet, &mut diagnostics);
    let policies = policy::Policies::new(world, &fleet, &mut diagnostics);
    let mut backends = backend::Backends::new(&fleet, &policies);
    let ours = ingress::ours(world, &classes, &mut backends, &mut diagnostics);
    let routes = routes::compile(&ours, &mut backends, &mut diagnostics);
    let mut snapshot = Snapshot::empty(Generation(0));
    tls::compile(&world.tls_secrets, &ours, &mut snapshot, &mut diagnostics);
    let mut ingresses: BTreeMap<_, Vec<_>> = ours
        .iter()
        .map(|mine| (mine.object.clone(), Vec::new()))
        .collect();
    let backends = backends.finish();
    let policies = policies.finish(&diagnostics);

    for (host, routes) in &routes {
        for (owners, route) in routes {
            for owner in owners {
                if let Some(owned) = ingresses.get_mut(owner) {
                    owned.push((host.clone(), route.clone()));
                }
            }
        }
    }
    snapshot.settings = classes.settings;
    snapshot.hosts = routes
        .into_iter()
        .map(|(host, routes)| {
            let routes: Vec<Route> = routes.into_iter().map(|(_, route)| route).collect();
            (host, routes.into())
        })
        .collect();
    snapshot.backends = backends
        .into_iter()
        .map(|(id, backend)| (id, backend.into()))
        .collect();
    Translation {
        snapshot,
        diagnostics: diagnostics.finish(),
        ingresses,
        policies,
    }
}
