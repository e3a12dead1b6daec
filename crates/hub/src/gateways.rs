//! How many gateways share the limits of all together.

use std::collections::HashMap;
use std::time::Duration;
use tidegate_feed::ReceiverStatus;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A gateway that has been away for less long is on its way back, and its part stays its own.
const AWAY: Duration = Duration::from_secs(30);
/// How often those who are away are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// When each gateway was there last.
#[derive(Default)]
struct Gateways {
    seen: HashMap<String, Instant>,
}

impl Gateways {
    /// How many there are, at least one. A hub that has just begun knows of none but those that have come.
    fn count(&mut self, receivers: &[ReceiverStatus], now: Instant) -> u32 {
        for receiver in receivers.iter().filter(|receiver| receiver.connected) {
            self.seen.insert(receiver.name.clone(), now);
        }
        self.seen
            .retain(|_, last| now.saturating_duration_since(*last) < AWAY);
        u32::try_from(self.seen.len()).unwrap_or(u32::MAX).max(1)
    }
}

/// Tells how many there are, whenever that changes, until `shutdown`.
pub(crate) fn follow(
    mut receivers: watch::Receiver<Vec<ReceiverStatus>>,
    shutdown: CancellationToken,
) -> watch::Receiver<u32> {
    let mut gateways = Gateways::default();
    let (told, count) = watch::channel(1);
    tokio::spawn(async move {
        loop {
            let now = gateways.count(&receivers.borrow_and_update(), Instant::now());
            told.send_if_modified(|count| std::mem::replace(count, now) != now);
            tokio::select! {
                () = shutdown.cancelled() => return,
                changed = receivers.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    });
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(names: &[&str]) -> Vec<ReceiverStatus> {
        let receiver = |name: &&str| ReceiverStatus {
            name: (*name).to_owned(),
            connected: true,
            ..ReceiverStatus::default()
        };
        names.iter().map(receiver).collect()
    }

    #[test]
    fn a_gateway_that_is_away_for_a_moment_counts_on() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut gateways = Gateways::default();
        assert_eq!(gateways.count(&[], at(0)), 1);
        assert_eq!(gateways.count(&there(&["a"]), at(0)), 1);
        assert_eq!(gateways.count(&there(&["a", "b"]), at(1)), 2);
        let mut one_away = there(&["a", "b"]);
        one_away[1].connected = false;
        assert_eq!(gateways.count(&one_away, at(30)), 2);
        assert_eq!(gateways.count(&one_away, at(31)), 1);
        assert_eq!(gateways.count(&[], at(100)), 1);
    }
}
