//! What is known about an endpoint.

use super::backend::BackendHealth;
use super::cluster::{ClusterState, Part};
use super::peak_ewma::PeakEwma;
use super::sharded::Padded;
use super::silence::{self, ENDPOINT_REQUESTS, Evidence, PATIENCE_MIN, SUSPICION_UNPROBED};
use crate::hash::StableHasher;
use crate::tls::BackendSecurity;
use arc_swap::ArcSwap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tidegate_model::{PassiveCheck, Probe, Protocol, Return};
use tidegate_runtime::Tick;

/// The share, of its full one, that a returning endpoint begins with.
pub const RAMP_FLOOR: f64 = 0.05;

/// Names an endpoint entry for the life of the process; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId(pub u64);

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With an answer; 502, 503 and 504 count as failures.
    Answered {
        /// Its status.
        status: u16,
    },
    /// No connection.
    ConnectFailed,
    /// Closed, reset or broken before the end of the answer.
    Reset,
    /// Given up for lack of an answer.
    TimedOut,
    /// Given up for a reason that says nothing about the endpoint.
    Cancelled,
}

/// Whether an endpoint may get requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Availability {
    /// This much of a full share, above 0 and at most 1.
    Serving(f64),
    /// None, and why.
    Not(Unavailable),
}

/// Why an endpoint gets no requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unavailable {
    /// Too many failures in a row.
    Ejected,
    /// Its probes fail.
    ProbeFailed,
    /// It is silent.
    Suspect,
    /// Its cluster is silent.
    ClusterSuspect,
    /// Healthy again, but not for long enough.
    Held,
}

/// Evidence and verdict on one endpoint of a backend in a cluster.
#[derive(Debug)]
pub struct EndpointState {
    id: EndpointId,
    identity: u64,
    address: SocketAddr,
    protocol: Protocol,
    /// That of its backend, which may change it.
    security: Option<Arc<ArcSwap<BackendSecurity>>>,
    cluster: Arc<ClusterState>,
    backend: Weak<BackendHealth>,
    traffic: Padded<Traffic>,
    verdict: Verdict,
    novelty: Novelty,
    /// When a new one was first looked at.
    born: AtomicU64,
}

/// Whether an endpoint has joined others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Novelty {
    /// It was there when the backend became known.
    Old,
    /// It came later.
    New,
}

/// Written by every request.
#[derive(Debug, Default)]
struct Traffic {
    active: AtomicU32,
    evidence: Evidence,
    wait: PeakEwma,
}

/// Written when something changes.
#[derive(Debug, Default)]
struct Verdict {
    failures: AtomicU32,
    ejections: AtomicU32,
    ejected_until: AtomicU64,
    probe: AtomicU8,
    last_probe_failed: AtomicBool,
    suspect_since: AtomicU64,
    suspect_until: AtomicU64,
    returned_at: AtomicU64,
}

const PROBE_FAILED: u8 = 2;
const PROBE_GOOD: u8 = 1;

impl Unavailable {
    /// The word for status and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ejected => "ejected",
            Self::ProbeFailed => "probe-failed",
            Self::Suspect => "suspect",
            Self::ClusterSuspect => "cluster-suspect",
            Self::Held => "held",
        }
    }
}

// === impl EndpointState ===

impl EndpointState {
    pub(super) fn new(
        id: EndpointId,
        address: SocketAddr,
        (protocol, security): (Protocol, Option<Arc<ArcSwap<BackendSecurity>>>),
        cluster: Arc<ClusterState>,
        backend: Weak<BackendHealth>,
        novelty: Novelty,
    ) -> Self {
        let mut identity = StableHasher::new();
        identity.write(cluster.name().as_str().as_bytes());
        identity.write(b"/");
        identity.write(address.to_string().as_bytes());
        Self {
            id,
            identity: identity.finish(),
            address,
            protocol,
            security,
            cluster,
            backend,
            traffic: Padded::default(),
            verdict: Verdict::default(),
            novelty,
            born: AtomicU64::new(0),
        }
    }

