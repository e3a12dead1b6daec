//! Exponential back-off as a function, and the entropy that spreads it.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Doubles from `base` up to `cap`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    pub(crate) base: Duration,
    pub(crate) cap: Duration,
}

impl Backoff {
    /// The delay after the `failures`-th failure in a row (1 is the first).
    pub(crate) fn delay(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(30);
        self.base.saturating_mul(1 << doublings).min(self.cap)
    }

    /// As [`Backoff::delay`], less up to a quarter: `jitter` in `0.0..1.0` picks how much.
    pub(crate) fn jittered(self, failures: u32, jitter: f64) -> Duration {
        self.delay(failures)
            .mul_f64(1.0 - 0.25 * jitter.clamp(0.0, 1.0))
    }
}

/// A number in `0.0..1.0`, good enough to keep retries from marching in step.
pub(crate) fn jitter() -> f64 {
    let bits = RandomState::new().hash_one(0u8) >> 11;
    bits as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BACKOFF: Backoff = Backoff {
        base: Duration::from_secs(1),
        cap: Duration::from_secs(60),
    };

    #[test]
    fn doubles_to_its_cap() {
        let delays: Vec<u64> = (1..=8).map(|n| BACKOFF.delay(n).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    proptest! {
        #[test]
        fn stays_within_bounds(failures in 0u32.., jitter in 0.0f64..1.0) {
            let delay = BACKOFF.jittered(failures, jitter);
            prop_assert!(delay <= BACKOFF.cap);
            prop_assert!(delay >= BACKOFF.base.mul_f64(0.75));
            prop_assert!(BACKOFF.delay(failures) <= BACKOFF.delay(failures.saturating_add(1)));
        }
    }
}
