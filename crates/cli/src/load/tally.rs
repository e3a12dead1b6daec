//! What came of the requests: counters, latencies and a timeline of who served.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::histogram::Histogram;

/// Width of a slot of the timeline.
pub(crate) const SLOT: Duration = Duration::from_millis(100);

/// Slots kept: one hour. An endless demo must not grow; a share is never judged over more.
const SLOTS_MAX: usize = 36_000;

/// Failures kept with their reasons. More of them say nothing new.
const FAILURES_MAX: usize = 20;

/// Answers without a cluster in them count under this name.
pub(crate) const UNKNOWN_CLUSTER: &str = "unknown";

/// One request that did not get a 2xx answer in time.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Failure {
    /// When it was due, in milliseconds from the start.
    pub(crate) at_ms: u64,
    /// How long it took to fail, from when it was due.
    pub(crate) after_ms: u64,
    /// What happened.
    pub(crate) reason: String,
}

/// Who served in 100 ms.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slot {
    /// Answers by cluster.
    pub(crate) served: BTreeMap<String, u32>,
    /// Requests that failed.
    pub(crate) failed: u32,
}

/// All figures of a run.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    started: Instant,
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    pub(crate) over_100ms: u64,
    pub(crate) over_1s: u64,
    pub(crate) latency: Histogram,
    /// From when requests were due to when they were handed to the network: the generator's own fault.
    pub(crate) lateness: Histogram,
    pub(crate) per_cluster: BTreeMap<String, u64>,
    pub(crate) failures: Vec<Failure>,
    slots: VecDeque<Slot>,
    /// Number of the first slot kept.
    first_slot: usize,
}

impl Tally {
    pub(crate) fn new(started: Instant) -> Self {
        Self {
            started,
            requests: 0,
            failed: 0,
            over_100ms: 0,
            over_1s: 0,
            latency: Histogram::default(),
            lateness: Histogram::default(),
            per_cluster: BTreeMap::new(),
            failures: Vec::new(),
            slots: VecDeque::new(),
            first_slot: 0,
        }
    }

    /// When the first request was due.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Records one finished request: due at `due`, handed over at `sent`, done at `done`; `result` is
    /// the cluster that served it or the reason why none did.
    pub(crate) fn record(
        &mut self,
        due: Instant,
        sent: Instant,
        done: Instant,
        result: Result<String, String>,
    ) {
        let latency = done.saturating_duration_since(due);
        self.requests += 1;
        self.over_100ms += u64::from(latency > Duration::from_millis(100));
        self.over_1s += u64::from(latency > Duration::from_secs(1));
        self.latency.record(latency);
        self.lateness.record(sent.saturating_duration_since(due));
        let at = done.saturating_duration_since(self.started);
        match result {
            Ok(cluster) => {
                *self.per_cluster.entry(cluster.clone()).or_default() += 1;
                if let Some(slot) = self.slot(at) {
                    *slot.served.entry(cluster).or_default() += 1;
                }
            }
            Err(reason) => {
                self.failed += 1;
                if self.failures.len() < FAILURES_MAX {
                    self.failures.push(Failure {
                        at_ms: millis(due.saturating_duration_since(self.started)),
                        after_ms: millis(latency),
                        reason,
                    });
                }
                if let Some(slot) = self.slot(at) {
                    slot.failed += 1;
                }
            }
        }
    }

    /// The slots that lie wholly in `from..to`, counted from the start.
    pub(crate) fn between(&self, from: Duration, to: Duration) -> impl Iterator<Item = &Slot> {
        let first = slot_number(from + SLOT - Duration::from_nanos(1)).max(self.first_slot);
        let end = slot_number(to).max(first);
        self.slots
            .iter()
            .skip(first - self.first_slot)
            .take(end - first)
    }

    fn slot(&mut self, at: Duration) -> Option<&mut Slot> {
        let number = slot_number(at);
        let index = number.checked_sub(self.first_slot)?;
        while self.slots.len() <= index {
            self.slots.push_back(Slot::default());
        }
        while self.slots.len() > SLOTS_MAX {
            self.slots.pop_front();
            self.first_slot += 1;
        }
        self.slots.get_mut(number - self.first_slot)
    }
}

fn slot_number(at: Duration) -> usize {
    usize::try_from(at.as_millis() / SLOT.as_millis()).unwrap_or(usize::MAX)
}

/// Whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_counts_from_when_a_request_was_due() {
        let start = Instant::now();
        let ms = |n| start + Duration::from_millis(n);
        let mut tally = Tally::new(start);
        tally.record(ms(0), ms(1), ms(3), Ok("az1".to_owned()));
        tally.record(ms(5), ms(200), ms(205), Ok("az2".to_owned()));
        tally.record(ms(10), ms(10), ms(2_000), Err("status 503".to_owned()));
        assert_eq!((tally.requests, tally.failed), (3, 1));
        assert_eq!((tally.over_100ms, tally.over_1s), (2, 1));
        assert_eq!(tally.latency.worst(), Duration::from_millis(1_990));
        assert_eq!(tally.lateness.worst(), Duration::from_millis(195));
        assert_eq!(tally.failures[0].at_ms, 10);
        assert_eq!(tally.failures[0].reason, "status 503");
    }

    #[test]
    fn the_timeline_forgets_its_oldest_end() {
        let start = Instant::now();
        let mut tally = Tally::new(start);
        let hour = SLOT * u32::try_from(SLOTS_MAX).expect("fits");
        for at in [Duration::ZERO, hour + SLOT] {
            tally.record(start + at, start + at, start + at, Ok("az1".to_owned()));
        }
        assert_eq!(tally.slots.len(), SLOTS_MAX);
        assert_eq!(tally.between(Duration::ZERO, SLOT).count(), 0);
        assert_eq!(tally.between(hour + SLOT, hour + SLOT * 2).count(), 1);
        // Later than the forgotten end, an answer is still counted, but no longer placed.
        tally.record(start, start, start, Ok("az1".to_owned()));
        assert_eq!(tally.requests, 3);
    }
}
