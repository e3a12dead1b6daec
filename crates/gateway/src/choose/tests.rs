//! Shares, tiers, pinning, panic and return, on a clock that the tests move.

mod balance;

use super::*;
use crate::health::{HealthTable, Outcome, Part, RAMP_FLOOR};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tidegate_model::*;

pub(super) struct Rig {
    health: HealthTable,
    backend: Arc<BackendState>,
    id: BackendId,
    content: Backend,
    pub(super) now: Tick,
}

impl Rig {
    /// A backend with so many endpoints in the clusters `c0`, `c1`, ...
    fn new(endpoints: &[usize]) -> Self {
        Self::with(endpoints, |_| {})
    }

    pub(super) fn with(endpoints: &[usize], change: impl FnOnce(&mut Backend)) -> Self {
        let mut content = Backend {
            clusters: clusters(endpoints),
            ..Backend::default()
        };
        // Most tests look at shares, not at how they grow.
        content.placement.return_.ramp = Duration::ZERO;
        change(&mut content);
        let id = BackendId::new("shop", "web", "80").unwrap();
        let health = HealthTable::new();
        let backend = Arc::new(BackendState::new(health.upsert(&id, &content, None)));
        Self {
            health,
            backend,
            id,
            content,
            now: Tick::NEVER + Duration::from_secs(1),
        }
    }

    pub(super) fn rescale(&mut self, endpoints: &[usize]) {
        self.content.clusters = clusters(endpoints);
        self.health.upsert(&self.id, &self.content, None);
    }

    fn forward(&self, placement: RoutePlacement) -> ForwardEntry {
        ForwardEntry {
            placement,
            ..ForwardEntry::new(Arc::clone(&self.backend))
        }
    }

    pub(super) fn policy(&self) -> ForwardEntry {
        self.forward(RoutePlacement::Policy)
    }

    /// Requests by cluster, of so many that are all answered at once.
    fn spread(&self, forward: &ForwardEntry, requests: u32) -> BTreeMap<String, u32> {
        let mut counts = BTreeMap::new();
        for _ in 0..requests {
            let pick = choose(forward, &Claim::Free, &[], self.now, 0).unwrap();
            let cluster = pick.endpoint().cluster().name().to_string();
            *counts.entry(cluster).or_default() += 1;
            pick.finish(Outcome::Answered { status: 200 }, self.now);
        }
        counts
    }

    fn share(&self, forward: &ForwardEntry, cluster: &str) -> f64 {
        let counts = self.spread(forward, 10_000);
        f64::from(counts.get(cluster).copied().unwrap_or(0)) / 10_000.0
    }

    /// Lets every endpoint of a cluster fail until it is ejected.
    pub(super) fn fail(&self, cluster: usize) {
        for endpoint in self.of(cluster) {
            for _ in 0..3 {
                Pick::begin(Arc::clone(&endpoint), Part::First, self.now)
                    .finish(Outcome::ConnectFailed, self.now);
            }
        }
    }

    pub(super) fn of(&self, cluster: usize) -> Vec<Arc<EndpointState>> {
        let name = name(cluster);
        let endpoints = self.backend.health().endpoints();
        endpoints
            .iter()
            .filter(|e| *e.cluster().name() == name)
            .cloned()
            .collect()
    }
}

fn name(cluster: usize) -> ClusterName {
    ClusterName::new(format!("c{cluster}")).unwrap()
}

fn clusters(endpoints: &[usize]) -> BTreeMap<ClusterName, Vec<Endpoint>> {
    let of = |(cluster, count): (usize, &usize)| {
        let address = |i| ([127, 1, cluster as u8, i as u8], 80).into();
        let endpoints = (0..*count).map(|i| Endpoint {
            address: address(i),
        });
        (name(cluster), endpoints.collect())
    };
    endpoints.iter().enumerate().map(of).collect()
}

fn tiers(members: &[&[usize]]) -> Vec<Tier> {
    let member = |cluster: &usize| TierMember {
        cluster: name(*cluster),
        weight: Weight::default(),
    };
    let tier = |clusters: &&[usize]| Tier {
        clusters: clusters.iter().map(member).collect(),
    };
    members.iter().map(tier).collect()
}

fn near(found: f64, expect: f64) {
    assert!((found - expect).abs() < 0.005, "{found} is not {expect}");
}

#[test]
fn clusters_share_by_ready_endpoints_and_endpoints_evenly() {
    let rig = Rig::new(&[3, 3]);
    near(rig.share(&rig.policy(), "c0"), 0.5);
    let rig = Rig::new(&[3, 1]);
    near(rig.share(&rig.policy(), "c0"), 0.75);

    let mut counts: HashMap<EndpointId, u32> = HashMap::new();
    for _ in 0..400 {
        let pick = choose(&rig.policy(), &Claim::Free, &[], rig.now, 0).unwrap();
        *counts.entry(pick.id()).or_default() += 1;
    }
    // Smooth: after a hundred requests each, none is more than two off.
    assert!(counts.values().all(|c| c.abs_diff(100) <= 2), "{counts:?}");
}

