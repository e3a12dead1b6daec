//! Algorithms, keys and warming up.

use super::*;
use crate::hash::mix;

fn with(endpoints: &[usize], algorithm: Algorithm) -> Rig {
    Rig::with(endpoints, |backend| backend.balance.algorithm = algorithm)
}

fn by_key(subset: Option<u32>) -> Algorithm {
    let by = vec![KeyPart::Uri];
    Algorithm::Hash(Hash { by, subset })
}

impl Rig {
    fn free(&self) -> Pick {
        choose(&self.policy(), &Claim::Free, &[], self.now, 0).unwrap()
    }

    fn keyed(&self, key: u64) -> std::net::SocketAddr {
        let claim = Claim::Key(key);
        choose(&self.policy(), &claim, &[], self.now, 0)
            .unwrap()
            .address()
    }

    /// Where each of some keys leads.
    fn keys(&self) -> BTreeMap<u64, std::net::SocketAddr> {
        (0..4000)
            .map(mix)
            .map(|key| (key, self.keyed(key)))
            .collect()
    }
}

#[test]
fn the_fewest_requests_count_over_all_clusters_that_share_by_endpoints() {
    let rig = with(&[2, 2], Algorithm::LeastConnections);
    let held: Vec<Pick> = (0..8).map(|_| rig.free()).collect();
    let mut counts: HashMap<EndpointId, u32> = HashMap::new();
    for pick in &held {
        *counts.entry(pick.id()).or_default() += 1;
    }
    assert_eq!(counts.values().copied().collect::<Vec<_>>(), [2; 4]);
    // One that has ended its requests gets the next.
    let (ended, rest): (Vec<Pick>, Vec<Pick>) = held
        .into_iter()
        .partition(|pick| pick.id() == rig.of(1)[0].id());
    drop(ended);
    let next: Vec<Pick> = (0..2).map(|_| rig.free()).collect();
    assert!(next.iter().all(|pick| pick.id() == rig.of(1)[0].id()));
    drop(rest);
}

#[test]
fn of_two_the_one_with_less_to_do_is_taken() {
    let rig = with(&[4], Algorithm::RandomOfTwo);
    let busy = Arc::clone(&rig.of(0)[0]);
    let _held: Vec<Pick> = (0..50)
        .map(|_| Pick::begin(Arc::clone(&busy), Part::First, rig.now))
        .collect();
    let taken = (0..1000).filter(|_| rig.free().id() == busy.id()).count();
    // Only when both picks are the busy one: 1 in 16.
    assert!(taken < 120, "the busy one got {taken} of 1000");
}

#[test]
fn a_slow_endpoint_gets_less_until_it_is_quick_again() {
    let mut rig = with(&[4], Algorithm::PeakEwma);
    let slow = rig.of(0)[0].id();
    let share = |rig: &mut Rig, slow_takes: u64| {
        let mut taken = 0;
        for _ in 0..1000 {
            let mut pick = rig.free();
            let begun = rig.now;
            let millis = match pick.id() == slow {
                true => slow_takes,
                false => 5,
            };
            taken += u32::from(pick.id() == slow);
            pick.byte_seen(begun + Duration::from_millis(millis));
            pick.finish(Outcome::Answered { status: 200 }, begun);
            rig.now = rig.now + Duration::from_millis(1);
        }
        taken
    };
    let while_slow = share(&mut rig, 200);
    // Only when both picks are the slow one: 1 in 16.
    assert!(while_slow < 100, "the slow one got {while_slow} of 1000");
    rig.now = rig.now + Duration::from_secs(120);
    share(&mut rig, 5);
    let again = share(&mut rig, 5);
    assert!(again > 120, "the quick one got {again} of 1000");
}

#[test]
fn keys_go_by_share_and_two_gateways_agree() {
    let rig = with(&[3, 1], by_key(None));
    let keys = rig.keys();
    assert_eq!(with(&[3, 1], by_key(None)).keys(), keys);
    let mut counts: BTreeMap<_, u32> = BTreeMap::new();
    for address in keys.values() {
        *counts.entry(*address).or_default() += 1;
    }
    assert!(
        counts.values().all(|n| n.abs_diff(1000) < 150),
        "{counts:?}"
    );
    // An explicit weight is met whatever the number of endpoints.
    let mut weighted = with(&[3, 1], by_key(None));
    weighted.content.placement.tiers = tiers(&[&[0, 1]]);
    for (member, weight) in weighted.content.placement.tiers[0]
        .clusters
        .iter_mut()
        .zip([1, 1])
    {
        member.weight = Weight::Explicit(weight);
    }
    weighted.rescale(&[3, 1]);
    let second = weighted
        .keys()
        .values()
        .filter(|a| **a == rig.of(1)[0].address())
        .count();
    assert!(second.abs_diff(2000) < 200, "{second} of 4000");
}

