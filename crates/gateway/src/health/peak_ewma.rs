//! How long an endpoint has made requests wait lately.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tidegate_runtime::Tick;

/// The time in which what is known loses about two thirds of its weight.
const DECAY: Duration = Duration::from_secs(10);

/// A moving average of times to the first byte in which a slower one counts at once and a faster one by and by.
///
/// Read a while later it has sunk: an endpoint that was slow is asked again some time. Racing updates may lose
/// a sample, never the average.
#[derive(Debug, Default)]
pub(super) struct PeakEwma {
    nanos: AtomicU64,
    seen: AtomicU64,
}

impl PeakEwma {
    /// Takes a time to the first byte into account.
    pub(super) fn add(&self, sample: Duration, now: Tick) {
        let sample = sample.as_nanos() as f64;
        let before = self.nanos.load(Relaxed) as f64;
        let new = match sample >= before {
            true => sample,
            false => {
                let keeps = self.weight(now);
                before * keeps + sample * (1.0 - keeps)
            }
        };
        self.nanos.store(new as u64, Relaxed);
        self.seen.store(now.0, Relaxed);
    }

    /// The average at `now`, in nanoseconds; 0 if there were no samples.
    pub(super) fn nanos(&self, now: Tick) -> f64 {
        match self.nanos.load(Relaxed) {
            0 => 0.0,
            nanos => nanos as f64 * self.weight(now),
        }
    }

    /// What the past counts at `now`.
    fn weight(&self, now: Tick) -> f64 {
        let age = now.since(Tick(self.seen.load(Relaxed)));
        (-age.as_secs_f64() / DECAY.as_secs_f64()).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_counts_at_once_and_is_forgotten_by_and_by() {
        let average = PeakEwma::default();
        let start = Tick::NEVER + Duration::from_secs(1);
        let ms = |now: Tick| average.nanos(now) / 1e6;
        assert_eq!(ms(start), 0.0);
        average.add(Duration::from_millis(10), start);
        average.add(Duration::from_millis(100), start);
        assert_eq!(ms(start), 100.0);
        // One fast answer at once after says little.
        average.add(
            Duration::from_millis(10),
            start + Duration::from_millis(100),
        );
        let soon = start + Duration::from_millis(100);
        assert!((98.0..100.0).contains(&ms(soon)), "{}", ms(soon));
        // Nothing was heard for the time of decay.
        let later = soon + DECAY;
        assert!((36.0..37.0).contains(&ms(later)), "{}", ms(later));
        average.add(Duration::from_millis(10), later + DECAY);
        assert!(ms(later + DECAY) < 25.0);
    }
}
