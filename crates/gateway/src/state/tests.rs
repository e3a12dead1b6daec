use super::*;
use crate::choose::{Claim, choose};
use crate::health::{EndpointId, Outcome};
use crate::table::{HeaderLookup, RequestHead, RouteAction, route};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use std::time::Duration;
use tidegate_model::*;
use tidegate_runtime::{Clock, Tick};

struct NoHeaders;

impl HeaderLookup for NoHeaders {
    fn value(&self, _: &str) -> Option<&[u8]> {
        None
    }
}

fn snapshot(generation: u64, ports: &[u16]) -> Arc<Snapshot> {
    let mut snapshot = Snapshot::empty(Generation(generation));
    let id = BackendId::new("shop", "web", "80").unwrap();
    let forward = Forward {
        backend: id.clone(),
        placement: RoutePlacement::Policy,
        fallback: None,
    };
    let route = Route::new(
        RouteId("shop/web#0.0".to_owned()),
        PathMatch::prefix("/").unwrap(),
        Action::Forward(forward),
    );
    snapshot.hosts.insert(HostPattern::Any, vec![route].into());
    let endpoints = ports.iter().map(|port| Endpoint {
        address: ([127, 0, 0, 1], *port).into(),
    });
    let backend = Backend {
        clusters: [(ClusterName::new("az1").unwrap(), endpoints.collect())].into(),
        ..Backend::default()
    };
    snapshot.backends.insert(id, backend.into());
    Arc::new(snapshot)
}

fn chosen(shared: &Shared, now: Tick) -> Option<crate::choose::Pick> {
    let table = shared.table.load();
    let head = RequestHead {
        host: "shop.example.com",
        authority: b"",
        scheme: "http",
        path: "/",
        method: b"GET",
        query: b"",
        headers: &NoHeaders,
    };
    let tried: [EndpointId; 0] = [];
    match &route(&table, &head)?.action {
        RouteAction::Forward(forward) => choose(forward, &Claim::Free, &tried, now, 0),
        RouteAction::Split(_) | RouteAction::Redirect(_) | RouteAction::Respond(_) => None,
    }
}

#[test]
fn a_snapshot_is_served_and_a_bad_one_changes_nothing() {
    let shared = Shared::new();
    let now = Tick::NEVER + Duration::from_secs(1);
    assert!(chosen(&shared, now).is_none());
    let report = shared.apply(&snapshot(1, &[81])).unwrap();
    assert_eq!((report.hosts_compiled, report.backends_changed), (1, 1));
    assert_eq!(chosen(&shared, now).unwrap().address().port(), 81);

    let report = shared.apply(&snapshot(2, &[82])).unwrap();
    assert_eq!((report.hosts_compiled, report.backends_changed), (0, 1));
    assert_eq!(chosen(&shared, now).unwrap().address().port(), 82);

    let mut bad = Snapshot::clone(&snapshot(3, &[83]));
    bad.backends.clear();
    let error = shared.apply(&Arc::new(bad)).unwrap_err();
    assert!(error.contains("there is no backend shop/web:80"), "{error}");
    assert_eq!(shared.table.load().generation(), Generation(2));
    assert_eq!(chosen(&shared, now).unwrap().address().port(), 82);

    let report = shared
        .apply(&Arc::new(Snapshot::empty(Generation(4))))
        .unwrap();
    assert_eq!((report.hosts_removed, report.backends_changed), (1, 1));
    assert!(chosen(&shared, now).is_none());
}

#[test]
fn status_and_metrics_tell_what_is_known() {
    let shared = Shared::new();
    let clock = Clock::start();
    shared.apply(&snapshot(7, &[81, 82])).unwrap();
    for _ in 0..4 {
        let pick = chosen(&shared, clock.now()).unwrap();
        let failed = pick.address().port() == 81;
        let outcome = match failed {
            true => Outcome::ConnectFailed,
            false => Outcome::Answered { status: 200 },
        };
        pick.finish(outcome, clock.now());
    }
    let status = shared.status_json(clock.now());
    assert_eq!(status["generation"], 7);
    let az1 = &status["clusters"]["az1"];
    assert_eq!(az1["verdict"], "serving");
    assert_eq!((&az1["requests"], &az1["failures"]), (&4.into(), &2.into()));
    let backend = &status["backends"]["shop/web:80"];
    assert_eq!(backend["mode"], "normal");
    assert_eq!(backend["clusters"]["az1"]["endpoints_available"], 2);

    let mut registry = Registry::default();
    let metrics = HealthMetrics::new(Arc::clone(&shared.health), clock);
    registry.register_collector(Box::new(metrics));
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    for line in [
        r#"gateway_cluster_attempts_total{cluster="az1"} 4"#,
        r#"gateway_cluster_failures_total{cluster="az1"} 2"#,
        r#"gateway_cluster_suspect{cluster="az1"} 0"#,
        "gateway_self_suspect 0",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
}
