//! What is known about a cluster as a whole.

use super::latency::LatencyEstimate;
use super::sharded::{Padded, Sharded};
use super::silence::{self, CLUSTER_REQUESTS, Evidence, PATIENCE_MIN, SUSPICION_UNPROBED};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};
use tidegate_model::ClusterName;
use tidegate_runtime::Tick;

/// What all clusters share.
#[derive(Debug, Default)]
pub struct Fleet {
    /// Counts changes of cluster verdicts.
    pub(super) epoch: AtomicU64,
    /// Clusters that have endpoints.
    pub(super) clusters: AtomicU32,
    suspects: AtomicU32,
    awake_since: AtomicU64,
    last_tick: AtomicU64,
}

/// What an attempt is to its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its first attempt.
    First,
    /// A further one: it says nothing about the cluster that the first did not.
    Copy,
}

/// Evidence and verdict on one cluster.
#[derive(Debug)]
pub struct ClusterState {
    name: ClusterName,
    fleet: Arc<Fleet>,
    /// Endpoints of all backends; changed under the lock of the table only.
    endpoints: AtomicI64,
    out: Sharded,
    /// Of these, further copies of requests that were sent before.
    copies: Sharded,
    requests: Sharded,
    failures: Sharded,
    evidence: Padded<Evidence>,
    latency: LatencyEstimate,
    probed: AtomicBool,
    suspect_since: AtomicU64,
    suspect_until: AtomicU64,
    returned_at: AtomicU64,
}

// === impl Fleet ===

impl Fleet {
    /// Since when the gateway has been awake.
    pub(super) fn awake_since(&self) -> Tick {
        Tick(self.awake_since.load(Relaxed))
    }

    /// Called every few milliseconds; a longer gap means that the process was paused.
    pub(super) fn tick(&self, now: Tick) {
        let last = Tick(self.last_tick.swap(now.0, Relaxed));
        if last.happened() && now.since(last) > PATIENCE_MIN {
            self.awake_since.store(now.0, Relaxed);
        }
    }

    fn admit_suspect(&self) -> bool {
        let clusters = self.clusters.load(Relaxed);
        self.suspects
            .fetch_update(Relaxed, Relaxed, |suspects| {
                (suspects + 1 < clusters).then_some(suspects + 1)
            })
            .is_ok()
    }
}

// === impl ClusterState ===

impl ClusterState {
    pub(super) fn new(name: ClusterName, fleet: Arc<Fleet>) -> Self {
        Self {
            name,
            fleet,
            endpoints: AtomicI64::new(0),
            out: Sharded::default(),
            copies: Sharded::default(),
            requests: Sharded::default(),
            failures: Sharded::default(),
            evidence: Padded::default(),
            latency: LatencyEstimate::default(),
            probed: AtomicBool::new(false),
            suspect_since: AtomicU64::new(0),
            suspect_until: AtomicU64::new(0),
            returned_at: AtomicU64::new(0),
        }
    }

    /// The cluster.
    pub fn name(&self) -> &ClusterName {
        &self.name
    }

    /// Attempts sent there since the process started.
    pub fn requests(&self) -> u64 {
        self.requests.sum()
    }

    /// Attempts that failed there since the process started.
    pub fn failures(&self) -> u64 {
        self.failures.sum()
    }

    /// Attempts under way.
    pub fn requests_out(&self) -> u64 {
        self.out.sum()
    }

    /// When the last byte came from any of its endpoints; exact to a millisecond.
    pub fn last_byte(&self) -> Tick {
        self.evidence.0.last_byte()
    }

    /// Since when it is suspect, if it is at `now`.
    pub fn suspect_since(&self, now: Tick) -> Option<Tick> {
        (self.suspect_until() > now).then(|| Tick(self.suspect_since.load(Relaxed)))
    }

    /// When suspicion ends by itself; in the past when there is none.
    pub(super) fn suspect_until(&self) -> Tick {
        Tick(self.suspect_until.load(Relaxed))
    }

