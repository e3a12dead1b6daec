//! How long a healed cluster took to get its share of the traffic back.

use std::time::Duration;

use super::tally::{SLOT, Tally};

/// A share is judged over so much time: 100 requests at 200 a second.
const WINDOW: Duration = Duration::from_millis(500);

/// Of the share before the fault, so much counts as back.
const BACK: f64 = 0.8;

/// From `heal` to the end of the first half second in which `cluster` served at least 80 % of the share
/// it had before `fault`. `None` when it served nothing before, or did not come back until `end`.
pub(crate) fn share_back(
    tally: &Tally,
    cluster: &str,
    fault: Duration,
    heal: Duration,
    end: Duration,
) -> Option<Duration> {
    let before = share(tally, cluster, Duration::ZERO, fault).filter(|share| *share > 0.0)?;
    let mut from = heal;
    while from + WINDOW <= end {
        let to = from + WINDOW;
        if share(tally, cluster, from, to).is_some_and(|share| share >= before * BACK) {
            return Some(to - heal);
        }
        from += SLOT;
    }
    None
}

/// The part of all answers in `from..to` that `cluster` gave; `None` without answers.
pub(crate) fn share(tally: &Tally, cluster: &str, from: Duration, to: Duration) -> Option<f64> {
    let (mut own, mut all) = (0_u32, 0_u32);
    for slot in tally.between(from, to) {
        own += slot.served.get(cluster).copied().unwrap_or(0);
        all += slot.served.values().sum::<u32>();
    }
    (all > 0).then(|| f64::from(own) / f64::from(all))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// Ten answers in each slot of `seconds`, of which `az1` gives `az1(second)`.
    fn timeline(seconds: u64, az1: impl Fn(u64) -> u32) -> Tally {
        let start = Instant::now();
        let mut tally = Tally::new(start);
        for slot in 0..seconds * 10 {
            let at = start + Duration::from_millis(slot * 100 + 50);
            for n in 0..10 {
                let cluster = if n < az1(slot / 10) { "az1" } else { "az2" };
                tally.record(at, at, at, Ok(cluster.to_owned()));
            }
        }
        tally
    }

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn a_cluster_is_back_when_it_serves_four_fifths_of_what_it_did() {
        let tally = timeline(10, |second| {
            [5, 5, 5, 0, 0, 0, 1, 4, 5, 5][usize::try_from(second).expect("small")]
        });
        let back = share_back(&tally, "az1", S(3), S(5), S(10));
        assert_eq!(back, Some(Duration::from_millis(2_500)));
    }

    #[test]
    fn null_when_it_never_came_back_or_never_served() {
        let tally = timeline(6, |second| if second < 2 { 5 } else { 1 });
        assert_eq!(share_back(&tally, "az1", S(2), S(3), S(6)), None);
        assert_eq!(share_back(&tally, "az3", S(2), S(3), S(6)), None);
        assert_eq!(share_back(&tally, "az1", S(0), S(3), S(6)), None);
    }
}
