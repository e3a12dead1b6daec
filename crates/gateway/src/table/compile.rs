//! From snapshot to table, at a cost that grows with the change.

use super::{HostRoutes, Table};
use crate::choose::BackendState;
use crate::health::HealthTable;
use std::collections::HashMap;
use std::sync::Arc;
use tidegate_model::{BackendId, HostPattern, Settings, Snapshot};

impl Table {
    /// A table for a snapshot that passed [`Snapshot::validate`].
    ///
    /// Hosts whose routes equal those of `previous` are shared with it. The entries in `health` are made to
    /// agree with the snapshot **at once**, also for `previous` where it is still in use: compile a table only
    /// to serve it.
    pub fn compile(
        snapshot: &Arc<Snapshot>,
        previous: Option<&Table>,
        health: &HealthTable,
    ) -> Self {
        let backends = compile_backends(snapshot, previous, health);
        let mut table = Self {
            snapshot: Arc::clone(snapshot),
            settings: compile_settings(&snapshot.settings, previous),
            exact: HashMap::with_capacity(snapshot.hosts.len()),
            wildcard: HashMap::new(),
            any: None,
            backends,
        };
        for (host, routes) in &snapshot.hosts {
            let unchanged = previous
                .filter(|p| p.snapshot.hosts.get(host) == Some(routes))
                .and_then(|p| p.host(host));
            let (name, compiled) = match unchanged {
                Some((name, compiled)) => (name, Arc::clone(compiled)),
                None => {
                    let compiled = HostRoutes::compile(routes, &table.backends);
                    (None, Arc::new(compiled))
                }
            };
            table.insert(host, name, compiled);
        }
        table
    }

    fn host(&self, host: &HostPattern) -> Option<(Option<Arc<str>>, &Arc<HostRoutes>)> {
        let named = |map: &'_ HashMap<Arc<str>, _>, name: &str| {
            map.get_key_value(name).map(|(name, _)| Arc::clone(name))
        };
        match host {
            HostPattern::Exact(name) => Some((named(&self.exact, name), self.exact.get(&**name)?)),
            HostPattern::Wildcard(name) => {
                Some((named(&self.wildcard, name), self.wildcard.get(&**name)?))
            }
            HostPattern::Any => Some((None, self.any.as_ref()?)),
        }
    }

    fn insert(&mut self, host: &HostPattern, name: Option<Arc<str>>, routes: Arc<HostRoutes>) {
        let named = |text: &str| name.unwrap_or_else(|| text.into());
        match host {
            HostPattern::Exact(text) => {
                self.exact.insert(named(text), routes);
            }
            HostPattern::Wildcard(text) => {
                self.wildcard.insert(named(text), routes);
            }
            HostPattern::Any => self.any = Some(routes),
        }
    }
}

fn compile_settings(settings: &Settings, previous: Option<&Table>) -> Arc<Settings> {
    match previous {
        Some(previous) if *previous.settings == *settings => Arc::clone(&previous.settings),
        _ => Arc::new(settings.clone()),
    }
}

fn compile_backends(
    snapshot: &Snapshot,
    previous: Option<&Table>,
    health: &HealthTable,
) -> HashMap<BackendId, Arc<BackendState>> {
    let mut backends = HashMap::with_capacity(snapshot.backends.len());
    for (id, backend) in &snapshot.backends {
        let known = previous.and_then(|p| p.backends.get(id));
        let unchanged = previous.is_some_and(|p| p.snapshot.backends.get(id) == Some(backend));
        let state = match known {
            Some(state) if unchanged => Arc::clone(state),
            Some(state) => {
                health.upsert(id, backend);
                Arc::clone(state)
            }
            None => Arc::new(BackendState::new(health.upsert(id, backend))),
        };
        backends.insert(id.clone(), state);
    }
    health.retain(|id| backends.contains_key(id));
    backends
}
