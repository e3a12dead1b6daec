//! Verdicts on a clock that the tests move: silence, ejection, return.

use super::*;
use crate::choose::{BackendState, Claim, Pick, choose};
use crate::table::ForwardEntry;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;
use tidegate_model::{Backend, BackendId, ClusterName, Endpoint};
use tidegate_runtime::Tick;

struct Rig {
    health: HealthTable,
    forward: ForwardEntry,
    now: Tick,
}

const OK: Outcome = Outcome::Answered { status: 200 };

impl Rig {
    fn new(endpoints: &[u8]) -> Self {
        let id = BackendId::new("shop", "web", "80").unwrap();
        let mut content = Backend::default();
        for (cluster, count) in endpoints.iter().enumerate() {
            let listed = (1..=*count).map(|i| Endpoint {
                address: ([127, 1, cluster as u8, i], 80).into(),
            });
            let name = ClusterName::new(format!("c{cluster}")).unwrap();
            content.clusters.insert(name, listed.collect());
        }
        let health = HealthTable::new();
        let backend = Arc::new(BackendState::new(health.upsert(&id, &content, None)));
        for cluster in health.clusters() {
            cluster.set_probed();
        }
        Self {
            health,
            forward: ForwardEntry::new(backend),
            now: Tick::NEVER + Duration::from_secs(1),
        }
    }

    fn choose(&self) -> Pick {
        choose(&self.forward, &Claim::Free, &[], self.now, 0).unwrap()
    }

    fn endpoint(&self, at: usize) -> Arc<EndpointState> {
        Arc::clone(&self.forward.backend.health().endpoints()[at])
    }

    fn availability(&self, at: usize) -> Availability {
        let rule = self.forward.backend.health().policy().placement.return_;
        self.endpoint(at).availability(&rule, self.now).0
    }

    fn fail(&self, at: usize, times: u32) {
        for _ in 0..times {
            Pick::begin(self.endpoint(at), Part::First, self.now)
                .finish(Outcome::ConnectFailed, self.now);
        }
    }

    fn wait(&mut self, millis: u64) {
        self.now = self.now + Duration::from_millis(millis);
    }

    /// Like `wait`, with the ticks of a gateway that is awake.
    fn wait_awake(&mut self, millis: u64) {
        for _ in 0..millis / 10 {
            self.wait(10);
            self.health.tick(self.now);
        }
    }

    fn suspects(&self) -> Vec<String> {
        let clusters = self.health.clusters();
        let suspect = clusters
            .iter()
            .filter(|c| c.suspect_since(self.now).is_some());
        suspect.map(|c| c.name().to_string()).collect()
    }
}

/// Open-loop traffic: requests begin at even steps, each is answered after what `answer` says, or never.
struct Simulation {
    rig: Rig,
    /// By time of the answer, earliest first.
    out: BinaryHeap<std::cmp::Reverse<(Tick, usize)>>,
    picks: Vec<Option<Pick>>,
    chosen: Vec<String>,
}

impl Simulation {
    fn new(rig: Rig) -> Self {
        Self {
            rig,
            out: BinaryHeap::new(),
            picks: Vec::new(),
            chosen: Vec::new(),
        }
    }

