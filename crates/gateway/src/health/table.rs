//! All health entries of the process.

use super::backend::{BackendHealth, Policy};
use super::cluster::{ClusterState, Fleet};
use super::endpoint::{EndpointId, EndpointState, Novelty};
use crate::tls::BackendSecurity;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tidegate_model::{Backend, BackendId, ClusterName};
use tidegate_runtime::Tick;

/// Keeps entries by name, so that they outlive every table that uses them.
///
/// Locked only to change the set of entries; judging and choosing take no lock.
#[derive(Debug, Default)]
pub struct HealthTable {
    fleet: Arc<Fleet>,
    next_id: AtomicU64,
    /// Counts changes of endpoints and of the rules they are probed by.
    version: AtomicU64,
    self_suspect: AtomicBool,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    backends: BTreeMap<BackendId, Arc<BackendHealth>>,
    clusters: BTreeMap<ClusterName, Arc<ClusterState>>,
}

impl HealthTable {
    /// Without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// All backends.
    pub fn backends(&self) -> Vec<Arc<BackendHealth>> {
        self.lock().backends.values().cloned().collect()
    }

    /// All clusters that have had endpoints.
    pub fn clusters(&self) -> Vec<Arc<ClusterState>> {
        self.lock().clusters.values().cloned().collect()
    }

    /// Whether every endpoint fails its probes, so that the fault may be on our side.
    pub fn self_suspect(&self) -> bool {
        self.self_suspect.load(Relaxed)
    }

    pub(super) fn set_self_suspect(&self, suspect: bool) {
        if self.self_suspect.swap(suspect, Relaxed) != suspect {
            match suspect {
                true => tracing::error!("every endpoint fails its probes: the fault may be ours"),
                false => tracing::info!("an endpoint answers probes again"),
            }
        }
    }

    pub(super) fn version(&self) -> u64 {
        self.version.load(Relaxed)
    }

    /// To be called every 10 ms or so by a thread that does nothing else: tells silence of the others from a
    /// pause of our own, and finds silent clusters when no request comes to ask.
    pub fn tick(&self, now: Tick) {
        self.fleet.tick(now);
        for cluster in self.lock().clusters.values() {
            cluster.check_silence(now);
        }
    }

    /// The entry of a backend, made to agree with `backend` and with how it is spoken to in TLS: endpoints
    /// it had keep their evidence.
    pub(crate) fn upsert(
        &self,
        id: &BackendId,
        backend: &Backend,
        security: Option<&Arc<BackendSecurity>>,
    ) -> Arc<BackendHealth> {
        let mut entries = self.lock();
        let novelty = match entries.backends.contains_key(id) {
            true => Novelty::New,
            false => Novelty::Old,
        };
        let health = Arc::clone(
            entries
                .backends
                .entry(id.clone())
                .or_insert_with(|| Arc::new(BackendHealth::new(id.clone(), self.fleet.clone()))),
        );
        let policy = Policy {
            placement: backend.placement.clone(),
            health: backend.health.clone(),
            balance: backend.balance.clone(),
        };
        if **health.policy() != policy {
            health.set_policy(policy);
            self.version.fetch_add(1, Relaxed);
        }
        let security = health.set_security(security);
        let old = health.endpoints();
        let known: HashMap<(&ClusterName, SocketAddr), &Arc<EndpointState>> = old
            .iter()
            .map(|e| ((e.cluster().name(), e.address()), e))
            .collect();
        let mut endpoints = Vec::new();
        for (cluster, listed) in backend.clusters.iter().filter(|(_, l)| !l.is_empty()) {
            let state = self.cluster(&mut entries, cluster);
            for endpoint in listed {
                let fits = |entry: &EndpointState| {
                    entry.protocol() == backend.protocol && entry.is_secured() == security.is_some()
                };
                let entry = match known.get(&(cluster, endpoint.address)) {
                    Some(entry) if fits(entry) => Arc::clone(entry),
                    Some(_) | None => Arc::new(EndpointState::new(
                        EndpointId(self.next_id.fetch_add(1, Relaxed)),
                        endpoint.address,
                        (backend.protocol, security.clone()),
                        Arc::clone(&state),
                        Arc::downgrade(&health),
                        novelty,
                    )),
                };
                endpoints.push(entry);
            }
        }
        let same = endpoints.len() == old.len()
            && endpoints
                .iter()
                .zip(old.iter())
                .all(|(a, b)| a.id() == b.id());
        if !same {
            for endpoint in &endpoints {
                endpoint.cluster().add_endpoints(1);
            }
            for endpoint in old.iter() {
                endpoint.cluster().add_endpoints(-1);
            }
            health.set_endpoints(endpoints);
            self.version.fetch_add(1, Relaxed);
            self.count_clusters(&entries);
        }
        health
    }

    /// Forgets a backend.
    pub(crate) fn remove(&self, id: &BackendId) {
        let mut entries = self.lock();
        if let Some(backend) = entries.backends.remove(id) {
            for endpoint in backend.endpoints().iter() {
                endpoint.cluster().add_endpoints(-1);
            }
            self.version.fetch_add(1, Relaxed);
            self.count_clusters(&entries);
        }
    }

    fn count_clusters(&self, entries: &Entries) {
        let mut count = 0;
        for cluster in entries.clusters.values() {
            match cluster.add_endpoints(0) {
                // It keeps its counters for the metrics, but nothing could lift a suspicion.
                0 => cluster.clear(Tick::NEVER),
                _ => count += 1,
            }
        }
        self.fleet.clusters.store(count, Relaxed);
    }

    fn cluster(&self, entries: &mut Entries, name: &ClusterName) -> Arc<ClusterState> {
        let new = || Arc::new(ClusterState::new(name.clone(), self.fleet.clone()));
        Arc::clone(entries.clusters.entry(name.clone()).or_insert_with(new))
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