    /// Made of its cluster and address alone: the same in every gateway.
    pub fn identity(&self) -> u64 {
        self.identity
    }

    /// What it speaks; one that changes that is another endpoint.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// How it is spoken to in TLS.
    pub(crate) fn security(&self) -> Option<Arc<BackendSecurity>> {
        self.security.as_ref().map(|current| current.load_full())
    }

    /// Whether it is spoken to in TLS; one that changes that is another endpoint.
    pub fn is_secured(&self) -> bool {
        self.security.is_some()
    }

    /// Its name in this process.
    pub fn id(&self) -> EndpointId {
        self.id
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its cluster.
    pub fn cluster(&self) -> &Arc<ClusterState> {
        &self.cluster
    }

    /// Attempts under way.
    pub fn active(&self) -> u32 {
        self.traffic.0.active.load(Relaxed)
    }

    /// How long a request sent to it at `now` may expect to wait, in no unit but comparable among endpoints.
    /// One that never answered ranks before all others while it has nothing to do, and after them otherwise.
    pub(crate) fn expected_wait(&self, now: Tick) -> f64 {
        let active = f64::from(self.active());
        match self.traffic.0.wait.nanos(now) {
            0.0 if active > 0.0 => f64::MAX / 2.0 + active,
            wait => wait * (active + 1.0),
        }
    }

    /// The part of its share that a new endpoint gets at `now`, and until when.
    pub(crate) fn warmth(&self, warmup: Duration, now: Tick) -> (f64, Tick) {
        if self.novelty == Novelty::Old || warmup.is_zero() {
            return (1.0, Tick::END);
        }
        // Whoever looks first says when it begins: endpoints come from a snapshot, which has no clock.
        let _ = self.born.compare_exchange(0, now.0, Relaxed, Relaxed);
        climb(now.since(Tick(self.born.load(Relaxed))), warmup, now)
    }

    /// When its last byte came; exact to a millisecond.
    pub fn last_byte(&self) -> Tick {
        self.traffic.0.evidence.last_byte()
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.verdict.failures.load(Relaxed)
    }

    /// Whether it may get requests at `now` under the return rule `rule`, and until when that holds if
    /// nothing else happens.
    pub fn availability(&self, rule: &Return, now: Tick) -> (Availability, Tick) {
        let v = &self.verdict;
        let not = |why, until| (Availability::Not(why), until);
        let cluster_suspect = self.cluster.suspect_until();
        if cluster_suspect > now {
            return not(Unavailable::ClusterSuspect, cluster_suspect);
        }
        let suspect = Tick(v.suspect_until.load(Relaxed));
        if suspect > now {
            return not(Unavailable::Suspect, suspect);
        }
        if v.probe.load(Relaxed) == PROBE_FAILED {
            return not(Unavailable::ProbeFailed, Tick::END);
        }
        let ejected = Tick(v.ejected_until.load(Relaxed));
        if ejected > now {
            return not(Unavailable::Ejected, ejected);
        }
        // Its time is over, but the prober knows already what the next request would find.
        if ejected.happened() && v.last_probe_failed.load(Relaxed) {
            return not(Unavailable::Ejected, Tick::END);
        }
        let own = Tick(v.returned_at.load(Relaxed)).max(ejected).max(suspect);
        ramp(own.max(self.cluster.returned_at()), rule, now)
    }

    /// Whether it or its cluster is suspect at `now`, looking at the silence up to now.
    pub fn check_silence(&self, now: Tick) -> bool {
        if now.since(self.last_byte()) < PATIENCE_MIN {
            return false;
        }
        self.cluster.check_silence(now) || self.check_own_silence(now)
    }

    fn check_own_silence(&self, now: Tick) -> bool {
        let v = &self.verdict;
        if v.suspect_since.load(Relaxed) != 0 {
            return Tick(v.suspect_until.load(Relaxed)) > now;
        }
        if self.active() < ENDPOINT_REQUESTS as u32 {
            return false;
        }
        let Some(backend) = self.backend.upgrade() else {
            return false;
        };
        let seen = self
            .traffic
            .0
            .evidence
            .seen(u64::from(self.active()), backend.fleet().awake_since());
        let patience = silence::patience(backend.latency().get());
        if !silence::silent(&seen, ENDPOINT_REQUESTS, patience, now)
            || !backend.others_can_serve(self, now)
        {
            return false;
        }
        let until = match backend.policy().health.active.probe {
            Probe::None => now + SUSPICION_UNPROBED,
            Probe::Tcp | Probe::Http { .. } => Tick::END,
        };
        v.suspect_since.store(now.0, Relaxed);
        v.suspect_until.store(until.0, Relaxed);
        backend.changed();
        tracing::warn!(
            endpoint = %self.address,
            cluster = %self.cluster.name(),
            backend = %backend.id(),
            requests_out = seen.out,
            "endpoint is silent, sending elsewhere"
        );
        true
    }

    pub(crate) fn begin(&self, part: Part, now: Tick) {
        self.cluster.begin(part, now);
        let out = self.traffic.0.active.fetch_add(1, Relaxed);
        let evidence = &self.traffic.0.evidence;
        evidence.begin(u64::from(out), ENDPOINT_REQUESTS, now);
    }

    pub(crate) fn end(&self, part: Part) {
        self.traffic.0.active.fetch_sub(1, Relaxed);
        self.traffic.0.evidence.end();
        self.cluster.end(part);
    }

    pub(crate) fn byte_seen(&self, now: Tick) {
        self.traffic.0.evidence.byte_seen(now);
        self.cluster.byte_seen(now);
        if self.verdict.suspect_since.load(Relaxed) != 0 {
            self.clear_suspicion(now);
        }
    }

    pub(crate) fn first_byte(&self, begun: Tick, now: Tick) {
        let took = now.since(begun);
        self.cluster.latency().add(took);
        if let Some(backend) = self.backend.upgrade() {
            backend.latency().add(took);
            if backend.is_measured() {
                self.traffic.0.wait.add(took, now);
            }
        }
        self.byte_seen(now);
    }

    /// Judges by how an attempt ended.
    pub(crate) fn judge(&self, outcome: Outcome, now: Tick) {
        let v = &self.verdict;
        let failed = match outcome {
            Outcome::Answered { status } => matches!(status, 502..=504),
            Outcome::ConnectFailed | Outcome::Reset | Outcome::TimedOut => true,
            Outcome::Cancelled => return,
        };
        if !failed {
            if v.failures.load(Relaxed) != 0 {
                v.failures.store(0, Relaxed);
                v.ejections.store(0, Relaxed);
            }
            return;
        }
        self.cluster.failed();
        let failures = v.failures.fetch_add(1, Relaxed).saturating_add(1);
        let Some(backend) = self.backend.upgrade() else {
            return;
        };
        let passive = backend.policy().health.passive;
        let enough = passive.consecutive_failures != 0 && failures >= passive.consecutive_failures;
        let out_already = Tick(v.ejected_until.load(Relaxed)) > now;
        if enough && !out_already && backend.others_can_serve(self, now) {
            self.eject(&backend, &passive, failures, now);
        }
    }

    fn eject(&self, backend: &BackendHealth, rule: &PassiveCheck, failures: u32, now: Tick) {
        let times = self.verdict.ejections.fetch_add(1, Relaxed);
        let lasts = rule
            .base_ejection
            .saturating_mul(1 << times.min(16))
            .min(rule.max_ejection);
        self.verdict.ejected_until.store((now + lasts).0, Relaxed);
        backend.changed();
        tracing::warn!(
            endpoint = %self.address,
            cluster = %self.cluster.name(),
            backend = %backend.id(),
            failures,
            for_ms = lasts.as_millis(),
            "endpoint ejected"
        );
    }

    /// Whether it is under suspicion or ejected, so that the prober should ask it for a byte.
    pub(super) fn doubted(&self, now: Tick) -> bool {
        self.verdict.suspect_since.load(Relaxed) != 0 || self.cluster.suspect_since(now).is_some()
    }

    /// Whether it is ejected at `now`.
    pub(super) fn ejected(&self, now: Tick) -> bool {
        Tick(self.verdict.ejected_until.load(Relaxed)) > now
    }

    /// Takes a probe into account. `verdict` is what the run of probes says, when it says something.
    pub(super) fn probed(&self, good: bool, verdict: Option<bool>, now: Tick) {
        let v = &self.verdict;
        let flipped = v.last_probe_failed.swap(!good, Relaxed) == good;
        let new = match verdict {
            Some(true) => PROBE_GOOD,
            Some(false) => PROBE_FAILED,
            None => v.probe.load(Relaxed),
        };
        let old = v.probe.swap(new, Relaxed);
        let returned = old == PROBE_FAILED && new == PROBE_GOOD;
        if returned {
            // The prober saw it fail and recover: better evidence than the time that passed.
            v.ejected_until.store(0, Relaxed);
            v.failures.store(0, Relaxed);
            v.ejections.store(0, Relaxed);
            v.returned_at.store(now.0, Relaxed);
        }
        if (flipped || old != new)
            && let Some(backend) = self.backend.upgrade()
        {
            backend.changed();
            if returned || (new == PROBE_FAILED && old != new) {
                tracing::info!(
                    endpoint = %self.address,
                    cluster = %self.cluster.name(),
                    backend = %backend.id(),
                    healthy = good,
                    "probes changed the verdict on an endpoint"
                );
            }
        }
    }

    /// Ends an ejection before its time, because what failed was seen to work again.
    pub(super) fn end_ejection(&self, now: Tick) {
        let v = &self.verdict;
        v.ejected_until.store(0, Relaxed);
        v.returned_at.store(now.0, Relaxed);
        if let Some(backend) = self.backend.upgrade() {
            backend.changed();
        }
    }

    /// It gave a sign of life: no suspicion on it or its cluster is left.
    pub(super) fn alive(&self, now: Tick) {
        self.cluster.vouch(now);
        self.traffic.0.evidence.vouch(u64::from(self.active()));
        self.clear_suspicion(now);
    }

    fn clear_suspicion(&self, now: Tick) {
        if self.verdict.suspect_since.swap(0, Relaxed) != 0 {
            self.verdict.suspect_until.store(0, Relaxed);
            self.verdict.returned_at.store(now.0, Relaxed);
            if let Some(backend) = self.backend.upgrade() {
                backend.changed();
            }
        }
    }

    /// Forgets suspicion whose time is over, keeping when that was as the time of its return.
    pub(super) fn expire(&self, now: Tick) {
        let until = Tick(self.verdict.suspect_until.load(Relaxed));
        if until.happened() && until <= now {
            self.clear_suspicion(now);
        }
    }
}

/// The share of a party that came back at `returned`: nothing while held, then growing to full.
fn ramp(returned: Tick, rule: &Return, now: Tick) -> (Availability, Tick) {
    if !returned.happened() {
        return (Availability::Serving(1.0), Tick::END);
    }
    let starts = returned + rule.hold;
    if now < starts {
        return (Availability::Not(Unavailable::Held), starts);
    }
    let (share, until) = climb(now.since(starts), rule.ramp, now);
    (Availability::Serving(share), until)
}

/// The part of a share after `grown` of `whole`, and until when it is good enough.
fn climb(grown: Duration, whole: Duration, now: Tick) -> (f64, Tick) {
    if grown >= whole {
        return (1.0, Tick::END);
    }
    let part = (grown.as_secs_f64() / whole.as_secs_f64()).max(RAMP_FLOOR);
    (part, now + whole / 20)
}
