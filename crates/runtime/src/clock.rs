//! Monotonic time as a plain number, so that decisions can take it as an argument.

use std::ops::Add;
use std::time::{Duration, Instant};

/// A point in time: nanoseconds since shortly before the [`Clock`] started.
///
/// `Tick::NEVER` (zero) is earlier than anything a clock says, so a zero in an atomic can mean "not yet".
/// Never affected by changes of the wall clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(pub u64);

/// Where ticks come from. Copies count from the same start.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts now. A process has one; its copies go to whoever needs the time.
    #[must_use]
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// The present time, at least `Tick(1)`.
    #[must_use]
    pub fn now(&self) -> Tick {
        self.tick(Instant::now())
    }

    /// The tick of an instant; one before the start of the clock counts as the start.
    #[must_use]
    pub fn tick(&self, instant: Instant) -> Tick {
        let since = instant.saturating_duration_since(self.start);
        Tick(1 + nanos(since))
    }
}

impl Tick {
    /// Earlier than any time a clock says.
    pub const NEVER: Self = Self(0);
    /// Later than any time a clock says.
    pub const END: Self = Self(u64::MAX);

    /// The time from `earlier` to this tick; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Whether this is a time at all, not [`Tick::NEVER`].
    #[must_use]
    pub fn happened(self) -> bool {
        self != Self::NEVER
    }
}

impl Add<Duration> for Tick {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_count_from_the_start_and_saturate() {
        let clock = Clock::start();
        assert!(clock.now() > Tick::NEVER);
        assert_eq!(
            clock.tick(clock.start + Duration::from_micros(5)),
            Tick(5001)
        );
        assert_eq!(clock.tick(clock.start - Duration::from_secs(1)), Tick(1));
        assert_eq!(Tick(5).since(Tick(9)), Duration::ZERO);
        assert_eq!(Tick(5) + Duration::MAX, Tick::END);
    }
}