#[test]
fn only_keys_of_an_endpoint_that_goes_or_comes_move() {
    let mut rig = with(&[3, 2], by_key(None));
    let before = rig.keys();
    let gone = rig.of(1)[1].address();
    rig.rescale(&[3, 1]);
    let without = rig.keys();
    for (key, address) in &before {
        assert!(
            *address == gone || without[key] == *address,
            "a key moved without need"
        );
    }
    rig.rescale(&[3, 2]);
    assert_eq!(rig.keys(), before);
    // A lost cluster: its keys spread over all that is left.
    rig.fail(1);
    let lost = rig.keys();
    let mut takers = std::collections::BTreeSet::new();
    for (key, address) in &before {
        match rig.of(1).iter().any(|e| e.address() == *address) {
            true => drop(takers.insert(lost[key])),
            false => assert_eq!(lost[key], *address),
        }
    }
    assert_eq!(takers.len(), 3);
}

#[test]
fn a_subset_shares_a_key_in_turn() {
    let rig = with(&[8], by_key(Some(3)));
    for key in (0..20).map(mix) {
        let mut counts: BTreeMap<_, u32> = BTreeMap::new();
        for _ in 0..300 {
            *counts.entry(rig.keyed(key)).or_default() += 1;
        }
        assert_eq!(counts.len(), 3, "{counts:?}");
        assert!(counts.values().all(|n| (60..140).contains(n)), "{counts:?}");
    }
}

#[test]
fn a_new_endpoint_warms_up_and_an_old_one_need_not() {
    let mut rig = Rig::with(&[2], |backend| {
        backend.balance.warmup = Duration::from_secs(10)
    });
    near(rig.share(&rig.policy(), "c0"), 1.0);
    rig.rescale(&[3]);
    let of_third = |rig: &Rig| {
        let third = rig.of(0)[2].id();
        let taken = (0..6000).filter(|_| rig.free().id() == third).count();
        taken as f64 / 6000.0
    };
    assert!(of_third(&rig) < 0.06);
    rig.now = rig.now + Duration::from_secs(5);
    let half = of_third(&rig);
    assert!((0.17..0.23).contains(&half), "{half}");
    rig.now = rig.now + Duration::from_secs(6);
    near(of_third(&rig), 1.0 / 3.0);
}

proptest! {
    /// Whatever the algorithm and the key, somebody serves while anybody can, and only who can.
    #[test]
    fn an_algorithm_chooses_whoever_can_serve(
        endpoints in counts(),
        which in 0..5_usize,
        subset in prop::option::of(1..64_u32),
        lost in prop::option::of(0..3_usize),
        keys in prop::collection::vec(any::<u64>(), 1..20),
        affinity in prop::option::of(prop::sample::select(&[AffinityMode::Balanced, AffinityMode::Persistent][..])),
    ) {
        let algorithm = [
            Algorithm::RoundRobin,
            Algorithm::LeastConnections,
            Algorithm::RandomOfTwo,
            Algorithm::PeakEwma,
            by_key(subset),
        ][which].clone();
        let rig = Rig::with(&endpoints, |backend| {
            backend.balance.algorithm = algorithm;
            backend.balance.affinity = affinity.map(|mode| Affinity { mode, ..Affinity::default() });
        });
        if let Some(lost) = lost.filter(|lost| *lost < endpoints.len()) {
            rig.fail(lost);
        }
        let total: usize = endpoints.iter().sum();
        let mut held = Vec::new();
        for key in keys {
            let pick = choose(&rig.policy(), &Claim::Key(key), &[], rig.now, key);
            prop_assert_eq!(pick.is_some(), total > 0);
            let shares = rig.backend.shares(rig.now);
            if let Some(pick) = pick {
                let known = shares.clusters().iter().flat_map(|c| c.serving()).any(|e| e.id() == pick.id());
                prop_assert!(known, "an endpoint that does not serve was chosen");
                held.push(pick);
            }
        }
    }
}
