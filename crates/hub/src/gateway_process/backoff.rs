//! How long to wait before a process that ended is started again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// A process that lived so long is not counted as one that cannot run.
const HEALTHY_LIFE: Duration = Duration::from_secs(60);

/// Doubles with every short life.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    last: Option<Duration>,
}

impl Backoff {
    /// The wait after a process that lived for `life`.
    pub(super) fn after(&mut self, life: Duration) -> Duration {
        let wait = match self.last {
            Some(last) if life < HEALTHY_LIFE => (last * 2).min(LONGEST),
            _ => FIRST,
        };
        self.last = Some(wait);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_seconds_and_begin_anew_after_a_long_life() {
        let mut backoff = Backoff::default();
        let mut wait = |life| backoff.after(Duration::from_secs(life)).as_millis();
        let waits: Vec<u128> = [0, 0, 59, 1, 1, 1, 1, 1, 60, 1]
            .into_iter()
            .map(&mut wait)
            .collect();
        assert_eq!(
            waits,
            [100, 200, 400, 800, 1600, 3200, 5000, 5000, 100, 200]
        );
    }
}
