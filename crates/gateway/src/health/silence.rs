//! When silence is a verdict.
//!
//! A dead machine, a dropped route or a stopped process says nothing, and a time-out is slow to notice. So
//! for each endpoint and each cluster we keep: how many requests are out, since when there have been at
//! least `k` of them, and when the last byte came. The party is **silent** when
//!
//! 1. at least `k` requests are out: 3 for a cluster, 2 for an endpoint; one slow answer proves nothing, and
//!    copies of one request are one request; and
//! 2. for `T` there have been that many, and no byte came: for a cluster from none of its endpoints, whatever
//!    the backend; and
//! 3. the gateway itself was awake all that time: after a pause of the process everything looks silent
//!    ([`crate::health::HealthTable::tick`] notices pauses).
//!
//! `T` is four times the recent 99th percentile of times to the first byte, at least [`PATIENCE_MIN`]. It is
//! the estimate of the backend for an endpoint and that of all the cluster's answers for a cluster. While
//! there are too few answers for an estimate, `T` is [`PATIENCE_UNKNOWN`], so a backend whose every answer
//! is slow gets the time to show it.
//!
//! A silent party becomes *suspect*: new requests go elsewhere at once, and repeatable ones in flight may be
//! sent elsewhere as well ([`crate::choose::Pick::suspicious`]). It is not marked when no other could serve
//! in its place: if all are silent, they are slow, or it is us. A suspect is cleared by any byte and by a
//! good answer to a probe; a bare TCP connection is none, because the kernel of a stopped process accepts
//! it, so the prober asks suspects for a byte ([`crate::health::probe`]). An answer to it speaks for the requests
//! that are out at that moment: they are slow, and not counted again. Where nothing probes, suspicion
//! ends by itself after [`SUSPICION_UNPROBED`].
//!
//! At low rates there are never `k` requests out; then `try_first_byte` covers the loss of each.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tidegate_runtime::Tick;

/// Requests that must be out at a cluster.
pub const CLUSTER_REQUESTS: u64 = 3;
/// Requests that must be out at an endpoint.
pub const ENDPOINT_REQUESTS: u64 = 2;
/// Scheduling, a collector's pause or a lost packet (200 ms) at a fast service: below this we would be judging
/// noise.
pub const PATIENCE_MIN: Duration = Duration::from_millis(50);
/// Without enough answers to judge by.
pub const PATIENCE_UNKNOWN: Duration = Duration::from_millis(500);
/// How long suspicion lasts where no probe can lift it.
pub const SUSPICION_UNPROBED: Duration = Duration::from_secs(1);

/// A byte counts as new after so long; more often would only move a cache line between cores.
const BYTE_STEP: Duration = Duration::from_millis(1);

/// What requests leave behind at a party, to judge its silence by.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    last_byte: AtomicU64,
    enough_since: AtomicU64,
    vouched: AtomicU64,
}

impl Evidence {
    /// When the last byte came; exact to a millisecond.
    pub(super) fn last_byte(&self) -> Tick {
        Tick(self.last_byte.load(Relaxed))
    }

    /// Bytes came.
    pub(super) fn byte_seen(&self, now: Tick) {
        if now.since(self.last_byte()) >= BYTE_STEP {
            self.last_byte.store(now.0, Relaxed);
        }
    }

    /// A request begins beside `out` others; `needed` of them make silence.
    pub(super) fn begin(&self, out: u64, needed: u64, now: Tick) {
        if out.saturating_sub(self.vouched.load(Relaxed)) < needed {
            self.enough_since.store(now.0, Relaxed);
        }
    }

    /// A request has ended. That it was one of those a probe spoke for is assumed: they are the older ones.
    pub(super) fn end(&self) {
        if self.vouched.load(Relaxed) != 0 {
            // Racing ends may take one too many; zero is the bound.
            let _ = self
                .vouched
                .fetch_update(Relaxed, Relaxed, |vouched| vouched.checked_sub(1));
        }
    }

    /// A probe was answered while `out` requests were not.
    pub(super) fn vouch(&self, out: u64) {
        self.vouched.store(out, Relaxed);
    }

    /// What is known of a party at which `out` requests are out.
    pub(super) fn seen(&self, out: u64, awake_since: Tick) -> Seen {
        Seen {
            out: out.saturating_sub(self.vouched.load(Relaxed)),
            enough_since: Tick(self.enough_since.load(Relaxed)),
            last_byte: self.last_byte(),
            awake_since,
        }
    }
}

/// What is known about a party at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Requests out that no probe has spoken for.
    pub out: u64,
    /// Since when at least as many as needed are out.
    pub enough_since: Tick,
    /// When the last byte came.
    pub last_byte: Tick,
    /// Since when the gateway has been awake without a pause.
    pub awake_since: Tick,
}

/// Whether the party is silent at `now`.
pub fn silent(seen: &Seen, needed: u64, patience: Duration, now: Tick) -> bool {
    let quiet_since = seen.enough_since.max(seen.last_byte).max(seen.awake_since);
    seen.out >= needed && now.since(quiet_since) >= patience
}

/// `T` for a party with this estimate of its slowest ordinary answers.
pub fn patience(estimate: Option<Duration>) -> Duration {
    match estimate {
        Some(slowest) => (4 * slowest).max(PATIENCE_MIN),
        None => PATIENCE_UNKNOWN,
    }
}
