//! From figures and states to what the view and the progress lines show.

use std::net::SocketAddr;
use std::time::Duration;

use super::fleet::{Fleet, kubeconfig};
use super::health::Watch;
use super::view::{Model, Row};
use super::{CLUSTERS, Options, sample};
use crate::commands::Strategy;
use crate::load::{SLOT, Tally, fractional_millis, share};

/// "Now", for rates and shares.
const NOW: Duration = Duration::from_secs(1);

/// Seconds of history shown.
const HISTORY: u32 = 40;

/// The first line.
pub(super) fn title(options: &Options) -> String {
    let strategy = match options.strategy {
        Strategy::ActiveActive => "active-active",
        Strategy::ActiveStandby => "active-standby",
    };
    format!("{strategy}, {} {} requests/s", options.rate, options.method)
}

/// What a person can try while it runs, in lines that fit a narrow terminal.
pub(super) fn hints(fleet: &Fleet, gateway: SocketAddr, options: &Options) -> Vec<String> {
    let members = fleet
        .members()
        .iter()
        .map(|member| (member.name, &member.ready));
    let kubeconfigs = [("hub", &fleet.hub)].into_iter().chain(members);
    let mut hints: Vec<String> = kubeconfigs
        .filter_map(|(name, ready)| {
            let path = kubeconfig(ready).ok()?;
            Some(format!("{name}: export KUBECONFIG={}", path.display()))
        })
        .collect();
    hints.push("kubectl get pods -A   on the hub: kubectl get clusters,ingress -A".to_owned());
    let host = sample::HOST;
    hints.push(format!("curl -H 'Host: {host}' http://{gateway}/"));
    let flag = match options.default_data_dir {
        true => String::new(),
        false => format!(" --data-dir {}", options.data_dir.display()),
    };
    hints.push(format!(
        "tidegate demo fail az1{flag}   tidegate demo heal az1{flag}"
    ));
    hints
}

/// What was done to each cluster.
pub(super) fn states(model: &mut Model, fleet: &Fleet) {
    model.clusters.resize(CLUSTERS.len(), Row::default());
    for (row, member) in model.clusters.iter_mut().zip(fleet.members()) {
        row.name.replace_range(.., member.name);
        row.state = member.state;
    }
}

/// Rates, shares and latencies.
pub(super) fn figures(model: &mut Model, tally: &Tally, health: &Watch) {
    let elapsed = tally.started().elapsed();
    model.elapsed = elapsed;
    // The slot that is being filled would make every rate look too small.
    let slots = elapsed.as_millis() / SLOT.as_millis();
    let elapsed = SLOT * u32::try_from(slots).unwrap_or(u32::MAX);
    model.requests = tally.requests;
    model.failed = tally.failed;
    model.over_100ms = tally.over_100ms;
    model.over_1s = tally.over_1s;
    model.latency_ms = [
        fractional_millis(tally.latency.percentile(50.0)),
        fractional_millis(tally.latency.percentile(99.0)),
        fractional_millis(tally.latency.worst()),
    ];
    for row in &mut model.clusters {
        let served: u32 = tally
            .between(elapsed.saturating_sub(NOW), elapsed)
            .filter_map(|slot| slot.served.get(&row.name))
            .sum();
        row.rate = f64::from(served) / NOW.as_secs_f64();
        row.share = share(tally, &row.name, elapsed.saturating_sub(NOW), elapsed).unwrap_or(0.0);
        row.total = tally.per_cluster.get(&row.name).copied().unwrap_or(0);
        row.health = health.of(&row.name);
        row.history = (1..=HISTORY)
            .rev()
            .filter_map(|ago| {
                let from = elapsed.checked_sub(NOW * ago)?;
                Some(share(tally, &row.name, from, from + NOW).unwrap_or(0.0))
            })
            .collect();
    }
}

/// The figures in one line.
pub(super) fn progress(model: &Model) -> String {
    let clusters: Vec<String> = model
        .clusters
        .iter()
        .map(|row| format!("{} {:.0}/s ({})", row.name, row.rate, row.health))
        .collect();
    let [_, p99, worst] = model.latency_ms;
    format!(
        "{} requests, {} failed, p99 {p99:.1} ms, worst {worst:.1} ms; {}",
        model.requests,
        model.failed,
        clusters.join(", ")
    )
}
