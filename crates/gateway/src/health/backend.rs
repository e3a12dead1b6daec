//! What is known about a backend as a whole.

use super::cluster::Fleet;
use super::endpoint::{Availability, EndpointState};
use super::latency::LatencyEstimate;
use crate::tls::BackendSecurity;
use arc_swap::{ArcSwap, ArcSwapOption};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tidegate_model::{Algorithm, BackendId, Balance, HealthPolicy, Placement};
use tidegate_runtime::Tick;

/// The rules of a backend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Which clusters serve, in which order.
    pub placement: Placement,
    /// How endpoints are judged.
    pub health: HealthPolicy,
    /// How they are chosen.
    pub balance: Balance,
}

impl Policy {
    /// Over what time a new endpoint warms up: the algorithm must have use for it.
    pub(crate) fn warmup(&self) -> Duration {
        match self.balance.algorithm {
            Algorithm::RoundRobin | Algorithm::LeastConnections => self.balance.warmup,
            Algorithm::RandomOfTwo | Algorithm::PeakEwma | Algorithm::Hash(_) => Duration::ZERO,
        }
    }
}

/// The endpoints of a backend with the rules they are judged by.
#[derive(Debug)]
pub struct BackendHealth {
    id: BackendId,
    fleet: Arc<Fleet>,
    policy: ArcSwap<Policy>,
    endpoints: ArcSwap<Vec<Arc<EndpointState>>>,
    /// What its endpoints share, if they are spoken to in TLS.
    security: ArcSwapOption<ArcSwap<BackendSecurity>>,
    latency: LatencyEstimate,
    /// What a request says decides where it goes.
    keyed: AtomicBool,
    /// Its endpoints' times are needed one by one.
    measured: AtomicBool,
    epoch: AtomicU64,
}

impl BackendHealth {
    pub(super) fn new(id: BackendId, fleet: Arc<Fleet>) -> Self {
        Self {
            id,
            fleet,
            policy: ArcSwap::default(),
            endpoints: ArcSwap::default(),
            security: ArcSwapOption::default(),
            latency: LatencyEstimate::default(),
            keyed: AtomicBool::new(false),
            measured: AtomicBool::new(false),
            epoch: AtomicU64::new(1),
        }
    }

    /// The backend.
    pub fn id(&self) -> &BackendId {
        &self.id
    }

    /// Its present endpoints, by cluster and address.
    pub fn endpoints(&self) -> arc_swap::Guard<Arc<Vec<Arc<EndpointState>>>> {
        self.endpoints.load()
    }

    /// Its present rules.
    pub fn policy(&self) -> arc_swap::Guard<Arc<Policy>> {
        self.policy.load()
    }

    /// The recent slowest ordinary time to the first byte.
    pub fn latency(&self) -> &LatencyEstimate {
        &self.latency
    }

    /// Whether a request's key or cookie decides where it goes. A look at it is all that other backends pay.
    pub(crate) fn is_keyed(&self) -> bool {
        self.keyed.load(Relaxed)
    }

    /// Whether times are kept for each endpoint.
    pub(super) fn is_measured(&self) -> bool {
        self.measured.load(Relaxed)
    }

    /// A number that differs whenever endpoints, rules or verdicts do.
    pub fn epoch(&self) -> u64 {
        // Both only grow, so that their sum repeats only when neither changed.
        self.epoch.load(Relaxed) + self.fleet.epoch.load(Relaxed)
    }

    pub(super) fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Something that shares depend on has changed.
    pub(super) fn changed(&self) {
        self.epoch.fetch_add(1, Relaxed);
    }

    pub(super) fn set_policy(&self, policy: Policy) {
        let balance = &policy.balance;
        let hashes = matches!(balance.algorithm, Algorithm::Hash(_));
        let keyed = hashes || balance.affinity.is_some();
        let measured = balance.algorithm == Algorithm::PeakEwma;
        self.keyed.store(keyed, Relaxed);
        self.measured.store(measured, Relaxed);
        self.policy.store(Arc::new(policy));
        self.changed();
    }

    /// How its endpoints are spoken to from now on; what they are to share.
    pub(super) fn set_security(
        &self,
        security: Option<&Arc<BackendSecurity>>,
    ) -> Option<Arc<ArcSwap<BackendSecurity>>> {
        let shared = security.map(|security| match self.security.load_full() {
            Some(shared) => {
                shared.store(Arc::clone(security));
                shared
            }
            None => Arc::new(ArcSwap::new(Arc::clone(security))),
        });
        self.security.store(shared.clone());
        shared
    }

    /// The same, where endpoints do not change by it.
    pub(crate) fn renew_security(&self, security: &Arc<BackendSecurity>) {
        if let Some(shared) = &*self.security.load() {
            shared.store(Arc::clone(security));
        }
    }

    pub(super) fn set_endpoints(&self, endpoints: Vec<Arc<EndpointState>>) {
        self.endpoints.store(Arc::new(endpoints));
        self.changed();
    }

    /// Whether an endpoint beside `this` can serve at `now`. Costs a walk over the endpoints: asked only
    /// when one is about to be taken out.
    pub(super) fn others_can_serve(&self, this: &EndpointState, now: Tick) -> bool {
        let rule = self.policy.load().placement.return_;
        self.endpoints.load().iter().any(|other| {
            other.id() != this.id()
                && matches!(other.availability(&rule, now).0, Availability::Serving(_))
        })
    }

    /// Lets what is over be over, before shares are computed.
    pub(crate) fn expire(&self, now: Tick) {
        for endpoint in self.endpoints.load().iter() {
            endpoint.cluster().expire(now);
            endpoint.expire(now);
        }
    }
}
