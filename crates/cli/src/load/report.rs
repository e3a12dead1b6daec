//! The figures as one JSON object, for scripts.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::share::share_back;
use super::tally::{Failure, Tally, millis};

/// Above this, the generator and not the gateway made requests late: 99 % must leave within it.
const LATENESS_P99_MAX: Duration = Duration::from_millis(100);

/// A fault and its end, counted from the first request.
#[derive(Clone, Debug)]
pub(crate) struct FaultWindow {
    /// The cluster it hit.
    pub(crate) cluster: String,
    /// When it was in effect.
    pub(crate) fault: Duration,
    /// When it was taken back.
    pub(crate) heal: Duration,
}

/// What a run measured. Other people's scripts read it: fields are added, never renamed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// Requests sent.
    requests: u64,
    /// Of these, without a 2xx answer within ten seconds.
    failed: u64,
    /// Answered, or failed, more than 100 ms after they were due.
    over_100ms: u64,
    /// The same for one second.
    over_1s: u64,
    worst_ms: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// Answers by the cluster that gave them.
    per_cluster: BTreeMap<String, u64>,
    /// From healing to 80 % of the share before the fault; null without both, or when it never came.
    share_back_ms: Option<u64>,
    rate: u32,
    duration_s: f64,
    /// How late the generator itself was at the worst and for 99 %.
    generator_late_worst_ms: f64,
    generator_late_p99_ms: f64,
    /// The first failures with their reasons.
    first_failures: Vec<Failure>,
}

impl Report {
    /// Sums up `tally`, of a run at `rate` that lasted `duration`.
    pub(crate) fn new(
        tally: &Tally,
        rate: u32,
        duration: Duration,
        fault: Option<&FaultWindow>,
    ) -> Self {
        let back = fault
            .and_then(|f| share_back(tally, &f.cluster, f.fault, f.heal, duration))
            .map(millis);
        Self {
            requests: tally.requests,
            failed: tally.failed,
            over_100ms: tally.over_100ms,
            over_1s: tally.over_1s,
            worst_ms: fractional_millis(tally.latency.worst()),
            p50_ms: fractional_millis(tally.latency.percentile(50.0)),
            p99_ms: fractional_millis(tally.latency.percentile(99.0)),
            per_cluster: tally.per_cluster.clone(),
            share_back_ms: back,
            rate,
            duration_s: duration.as_secs_f64(),
            generator_late_worst_ms: fractional_millis(tally.lateness.worst()),
            generator_late_p99_ms: fractional_millis(tally.lateness.percentile(99.0)),
            first_failures: tally.failures.clone(),
        }
    }

    /// The figures in a sentence.
    pub(crate) fn in_words(&self) -> String {
        let clusters: Vec<String> = self
            .per_cluster
            .iter()
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        format!(
            "{} requests in {:.1} s, {} failed, {} over 100 ms, worst {:.1} ms; served by {}",
            self.requests,
            self.duration_s,
            self.failed,
            self.over_100ms,
            self.worst_ms,
            clusters.join(", ")
        )
    }

    /// Why the figures must not be trusted: this machine did not send the load that was asked for.
    pub(crate) fn load_not_kept_up(&self) -> Option<String> {
        (self.generator_late_p99_ms > fractional_millis(LATENESS_P99_MAX)).then(|| {
            format!(
                "the load generator could not keep up: 1 % of the requests left {:.0} ms late or more; \
                 lower --rate or free this machine",
                self.generator_late_p99_ms
            )
        })
    }
}

/// Milliseconds with two decimals.
pub(crate) fn fractional_millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn scripts_find_the_promised_fields() {
        let start = Instant::now();
        let mut tally = Tally::new(start);
        let done = start + Duration::from_micros(1_234);
        tally.record(start, start, done, Ok("az1".to_owned()));
        let report = Report::new(&tally, 200, Duration::from_secs(1), None);
        let json = serde_json::to_value(&report).expect("plain values");
        for field in [
            "requests",
            "failed",
            "over_100ms",
            "over_1s",
            "worst_ms",
            "p50_ms",
            "p99_ms",
            "per_cluster",
            "share_back_ms",
        ] {
            assert!(json.get(field).is_some(), "{field} is missing in {json}");
        }
        assert_eq!(json["worst_ms"], 1.23);
        assert_eq!(json["per_cluster"]["az1"], 1);
        assert!(json["share_back_ms"].is_null());
        assert!(report.load_not_kept_up().is_none());
    }
}