#[test]
fn scaling_to_zero_moves_everything_at_once_and_back() {
    let mut rig = Rig::new(&[3, 3]);
    let forward = rig.policy();
    rig.spread(&forward, 10);
    rig.rescale(&[0, 3]);
    near(rig.share(&forward, "c1"), 1.0);
    rig.rescale(&[3, 3]);
    near(rig.share(&forward, "c0"), 0.5);
    rig.rescale(&[0, 0]);
    assert!(choose(&forward, &Claim::Free, &[], rig.now, 0).is_none());
}

#[test]
fn a_standby_serves_nothing_until_the_primary_weakens() {
    let rig = Rig::with(&[3, 3], |b| b.placement.tiers = tiers(&[&[0], &[1]]));
    let forward = rig.policy();
    near(rig.share(&forward, "c0"), 1.0);
    // Two of three endpoints are 67 %, so 67/72 of the traffic stays.
    let first = &rig.of(0)[0];
    for _ in 0..3 {
        Pick::begin(Arc::clone(first), Part::First, rig.now).finish(Outcome::Reset, rig.now);
    }
    near(rig.share(&forward, "c0"), 66.67 / 72.0);
    rig.fail(0);
    near(rig.share(&forward, "c1"), 1.0);
}

#[test]
fn explicit_weights_hold_whatever_the_number_of_endpoints() {
    let weigh = |first: u32, second: u32| {
        Rig::with(&[1, 9], |b| {
            b.placement.tiers = tiers(&[&[0, 1]]);
            b.placement.tiers[0].clusters[0].weight = Weight::Explicit(first);
            b.placement.tiers[0].clusters[1].weight = Weight::Explicit(second);
        })
    };
    let rig = weigh(80, 20);
    near(rig.share(&rig.policy(), "c0"), 0.8);
    let rig = weigh(0, 1);
    near(rig.share(&rig.policy(), "c1"), 1.0);
    // Better a cluster without weight than nobody.
    rig.fail(1);
    near(rig.share(&rig.policy(), "c0"), 1.0);
}

#[test]
fn a_pinned_cluster_serves_alone_while_it_can() {
    let mut rig = Rig::new(&[2, 3, 1]);
    let pinned = rig.forward(RoutePlacement::Pinned(name(0)));
    near(rig.share(&pinned, "c0"), 1.0);
    rig.rescale(&[0, 3, 1]);
    near(rig.share(&pinned, "c1"), 0.75);
    rig.rescale(&[2, 3, 1]);
    near(rig.share(&pinned, "c0"), 1.0);
    rig.fail(0);
    near(rig.share(&pinned, "c1"), 0.75);
}

#[test]
fn a_canary_reaches_the_standby_at_any_time() {
    let rig = Rig::with(&[3, 3], |b| b.placement.tiers = tiers(&[&[0], &[1]]));
    let canary = rig.forward(RoutePlacement::Pinned(name(1)));
    near(rig.share(&canary, "c1"), 1.0);
}

#[test]
fn a_lost_cluster_does_not_put_the_rest_into_panic() {
    // 1 of 4 endpoints can serve, but all of those in the cluster that is left.
    let rig = Rig::new(&[3, 1]);
    rig.fail(0);
    let shares = rig.backend.shares(rig.now);
    assert_eq!(shares.mode(), Mode::Normal);
    near(rig.share(&rig.policy(), "c1"), 1.0);
}

#[test]
fn too_few_healthy_endpoints_mean_that_all_are_used() {
    let rig = Rig::new(&[4]);
    for endpoint in &rig.of(0)[..3] {
        for _ in 0..3 {
            Pick::begin(Arc::clone(endpoint), Part::First, rig.now).finish(Outcome::Reset, rig.now);
        }
    }
    assert_eq!(rig.backend.shares(rig.now).mode(), Mode::Panic);
    let mut seen = std::collections::HashSet::new();
    for _ in 0..40 {
        seen.insert(
            choose(&rig.policy(), &Claim::Free, &[], rig.now, 0)
                .unwrap()
                .id(),
        );
    }
    assert_eq!(seen.len(), 4);
}

#[test]
fn the_fallback_serves_only_a_backend_without_endpoints() {
    let mut rig = Rig::new(&[1]);
    let spare = Rig::new(&[1]);
    let mut forward = rig.policy();
    forward.fallback = Some(Arc::clone(&spare.backend));
    rig.fail(0);
    let ours = rig.of(0)[0].id();
    assert_eq!(
        choose(&forward, &Claim::Free, &[], rig.now, 0)
            .unwrap()
            .address(),
        rig.of(0)[0].address()
    );
    assert!(choose(&forward, &Claim::Free, &[ours], rig.now, 0).is_none());
    rig.rescale(&[0]);
    assert!(choose(&forward, &Claim::Free, &[], rig.now, 0).is_some());
}

