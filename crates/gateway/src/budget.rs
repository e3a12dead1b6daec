//! How much may be sent twice.
//!
//! Every request deposits a part of a retry, and a few a second are free, so that quiet services can retry at
//! all; a retry or hedge withdraws one. Deposits are forgotten after [`WINDOW`], so that a long calm does not
//! pay for a storm. Finagle's `RetryBudget` has the same rule.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tidegate_model::RetrySettings;
use tidegate_runtime::Tick;

/// How long a deposit can be used.
pub const WINDOW: Duration = Duration::from_secs(10);

const SLOTS: usize = 10;
/// Amounts are counted in hundredths of a retry, because the deposit is a percentage.
const ONE: i64 = 100;

/// A budget shared by all workers. Lock-free; racing calls at the border of a second may misplace a few
/// hundredths, never create a retry a second time.
#[derive(Debug, Default)]
pub struct RetryBudget {
    slots: [Slot; SLOTS],
}

/// Deposits less withdrawals of one second.
#[derive(Debug, Default)]
struct Slot {
    /// Its number since the start of the clock, plus one.
    second: AtomicU64,
    balance: AtomicI64,
}

impl RetryBudget {
    /// Empty, but for what is free each second.
    pub fn new() -> Self {
        Self::default()
    }

    /// A request came in.
    pub fn deposit(&self, settings: &RetrySettings, now: Tick) {
        let amount = i64::from(settings.budget_percent);
        self.slot(now).balance.fetch_add(amount, Relaxed);
    }

    /// Takes one retry; `false` when there is none left, and then nothing is taken.
    pub fn try_withdraw(&self, settings: &RetrySettings, now: Tick) -> bool {
        let slot = self.slot(now);
        slot.balance.fetch_sub(ONE, Relaxed);
        if self.balance(settings, now) >= 0 {
            return true;
        }
        slot.balance.fetch_add(ONE, Relaxed);
        false
    }

    /// Hundredths of a retry that are left.
    fn balance(&self, settings: &RetrySettings, now: Tick) -> i64 {
        let second = second(now);
        let live = self
            .slots
            .iter()
            .filter(|slot| second - slot.second.load(Relaxed).min(second) < SLOTS as u64);
        let deposits: i64 = live.map(|slot| slot.balance.load(Relaxed)).sum();
        let free = i64::from(settings.budget_per_second) * SLOTS as i64 * ONE;
        deposits.saturating_add(free)
    }

    fn slot(&self, now: Tick) -> &Slot {
        let second = second(now);
        let slot = &self.slots[usize::try_from(second).unwrap_or(0) % SLOTS];
        let seen = slot.second.load(Relaxed);
        if seen < second
            && slot
                .second
                .compare_exchange(seen, second, Relaxed, Relaxed)
                .is_ok()
        {
            slot.balance.store(0, Relaxed);
        }
        slot
    }
}

fn second(now: Tick) -> u64 {
    now.since(Tick::NEVER).as_secs() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Tick {
        Tick::NEVER + Duration::from_millis(millis)
    }

    #[test]
    fn retries_are_a_part_of_requests_beside_a_floor() {
        let settings = RetrySettings::default();
        let budget = RetryBudget::new();
        let mut sent = 0;
        let (mut retried, requests) = (0, 20_000);
        for i in 0..requests {
            // 1000 a second; every attempt fails, each request would like three more.
            let now = at(i);
            budget.deposit(&settings, now);
            sent += 1;
            for _ in 0..3 {
                if budget.try_withdraw(&settings, now) {
                    sent += 1;
                    retried += 1;
                }
            }
        }
        // 20 % and 10 a second over 20 s, and the free part of the first window at once.
        let floor = 10 * (20 + 10);
        assert!(sent <= requests + requests / 5 + floor, "{sent}");
        assert!(retried >= requests / 5, "{retried}");
    }

    #[test]
    fn a_calm_past_is_forgotten() {
        let settings = RetrySettings {
            max: 3,
            budget_percent: 20,
            budget_per_second: 0,
        };
        let budget = RetryBudget::new();
        (0..1000).for_each(|_| budget.deposit(&settings, at(500)));
        assert!(budget.try_withdraw(&settings, at(9_000)));
        assert!(!budget.try_withdraw(&settings, at(12_000)));
    }
}
