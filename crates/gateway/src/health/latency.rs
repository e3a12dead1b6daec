//! How long the slowest ordinary answers take.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Answers before an estimate is worth anything.
const ENOUGH: u32 = 8;

/// A running estimate near the 99th percentile of recent times to the first byte.
///
/// A slower sample pulls the estimate up by a quarter of the difference, a faster one lets it sink by 1/400:
/// the two are in balance when about one sample in a hundred lies above. It leans to the high side, which
/// for judging silence is the safe one. Racing updates may lose a sample, never the estimate.
#[derive(Debug, Default)]
pub struct LatencyEstimate {
    nanos: AtomicU64,
    samples: AtomicU32,
}

impl LatencyEstimate {
    /// Takes a time to the first byte into account.
    pub fn add(&self, sample: Duration) {
        let sample = u64::try_from(sample.as_nanos()).unwrap_or(u64::MAX);
        let seen = self.samples.load(Relaxed);
        if seen < ENOUGH {
            self.samples.store(seen + 1, Relaxed);
        }
        let old = self.nanos.load(Relaxed);
        let new = if old == 0 {
            sample
        } else if sample > old {
            old + (sample - old).div_ceil(4)
        } else if sample % 8 == 0 {
            // One in eight writes, with eight times the weight: the cache line stays with its readers.
            old - old / 50
        } else {
            return;
        };
        self.nanos.store(new, Relaxed);
    }

    /// The estimate, once there are enough samples.
    pub fn get(&self) -> Option<Duration> {
        (self.samples.load(Relaxed) >= ENOUGH)
            .then(|| Duration::from_nanos(self.nanos.load(Relaxed)))
    }
}
