//! From snapshot to table, at a cost that grows with the change.
//!
//! What remains of the whole is a copy of the map of hosts when a route changed: it is the one that requests are looked
//! up in, and a hash table serves them best.

use super::{HostRoutes, Hosts, Table};
use crate::choose::BackendState;
use crate::health::HealthTable;
use crate::tls::{Certificates, Handshakes, Outgoing, Passthrough, Trusted};
use std::collections::HashMap;
use std::sync::Arc;
use tidegate_model::{
    Backend, BackendId, Generation, HostPattern, Route, Settings, SharedPart, Snapshot, differences,
};

/// What taking over a snapshot changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplyReport {
    /// The generation that is served now.
    pub generation: Generation,
    /// Hosts whose routes were compiled; the others are as before.
    pub hosts_compiled: usize,
    /// Hosts that are no longer served.
    pub hosts_removed: usize,
    /// Backends whose endpoints or rules changed, came or went.
    pub backends_changed: usize,
}

type Backends = HashMap<BackendId, Arc<BackendState>>;

impl Table {
    /// A table for a snapshot that passed [`Snapshot::validate`], and what is new in it.
    ///
    /// Hosts whose routes equal those of `previous` are shared with it. The entries in `health` are made to
    /// agree with the snapshot **at once**, also for `previous` where it is still in use: compile a table only
    /// to serve it.
    pub fn compile(
        snapshot: &Arc<Snapshot>,
        previous: Option<&Table>,
        health: &HealthTable,
    ) -> (Self, ApplyReport) {
        let mut report = ApplyReport {
            generation: snapshot.generation,
            ..ApplyReport::default()
        };
        let certificates = compile_certificates(snapshot, previous);
        let trusted = compile_trusted(snapshot, previous);
        let outgoing = compile_outgoing(snapshot, &certificates, &trusted, previous);
        let backends = compile_backends(snapshot, previous, health, &outgoing, &mut report);
        if previous.is_none_or(|previous| !Arc::ptr_eq(&previous.outgoing, &outgoing)) {
            for (id, security) in outgoing.iter() {
                if let Some(backend) = backends.get(id) {
                    backend.health().renew_security(security);
                }
            }
        }
        let table = Self {
            snapshot: Arc::clone(snapshot),
            settings: compile_settings(&snapshot.settings, previous),
            hosts: compile_hosts(snapshot, previous, &backends, &mut report),
            certificates,
            handshakes: compile_handshakes(snapshot, &trusted, previous),
            passthrough: compile_passthrough(snapshot, &backends, previous),
            backends,
            trusted,
            outgoing,
        };
        (table, report)
    }
}

impl Hosts {
    fn get(&self, host: &HostPattern) -> Option<&Arc<HostRoutes>> {
        match host {
            HostPattern::Any => self.any.as_ref(),
            HostPattern::Exact(name) => self.exact.get(name),
            HostPattern::Wildcard(name) => self.wildcard.get(name),
        }
    }

    fn put(&mut self, host: &HostPattern, routes: Option<Arc<HostRoutes>>) {
        let (map, name) = match host {
            HostPattern::Any => {
                self.any = routes;
                return;
            }
            HostPattern::Exact(name) => (&mut self.exact, name),
            HostPattern::Wildcard(name) => (&mut self.wildcard, name),
        };
        match routes {
            Some(routes) => map.insert(name.clone(), routes),
            None => map.remove(&**name),
        };
    }
}

fn compile_hosts(
    snapshot: &Snapshot,
    previous: Option<&Table>,
    backends: &Backends,
    report: &mut ApplyReport,
) -> Arc<Hosts> {
    let mut hosts = previous.map(|p| Arc::clone(&p.hosts)).unwrap_or_default();
    let changed = differences(previous.map(|p| &p.snapshot.hosts), &snapshot.hosts);
    if changed.is_empty() {
        return hosts;
    }
    let edited = Arc::make_mut(&mut hosts);
    for (host, routes) in changed {
        let before = edited.get(host).map(Arc::clone);
        let compile = |routes: &SharedPart<Vec<Route>>| {
            Arc::new(HostRoutes::compile(routes, backends, before.as_deref()))
        };
        match routes {
            Some(_) => report.hosts_compiled += 1,
            None => report.hosts_removed += 1,
        }
        edited.put(host, routes.map(compile));
    }
    hosts
}

fn compile_settings(settings: &Settings, previous: Option<&Table>) -> Arc<Settings> {
    match previous {
        Some(previous) if *previous.settings == *settings => Arc::clone(&previous.settings),
        _ => Arc::new(settings.clone()),
    }
}

