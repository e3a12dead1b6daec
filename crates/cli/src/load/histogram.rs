//! Latencies in constant memory: log-linear buckets, at most 1/64 wide relative to their value.

use std::time::Duration;

/// Buckets per doubling. 64 keep a quantile within 1.6 % of the true value.
const PER_DOUBLING: u64 = 64;
const BITS: u32 = PER_DOUBLING.trailing_zeros();

/// Counts of durations, in microseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    worst: Duration,
}

impl Histogram {
    /// Adds one.
    pub(crate) fn record(&mut self, value: Duration) {
        let index = index(u64::try_from(value.as_micros()).unwrap_or(u64::MAX));
        if self.counts.len() <= index {
            self.counts.resize(index + 1, 0);
        }
        self.counts[index] += 1;
        self.total += 1;
        self.worst = self.worst.max(value);
    }

    /// The largest, exact.
    pub(crate) fn worst(&self) -> Duration {
        self.worst
    }

    /// The value that `percent` of all stay at or below; zero when there are none.
    pub(crate) fn percentile(&self, percent: f64) -> Duration {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank needs no more precision than the buckets have"
        )]
        let rank = ((self.total as f64 * percent / 100.0).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_micros(upper_bound(index)).min(self.worst);
            }
        }
        self.worst
    }
}

/// Values below 64 have a bucket each; above, the 6 bits after the leading one choose it.
fn index(micros: u64) -> usize {
    let index = if micros < PER_DOUBLING {
        micros
    } else {
        let shift = micros.ilog2() - BITS;
        u64::from(shift + 1) * PER_DOUBLING + ((micros >> shift) - PER_DOUBLING)
    };
    usize::try_from(index).expect("at most 59 doublings of 64 buckets")
}

fn upper_bound(index: usize) -> u64 {
    let index = index as u64;
    let (doubling, offset) = (index / PER_DOUBLING, index % PER_DOUBLING);
    match doubling {
        0 => offset,
        _ => ((PER_DOUBLING + offset + 1) << (doubling - 1)) - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket_and_buckets_are_narrow() {
        for micros in (0..5_000).chain([63, 64, 127, 128, 1 << 20, (1 << 33) + 7, 10_000_000]) {
            let bound = upper_bound(index(micros));
            assert!(bound >= micros, "{micros} above its bucket's end {bound}");
            assert!(
                bound - micros <= micros / PER_DOUBLING,
                "{micros} in a bucket up to {bound}"
            );
        }
    }

    #[test]
    fn percentiles_of_a_known_set() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile(99.0), Duration::ZERO);
        for ms in 1..=100 {
            histogram.record(Duration::from_millis(ms));
        }
        let close = |value: Duration, ms: f64| {
            let got = value.as_secs_f64() * 1e3;
            assert!((got - ms).abs() <= ms / 60.0, "{got} is not near {ms}");
        };
        close(histogram.percentile(50.0), 50.0);
        close(histogram.percentile(99.0), 99.0);
        assert_eq!(histogram.percentile(100.0), Duration::from_millis(100));
        assert_eq!(histogram.worst(), Duration::from_millis(100));
    }
}