    fn run(
        &mut self,
        requests: usize,
        step: Duration,
        answer: impl Fn(usize, &str) -> Option<Duration>,
    ) {
        for i in 0..requests {
            let due = self.rig.now + step;
            while let Some(std::cmp::Reverse((at, which))) = self.out.peek().copied() {
                if at > due {
                    break;
                }
                self.out.pop();
                let mut pick = self.picks[which].take().expect("it is answered once");
                pick.byte_seen(at);
                pick.finish(OK, at);
            }
            self.rig.now = due;
            let pick = self.rig.choose();
            let cluster = pick.endpoint().cluster().name().to_string();
            if let Some(after) = answer(i, &cluster) {
                let at = due + after;
                self.out.push(std::cmp::Reverse((at, self.picks.len())));
            }
            self.chosen.push(cluster);
            self.picks.push(Some(pick));
        }
    }
}

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_cluster_that_falls_silent_is_left_within_patience_and_returns_with_a_byte() {
    let mut simulation = Simulation::new(Rig::new(&[3, 3]));
    simulation.run(1000, MS, |_, _| Some(2 * MS));
    simulation.run(500, MS, |_, cluster| (cluster == "c1").then_some(2 * MS));
    assert_eq!(simulation.rig.suspects(), ["c0"]);
    let lost = simulation.chosen[1000..]
        .iter()
        .filter(|c| *c == "c0")
        .count();
    // Half of the requests of 50 ms, and the step in which it is noticed.
    assert!((20..=30).contains(&lost), "{lost}");
    let stuck = simulation.picks.iter().flatten().next().unwrap();
    assert!(stuck.suspicious(simulation.rig.now));

    let endpoint = Arc::clone(stuck.endpoint());
    endpoint.byte_seen(simulation.rig.now);
    assert!(simulation.rig.suspects().is_empty());
    let before = simulation.chosen.len();
    simulation.picks.clear();
    simulation.out.clear();
    simulation.run(2000, MS, |_, _| Some(Duration::ZERO));
    let back = simulation.chosen[before + 1000..]
        .iter()
        .filter(|c| *c == "c0")
        .count();
    assert!((480..=520).contains(&back), "{back}");
}

#[test]
fn single_slow_answers_do_not_make_a_cluster_suspect() {
    let mut simulation = Simulation::new(Rig::new(&[3, 3]));
    // 200 requests a second; each tenth takes two seconds.
    simulation.run(4000, 5 * MS, |i, _| {
        Some(if i % 10 == 9 { 2000 * MS } else { 3 * MS })
    });
    assert!(simulation.rig.suspects().is_empty());
    let first = simulation.chosen.iter().filter(|c| *c == "c0").count();
    assert!((1800..=2200).contains(&first), "{first}");
}

#[test]
fn a_backend_that_is_slow_everywhere_stays_in_service_everywhere() {
    let mut simulation = Simulation::new(Rig::new(&[3, 3]));
    simulation.run(600, 20 * MS, |_, _| Some(2000 * MS));
    // Once its slowness is known nothing is suspect.
    assert!(simulation.rig.suspects().is_empty());
    let late = &simulation.chosen[400..];
    let first = late.iter().filter(|c| *c == "c0").count();
    assert!((90..=110).contains(&first), "{first}");
    for at in 0..6 {
        assert_eq!(simulation.rig.availability(at), Availability::Serving(1.0));
    }
}

#[test]
fn the_last_cluster_is_never_suspect() {
    let mut simulation = Simulation::new(Rig::new(&[3]));
    simulation.run(100, MS, |_, _| Some(MS));
    simulation.run(1000, MS, |_, _| None);
    assert!(simulation.rig.suspects().is_empty());

    let mut simulation = Simulation::new(Rig::new(&[3, 3]));
    simulation.run(100, MS, |_, _| Some(MS));
    simulation.run(1000, MS, |_, _| None);
    assert_eq!(simulation.rig.suspects().len(), 1);
}

#[test]
fn one_silent_endpoint_is_left_while_its_cluster_answers() {
    let rig = Rig::new(&[3, 3]);
    let dead = rig.endpoint(0).address();
    let mut simulation = Simulation::new(rig);
    simulation.run(1000, MS, |_, _| Some(MS));
    for _ in 0..600 {
        simulation.rig.wait(1);
        let mut pick = simulation.rig.choose();
        if pick.address() == dead {
            simulation.picks.push(Some(pick));
            continue;
        }
        pick.byte_seen(simulation.rig.now);
        pick.finish(OK, simulation.rig.now);
    }
    assert!(simulation.rig.suspects().is_empty());
    assert_eq!(
        simulation.rig.availability(0),
        Availability::Not(Unavailable::Suspect)
    );
    let lost = simulation.picks.iter().flatten().count();
    assert!(lost <= 15, "{lost}");
}