fn compile_certificates(snapshot: &Snapshot, previous: Option<&Table>) -> Arc<Certificates> {
    if let Some(previous) = previous {
        let old = &previous.snapshot;
        let same = differences(Some(&old.tls), &snapshot.tls).is_empty()
            && differences(Some(&old.certificates), &snapshot.certificates).is_empty();
        if same {
            return Arc::clone(&previous.certificates);
        }
    }
    let known = previous.map(|p| &*p.certificates);
    let certificates = Certificates::compile(snapshot, known);
    for unusable in certificates.unusable() {
        tracing::error!(certificate = %unusable.id, reason = unusable.reason, "certificate cannot be shown");
    }
    Arc::new(certificates)
}

fn compile_trusted(snapshot: &Snapshot, previous: Option<&Table>) -> Arc<Trusted> {
    if let Some(previous) = previous {
        let old = &previous.snapshot.authorities;
        if differences(Some(old), &snapshot.authorities).is_empty() {
            return Arc::clone(&previous.trusted);
        }
    }
    let trusted = Trusted::compile(&snapshot.authorities, previous.map(|p| &*p.trusted));
    for (id, reason) in trusted.unusable() {
        tracing::error!(authorities = %id, reason, "certificates of authorities cannot be used");
    }
    Arc::new(trusted)
}

fn compile_handshakes(
    snapshot: &Snapshot,
    trusted: &Arc<Trusted>,
    previous: Option<&Table>,
) -> Arc<Handshakes> {
    if let Some(previous) = previous {
        let old = &previous.snapshot.handshakes;
        if Arc::ptr_eq(&previous.trusted, trusted)
            && differences(Some(old), &snapshot.handshakes).is_empty()
        {
            return Arc::clone(&previous.handshakes);
        }
    }
    let known = previous.map(|p| &*p.handshakes);
    Arc::new(Handshakes::compile(&snapshot.handshakes, trusted, known))
}

fn compile_passthrough(
    snapshot: &Snapshot,
    backends: &Backends,
    previous: Option<&Table>,
) -> Arc<Passthrough> {
    if let Some(previous) = previous {
        let old = &previous.snapshot.passthrough;
        if differences(Some(old), &snapshot.passthrough).is_empty() {
            return Arc::clone(&previous.passthrough);
        }
    }
    Arc::new(Passthrough::compile(&snapshot.passthrough, backends))
}

/// Looks at all backends when one of them changed that is, or was, spoken to in TLS, or something they may name.
fn compile_outgoing(
    snapshot: &Snapshot,
    certificates: &Arc<Certificates>,
    trusted: &Arc<Trusted>,
    previous: Option<&Table>,
) -> Arc<Outgoing> {
    if let Some(previous) = previous {
        let old = &previous.snapshot;
        let secured = |id: &BackendId, backend: Option<&SharedPart<Backend>>| {
            backend.is_some_and(|backend| backend.tls.is_some())
                || old.backends.get(id).is_some_and(|old| old.tls.is_some())
        };
        let mut backends = differences(Some(&old.backends), &snapshot.backends).into_iter();
        let same = Arc::ptr_eq(&previous.certificates, certificates)
            && Arc::ptr_eq(&previous.trusted, trusted)
            && !backends.any(|(id, backend)| secured(id, backend));
        if same {
            return Arc::clone(&previous.outgoing);
        }
    }
    let known = previous.map(|p| &*p.outgoing);
    let outgoing = Outgoing::compile(snapshot, certificates, trusted, known);
    for (id, security) in outgoing.iter() {
        if let Some(reason) = security.problem() {
            tracing::error!(backend = %id, reason, "a backend cannot be spoken to in TLS");
        }
    }
    Arc::new(outgoing)
}

fn compile_backends(
    snapshot: &Snapshot,
    previous: Option<&Table>,
    health: &HealthTable,
    outgoing: &Outgoing,
    report: &mut ApplyReport,
) -> Arc<Backends> {
    let mut backends = previous
        .map(|p| Arc::clone(&p.backends))
        .unwrap_or_default();
    for (id, backend) in differences(previous.map(|p| &p.snapshot.backends), &snapshot.backends) {
        report.backends_changed += 1;
        match backend {
            Some(backend) => {
                let entry = health.upsert(id, backend, outgoing.of(id));
                if !backends.contains_key(id) {
                    let state = Arc::new(BackendState::new(entry));
                    Arc::make_mut(&mut backends).insert(id.clone(), state);
                }
            }
            None => {
                health.remove(id);
                Arc::make_mut(&mut backends).remove(id);
            }
        }
    }
    backends
}
