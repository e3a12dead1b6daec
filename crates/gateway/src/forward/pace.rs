//! How fast the body of an answer goes, where its route says it.

use std::time::Duration;
use tidegate_model::Pace as Rule;
use tidegate_runtime::Tick;

/// The pace of one answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    rule: Rule,
    begun: Tick,
}

/// Less than what goes in this time is not worth waking up for.
const STEP: Duration = Duration::from_millis(50);

impl Pace {
    pub(super) fn begin(rule: Rule, now: Tick) -> Self {
        Self { rule, begun: now }
    }

    /// So many bytes of the body may have been sent by `now`; what goes in a second may go at once.
    pub(super) fn allowed(&self, now: Tick) -> u64 {
        let rate = u128::from(self.rule.bytes_per_second);
        let passed = now.0.saturating_sub(self.begun.0);
        let earned = rate + rate * u128::from(passed) / 1_000_000_000;
        u64::try_from(earned)
            .unwrap_or(u64::MAX)
            .saturating_add(self.rule.after)
    }

    /// When enough more may be sent after `sent` bytes, of which no more are allowed now.
    pub(super) fn resumes(&self, sent: u64, now: Tick) -> Tick {
        let rate = u128::from(self.rule.bytes_per_second.max(1));
        let missing = u128::from(sent.saturating_sub(self.allowed(now)) + 1);
        let wait = missing * 1_000_000_000 / rate;
        let wait = Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX));
        now + wait.max(STEP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_sent_grows_with_time_from_a_second_s_worth() {
        let rule = Rule {
            bytes_per_second: 1000,
            after: 5000,
        };
        let start = Tick::NEVER + Duration::from_secs(7);
        let pace = Pace::begin(rule, start);
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(pace.allowed(start), 6000);
        assert_eq!(pace.allowed(at(500)), 6500);
        assert_eq!(pace.allowed(at(10_000)), 16_000);
        // A clock that jumps back gives nothing and takes nothing.
        assert_eq!(pace.allowed(Tick::NEVER), 6000);
        assert_eq!(pace.resumes(6000, start), at(50));
        assert_eq!(pace.resumes(6999, start), at(1000));
    }

    #[test]
    fn the_slowest_and_the_fastest_pace_are_no_special_cases() {
        let of = |bytes_per_second, after| {
            let rule = Rule {
                bytes_per_second,
                after,
            };
            Pace::begin(rule, Tick::NEVER)
        };
        let late = Tick::NEVER + Duration::from_secs(1 << 33);
        assert_eq!(of(u64::MAX, u64::MAX).allowed(late), u64::MAX);
        assert_eq!(of(1, 0).allowed(Tick::NEVER), 1);
        assert!(of(1, 0).resumes(u64::MAX - 1, Tick::NEVER) > late);
    }
}