#[test]
fn a_pause_of_the_gateway_is_not_taken_for_silence() {
    let mut rig = Rig::new(&[3, 3]);
    rig.health.tick(rig.now);
    let mut warm = Simulation::new(rig);
    warm.run(100, MS, |_, _| Some(Duration::ZERO));
    rig = warm.rig;
    rig.health.tick(rig.now);
    let picks: Vec<Pick> = (0..20).map(|_| rig.choose()).collect();
    rig.wait(3000);
    rig.health.tick(rig.now);
    assert!(rig.suspects().is_empty());
    assert!(!picks.iter().any(|pick| pick.suspicious(rig.now)));
    // But silence after the pause is silence.
    rig.wait_awake(600);
    assert_eq!(rig.suspects().len(), 1);
}

#[test]
fn copies_of_one_slow_request_make_no_cluster_suspect() {
    let mut rig = Rig::new(&[3, 3]);
    let mut copies = vec![rig.choose()];
    while let Some(copy) = choose(&rig.forward, &Claim::Free, &ids(&copies), rig.now, 0) {
        copies.push(copy);
    }
    assert_eq!(copies.len(), 6);
    rig.wait_awake(5000);
    assert!(rig.suspects().is_empty());
    assert!(!copies.iter().any(|copy| copy.suspicious(rig.now)));
    assert_eq!(rig.endpoint(0).cluster().requests_out(), 3);
}

#[test]
fn requests_that_a_probe_spoke_for_are_not_held_against_a_cluster_again() {
    let mut rig = Rig::new(&[1, 1]);
    let begin = |rig: &Rig| Pick::begin(rig.endpoint(0), Part::First, rig.now);
    let slow: Vec<Pick> = (0..3).map(|_| begin(&rig)).collect();
    rig.wait_awake(600);
    assert_eq!(rig.suspects(), ["c0"]);
    rig.endpoint(0).alive(rig.now);
    for _ in 0..100 {
        rig.wait_awake(100);
        assert!(rig.suspects().is_empty());
        assert!(!slow.iter().any(|pick| pick.suspicious(rig.now)));
    }
    // Others beside them are evidence, from when there are enough of them.
    let lost: Vec<Pick> = (0..3).map(|_| begin(&rig)).collect();
    rig.wait_awake(490);
    assert!(rig.suspects().is_empty());
    rig.wait_awake(20);
    assert_eq!(rig.suspects(), ["c0"]);
    // Nothing is left over when all have ended.
    drop((slow, lost));
    rig.endpoint(0).alive(rig.now);
    let lost: Vec<Pick> = (0..3).map(|_| begin(&rig)).collect();
    rig.wait_awake(510);
    assert_eq!(rig.suspects(), ["c0"]);
    drop(lost);
}

fn ids(picks: &[Pick]) -> Vec<EndpointId> {
    picks.iter().map(Pick::id).collect()
}

#[test]
fn suspicion_ends_by_itself_where_nothing_probes() {
    let mut rig = Rig::new(&[1, 1]);
    let id = BackendId::new("shop", "web", "80").unwrap();
    let mut content = Backend::default();
    content.health.active.probe = tidegate_model::Probe::None;
    for cluster in 0..2_u8 {
        let name = ClusterName::new(format!("n{cluster}")).unwrap();
        let address = ([127, 2, cluster, 1], 80).into();
        content.clusters.insert(name, vec![Endpoint { address }]);
    }
    rig.health.upsert(&id, &content, None);
    let picks: Vec<Pick> = (0..8).map(|_| rig.choose()).collect();
    rig.wait(600);
    rig.health.tick(rig.now);
    assert_eq!(rig.suspects().len(), 1);
    drop(picks);
    rig.wait(1100);
    rig.choose();
    assert!(rig.suspects().is_empty());
}

#[test]
fn ejection_doubles_while_failures_go_on_and_starts_anew_after_a_success() {
    let mut rig = Rig::new(&[2]);
    let out = Availability::Not(Unavailable::Ejected);
    rig.fail(0, 2);
    assert_eq!(rig.availability(0), Availability::Serving(1.0));
    rig.fail(0, 1);
    for seconds in [1_u64, 2, 4, 8, 16, 30, 30] {
        assert_eq!(rig.availability(0), out);
        rig.wait(seconds * 1000 - 1);
        assert_eq!(rig.availability(0), out, "after {seconds} s");
        rig.wait(1);
        assert_eq!(rig.availability(0), Availability::Serving(RAMP_FLOOR));
        rig.fail(0, 1);
    }
    rig.wait(30_000);
    Pick::begin(rig.endpoint(0), Part::First, rig.now).finish(OK, rig.now);
    rig.fail(0, 3);
    rig.wait(1000);
    assert_eq!(rig.availability(0), Availability::Serving(RAMP_FLOOR));
}