    /// When it was last cleared of suspicion.
    pub(super) fn returned_at(&self) -> Tick {
        Tick(self.returned_at.load(Relaxed))
    }

    /// The recent slowest ordinary time to the first byte.
    pub fn latency(&self) -> &LatencyEstimate {
        &self.latency
    }

    /// Counts endpoints in or out; how many there are then.
    pub(super) fn add_endpoints(&self, change: i64) -> i64 {
        self.endpoints.fetch_add(change, Relaxed) + change
    }

    /// From now on a prober asks its suspects, so suspicion lasts until it is lifted.
    pub(super) fn set_probed(&self) {
        self.probed.store(true, Relaxed);
    }

    pub(super) fn begin(&self, part: Part, now: Tick) {
        match part {
            Part::Copy => self.copies.add(1),
            // Only while nothing is heard does it matter how many are out; the sum is not cheap.
            Part::First if now.since(self.last_byte()) > PATIENCE_MIN / 5 => {
                self.evidence.0.begin(self.asked(), CLUSTER_REQUESTS, now);
            }
            Part::First => {}
        }
        self.out.add(1);
        self.requests.add(1);
    }

    pub(super) fn end(&self, part: Part) {
        self.out.subtract(1);
        match part {
            Part::Copy => self.copies.subtract(1),
            Part::First => self.evidence.0.end(),
        }
    }

    /// Requests under way, each once.
    fn asked(&self) -> u64 {
        self.out.sum().saturating_sub(self.copies.sum())
    }

    /// A probe was answered: the requests that are out are slow, not lost.
    pub(super) fn vouch(&self, now: Tick) {
        self.evidence.0.vouch(self.asked());
        self.clear(now);
    }

    pub(super) fn failed(&self) {
        self.failures.add(1);
    }

    pub(super) fn byte_seen(&self, now: Tick) {
        self.evidence.0.byte_seen(now);
        if self.suspect_since.load(Relaxed) != 0 {
            self.clear(now);
        }
    }

    /// Ends suspicion, on the ground of a byte or a good probe.
    pub(super) fn clear(&self, now: Tick) {
        if self.suspect_since.swap(0, Relaxed) != 0 {
            self.suspect_until.store(0, Relaxed);
            self.returned_at.store(now.0, Relaxed);
            self.fleet.suspects.fetch_sub(1, Relaxed);
            self.fleet.epoch.fetch_add(1, Relaxed);
            tracing::info!(cluster = %self.name, "cluster is no longer suspect");
        }
    }

    /// Ends suspicion whose time is over.
    pub(super) fn expire(&self, now: Tick) {
        let until = self.suspect_until();
        if until.happened() && until <= now {
            self.clear(now);
        }
    }

    /// Marks it suspect if it is silent and another could serve in its place; whether it is suspect then.
    pub(crate) fn check_silence(&self, now: Tick) -> bool {
        let quiet = now.since(self.last_byte());
        if quiet < PATIENCE_MIN {
            return false;
        }
        if self.suspect_since.load(Relaxed) != 0 {
            if self.suspect_until() > now {
                return true;
            }
            self.expire(now);
        }
        let seen = self.evidence.0.seen(self.asked(), self.fleet.awake_since());
        let patience = silence::patience(self.latency.get());
        if !silence::silent(&seen, CLUSTER_REQUESTS, patience, now) || !self.fleet.admit_suspect() {
            return false;
        }
        let marked = self
            .suspect_since
            .compare_exchange(0, now.0, Relaxed, Relaxed)
            .is_ok();
        if !marked {
            self.fleet.suspects.fetch_sub(1, Relaxed);
            return true;
        }
        let until = match self.probed.load(Relaxed) {
            true => Tick::END,
            false => now + SUSPICION_UNPROBED,
        };
        self.suspect_until.store(until.0, Relaxed);
        self.fleet.epoch.fetch_add(1, Relaxed);
        tracing::warn!(
            cluster = %self.name,
            requests_out = seen.out,
            quiet_ms = quiet.as_millis(),
            "cluster is silent, sending elsewhere"
        );
        true
    }
}
