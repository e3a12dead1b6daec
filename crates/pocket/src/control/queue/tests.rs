use proptest::prelude::*;

use super::*;

#[test]
fn a_key_added_while_running_runs_once_more() {
    let now = Instant::now();
    let mut state = QueueState::default();
    state.add('a');
    state.add('a');
    assert_eq!(state.next(now), Some('a'));
    state.add('a');
    state.add('a');
    assert_eq!(state.next(now), None, "never twice at the same time");
    state.succeeded('a', Outcome::Settled, now);
    assert_eq!(state.next(now), Some('a'));
    state.succeeded('a', Outcome::Settled, now);
    assert_eq!(state.next(now), None);
}

#[test]
fn a_failure_waits_longer_each_time_and_never_stops_the_others() {
    let now = Instant::now();
    let mut state = QueueState::default();
    state.add('a');
    let mut waits = Vec::new();
    let mut at = now;
    for _ in 0..4 {
        assert_eq!(state.next(at), Some('a'));
        state.failed('a', at, 0.0);
        state.add('b');
        assert_eq!(state.next(at), Some('b'));
        state.succeeded('b', Outcome::Settled, at);
        let next = state.deadline().expect("deadline");
        waits.push(next - at);
        at = next;
    }
    assert!(waits.windows(2).all(|w| w[0] < w[1]), "{waits:?}");
    assert_eq!(state.next(at), Some('a'));
    state.succeeded('a', Outcome::Settled, at);
    assert!(state.failures.is_empty() && state.deadline().is_none());
}

#[test]
fn a_later_pass_comes_due() {
    let now = Instant::now();
    let mut state = QueueState::default();
    state.add('a');
    state.next(now);
    state.succeeded('a', Outcome::After(Duration::from_secs(1)), now);
    assert_eq!(state.next(now), None);
    assert_eq!(state.next(now + Duration::from_secs(1)), Some('a'));
}

proptest! {
    /// Whatever happens, an added key is passed over after its last addition, and never twice at once.
    #[test]
    fn no_addition_is_lost(steps in proptest::collection::vec((0u8..4, 0u8..5), 1..200)) {
        let mut now = Instant::now();
        let mut state: QueueState<u8> = QueueState::default();
        let mut running = HashSet::new();
        let mut owed = HashSet::new();
        for (action, key) in steps {
            match action {
                0 => { state.add(key); owed.insert(key); }
                1 => if let Some(key) = state.next(now) { prop_assert!(running.insert(key)); owed.remove(&key); },
                2 => if running.remove(&key) { state.succeeded(key, Outcome::Settled, now); },
                _ => if running.remove(&key) { state.failed(key, now, 0.5); owed.insert(key); },
            }
        }
        for key in running.drain() { state.succeeded(key, Outcome::Settled, now); }
        now += Duration::from_secs(60);
        while let Some(key) = state.next(now) {
            owed.remove(&key);
            state.succeeded(key, Outcome::Settled, now);
        }
        prop_assert!(owed.is_empty(), "{owed:?}");
    }
}