#[test]
fn the_last_endpoint_that_can_serve_is_not_ejected() {
    let rig = Rig::new(&[1, 1]);
    rig.fail(0, 9);
    rig.fail(1, 9);
    assert_eq!(rig.availability(0), Availability::Not(Unavailable::Ejected));
    assert_eq!(rig.availability(1), Availability::Serving(1.0));
}

#[test]
fn answers_below_500_and_cancellations_are_no_failures() {
    let rig = Rig::new(&[2]);
    for status in [404, 429, 500, 501, 505] {
        for _ in 0..5 {
            Pick::begin(rig.endpoint(0), Part::First, rig.now)
                .finish(Outcome::Answered { status }, rig.now);
        }
    }
    for _ in 0..5 {
        Pick::begin(rig.endpoint(0), Part::First, rig.now).finish(Outcome::Cancelled, rig.now);
        drop(Pick::begin(rig.endpoint(0), Part::First, rig.now));
    }
    assert_eq!(rig.availability(0), Availability::Serving(1.0));
    assert_eq!(rig.endpoint(0).active(), 0);
    assert_eq!(rig.endpoint(0).cluster().requests_out(), 0);
}

#[test]
fn probes_take_out_and_bring_back_also_what_was_ejected() {
    let mut rig = Rig::new(&[2]);
    rig.fail(0, 3);
    let endpoint = rig.endpoint(0);
    endpoint.probed(false, None, rig.now);
    rig.wait(1500);
    // Its time is over, but the prober knows better.
    assert_eq!(rig.availability(0), Availability::Not(Unavailable::Ejected));
    endpoint.probed(false, Some(false), rig.now);
    assert_eq!(
        rig.availability(0),
        Availability::Not(Unavailable::ProbeFailed)
    );
    endpoint.probed(true, None, rig.now);
    assert_eq!(
        rig.availability(0),
        Availability::Not(Unavailable::ProbeFailed)
    );
    endpoint.probed(true, Some(true), rig.now);
    assert_eq!(rig.availability(0), Availability::Serving(RAMP_FLOOR));
    rig.wait(1000);
    assert_eq!(rig.availability(0), Availability::Serving(1.0));
}

#[test]
fn evidence_outlives_a_change_of_the_endpoints() {
    let rig = Rig::new(&[2]);
    rig.fail(0, 3);
    let id = BackendId::new("shop", "web", "80").unwrap();
    let mut content = Backend::default();
    let listed = (1..=5).map(|i| Endpoint {
        address: ([127, 1, 0, i], 80).into(),
    });
    content
        .clusters
        .insert(ClusterName::new("c0").unwrap(), listed.collect());
    rig.health.upsert(&id, &content, None);
    assert_eq!(rig.forward.backend.health().endpoints().len(), 5);
    assert_eq!(rig.availability(0), Availability::Not(Unavailable::Ejected));
    assert_eq!(rig.availability(4), Availability::Serving(1.0));
}

#[test]
fn the_estimate_leans_to_the_slow_side() {
    let estimate = LatencyEstimate::default();
    assert_eq!(estimate.get(), None);
    for i in 0..20_000_u64 {
        let slow = i % 50 == 0;
        let noise = Duration::from_nanos(i * 7919 % 1000);
        estimate.add(if slow { 20 * MS } else { MS } + noise);
    }
    let found = estimate.get().unwrap();
    assert!(found > 2 * MS && found <= 21 * MS, "{found:?}");
    for i in 0..20_000_u64 {
        estimate.add(MS + Duration::from_nanos(i * 7919 % 1000));
    }
    assert!(estimate.get().unwrap() < 2 * MS);
}