#[test]
fn a_further_try_prefers_another_cluster_and_ends_when_all_were_tried() {
    let rig = Rig::new(&[2, 2]);
    let forward = rig.policy();
    let mut tried = Vec::new();
    let mut clusters = Vec::new();
    for random in 0..4 {
        let pick = choose(&forward, &Claim::Free, &tried, rig.now, random).unwrap();
        assert!(!tried.contains(&pick.id()));
        tried.push(pick.id());
        clusters.push(pick.endpoint().cluster().name().clone());
    }
    assert_ne!(clusters[0], clusters[1]);
    assert!(choose(&forward, &Claim::Free, &tried, rig.now, 9).is_none());
}

#[test]
fn a_primary_in_trouble_is_left_at_the_first_retry() {
    let rig = Rig::with(&[3, 1], |b| b.placement.tiers = tiers(&[&[0], &[1]]));
    let first = choose(&rig.policy(), &Claim::Free, &[], rig.now, 0).unwrap();
    let second = choose(&rig.policy(), &Claim::Free, &[first.id()], rig.now, 0).unwrap();
    assert_eq!(*second.endpoint().cluster().name(), name(1));
}

#[test]
fn a_returning_cluster_is_held_and_then_climbs() {
    let mut rig = Rig::with(&[3, 3], |b| {
        b.placement.return_ = Return {
            hold: Duration::from_secs(2),
            ramp: Duration::from_secs(10),
        };
    });
    let forward = rig.policy();
    rig.fail(0);
    near(rig.share(&forward, "c0"), 0.0);
    // Ejected for one second, then held for two.
    rig.now = rig.now + Duration::from_millis(2900);
    near(rig.share(&forward, "c0"), 0.0);
    let mut last = 0.0;
    for _ in 0..22 {
        rig.now = rig.now + Duration::from_millis(500);
        let share = rig.share(&forward, "c0");
        assert!(share >= last - 0.001, "{share} after {last}");
        assert!(last > 0.0 || share >= RAMP_FLOOR / 2.0);
        last = share;
    }
    near(last, 0.5);
}

fn counts() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(0..6_usize, 1..5)
}

proptest! {
    #[test]
    fn whatever_fails_there_is_somewhere_to_go(
        endpoints in counts(),
        failures in proptest::collection::vec((0..64_usize, 0..6_u8), 0..80),
        primary in 0..4_usize,
        pinned in 0..4_usize,
    ) {
        let mut rig = Rig::with(&endpoints, |b| b.placement.tiers = tiers(&[&[primary]]));
        let total: usize = endpoints.iter().sum();
        let all: Vec<_> = (0..endpoints.len()).flat_map(|c| rig.of(c)).collect();
        for (which, how) in failures {
            rig.now = rig.now + Duration::from_millis(20);
            if let Some(endpoint) = all.get(which % total.max(1)) {
                let outcome = match how {
                    0 => Outcome::Answered { status: 200 },
                    1 => Outcome::Answered { status: 503 },
                    2 => Outcome::Reset,
                    3 => Outcome::TimedOut,
                    4 => Outcome::Cancelled,
                    _ => Outcome::ConnectFailed,
                };
                Pick::begin(Arc::clone(endpoint), Part::First, rig.now).finish(outcome, rig.now);
            }
            // The last endpoint that can serve is never ejected.
            let rule = rig.content.placement.return_;
            let serving = all.iter().filter(|e| {
                matches!(e.availability(&rule, rig.now).0, crate::health::Availability::Serving(_))
            });
            prop_assert!(total == 0 || serving.count() > 0);
            for forward in [rig.policy(), rig.forward(RoutePlacement::Pinned(name(pinned)))] {
                let pick = choose(&forward, &Claim::Free, &[], rig.now, 7);
                prop_assert_eq!(pick.is_some(), total > 0);
            }
        }
        let shares = rig.backend.shares(rig.now);
        let sum: f64 = shares.clusters().iter().map(ClusterShare::share).sum();
        prop_assert!(total == 0 || (sum - 1.0).abs() < 1e-9);
        let idle = shares.clusters().iter().filter(|c| c.share() > 0.0);
        prop_assert!(idle.into_iter().all(|c| c.serving().count() > 0));
    }

    #[test]
    fn every_endpoint_can_be_tried_once_and_no_more(endpoints in counts(), random in any::<u64>()) {
        let rig = Rig::new(&endpoints);
        let mut tried = Vec::new();
        while let Some(pick) = choose(&rig.policy(), &Claim::Free, &tried, rig.now, random) {
            prop_assert!(!tried.contains(&pick.id()));
            tried.push(pick.id());
        }
        prop_assert_eq!(tried.len(), endpoints.iter().sum::<usize>());
    }

    #[test]
    fn shares_follow_the_number_of_endpoints(a in 1..20_usize, b in 1..20_usize) {
        let rig = Rig::new(&[a, b]);
        let expect = a as f64 / (a + b) as f64;
        let found = rig.share(&rig.policy(), "c0");
        prop_assert!((found - expect).abs() < 0.005, "{found} is not {expect}");
    }
}
