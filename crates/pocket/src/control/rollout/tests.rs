use proptest::prelude::*;

use super::*;
// Named, because proptest has a `Strategy` too.
use super::Strategy;

fn rolling(max_surge: i32, max_unavailable: i32) -> Strategy {
    Strategy::Rolling {
        max_surge,
        max_unavailable,
    }
}

fn full(n: i32) -> SetSize {
    SetSize {
        spec: n,
        current: n,
        available: n,
    }
}

#[test]
fn percentages_round_as_kubernetes_does() {
    let spec = DeploymentSpec::default();
    assert_eq!(Strategy::of(&spec, 10), rolling(3, 2));
    assert_eq!(Strategy::of(&spec, 1), rolling(1, 0));
    assert_eq!(Strategy::of(&spec, 0), rolling(0, 1), "never both zero");
}

#[test]
fn a_rollout_surges_first() {
    let step = rolling(1, 0).next(3, SetSize::default(), &[full(3)]);
    assert_eq!(
        step,
        NextSizes {
            new: 1,
            old: vec![3]
        }
    );
    let step = rolling(1, 0).next(3, full(1), &[full(3)]);
    assert_eq!(
        step,
        NextSizes {
            new: 1,
            old: vec![2]
        }
    );
}

#[test]
fn broken_old_pods_go_before_working_ones() {
    let broken = SetSize {
        spec: 2,
        current: 2,
        available: 0,
    };
    let step = rolling(0, 2).next(4, SetSize::default(), &[full(2), broken]);
    assert_eq!(step.old, [2, 0]);
}

#[test]
fn recreate_waits_for_the_last_old_pod() {
    let leaving = SetSize {
        spec: 0,
        current: 1,
        available: 0,
    };
    assert_eq!(
        Strategy::Recreate
            .next(2, SetSize::default(), &[full(2)])
            .new,
        0
    );
    assert_eq!(
        Strategy::Recreate
            .next(2, SetSize::default(), &[leaving])
            .new,
        0
    );
    assert_eq!(
        Strategy::Recreate
            .next(2, SetSize::default(), &[full(0)])
            .new,
        2
    );
}

/// Pods of one replica set as they really are, which the reports lag behind.
#[derive(Debug, Clone, Default)]
struct Real {
    spec: i32,
    pods: i32,
    available: i32,
    reported: (i32, i32),
}

impl Real {
    fn size(&self) -> SetSize {
        SetSize {
            spec: self.spec,
            current: self.reported.0,
            available: self.reported.1,
        }
    }

    /// The replica set controller and the pods make some progress.
    fn progress(&mut self, step: u8) {
        match step % 4 {
            0 => {
                let unready = self.pods - self.available;
                let surplus = (self.pods - self.spec).max(0);
                let ready_gone = (surplus - unready).max(0);
                self.available -= ready_gone;
                self.pods = self.pods.min(self.spec);
            }
            1 => self.pods = self.pods.max(self.spec),
            2 => self.available = (self.available + 1).min(self.pods),
            _ => self.reported = (self.pods, self.available),
        }
    }
}

proptest! {
    /// From a healthy start no order of events takes more pods away, or asks for more, than the strategy allows,
    /// and the rollout ends.
    #[test]
    fn a_rollout_keeps_its_bounds_and_ends(
        replicas in 0i32..12,
        surge in 0i32..5,
        unavailable in 0i32..5,
        steps in proptest::collection::vec((0usize..3, any::<u8>()), 0..300),
    ) {
        prop_assume!(surge + unavailable > 0);
        let unavailable = unavailable.min(replicas.max(1));
        let strategy = rolling(surge, unavailable);
        let half = replicas / 2;
        let start = |n: i32| Real { spec: n, pods: n, available: n, reported: (n, n) };
        let mut sets = [Real::default(), start(half), start(replicas - half)];
        let ending = (0..400u32).map(|i| (usize::try_from(i % 3).expect("small"), u8::try_from(i / 3 % 4).expect("small")));
        for (which, step) in steps.into_iter().chain(ending) {
            sets[which].progress(step);
            let next = strategy.next(replicas, sets[0].size(), &[sets[1].size(), sets[2].size()]);
            sets[0].spec = next.new;
            sets[1].spec = next.old[0];
            sets[2].spec = next.old[1];
            let asked: i32 = sets.iter().map(|s| s.spec).sum();
            prop_assert!(asked <= replicas + surge, "asked for {asked}");
            // What would be left if every requested removal happened now, sparing what works.
            let available: i32 = sets.iter().map(|s| s.available.min(s.spec)).sum();
            prop_assert!(available >= replicas - unavailable, "{available} of {replicas} would be left: {sets:?}");
        }
        prop_assert_eq!((sets[0].spec, sets[1].spec, sets[2].spec), (replicas, 0, 0));
    }

    #[test]
    fn sizes_are_never_negative(replicas in 0i32..20, surge in 0i32..5, unavailable in 0i32..5, sizes in proptest::collection::vec((0i32..20, 0i32..20, 0i32..20), 1..5)) {
        let sets: Vec<SetSize> = sizes.into_iter().map(|(spec, current, available)| SetSize { spec, current, available }).collect();
        for strategy in [rolling(surge, unavailable), Strategy::Recreate] {
            let next = strategy.next(replicas, sets[0], &sets[1..]);
            prop_assert!(next.new >= 0 && next.old.iter().all(|n| *n >= 0));
            prop_assert!(next.old.iter().zip(&sets[1..]).all(|(n, set)| *n <= set.spec), "old ones never grow");
        }
    }
}
