//! From figures and states to what the view and the progress lines show.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::fleet::{Fleet, kubeconfig};
use super::health::Watch;
use super::view::{Model, Row};
use super::{CLUSTERS, Options, sample};
use crate::commands::Strategy;
use crate::load::{Tally, fractional_millis, share};

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

/// What a person can try while it runs.
pub(super) fn hints(fleet: &Fleet, gateway: SocketAddr, dir: &Path) -> Vec<String> {
    let mut hints = vec![format!(
        "curl -H 'Host: {}' http://{gateway}/",
        sample::HOST
    )];
    if let Ok(path) = kubeconfig(&fleet.hub) {
        hints.push(format!(
            "kubectl --kubeconfig {} get clusters,ingress -A",
            path.display()
        ));
    }
    for member in fleet.members() {
        if let Ok(path) = kubeconfig(&member.ready) {
            hints.push(format!(
                "kubectl --kubeconfig {} get pods -A",
                path.display()
            ));
        }
    }
    hints.push(format!(
        "tidegate demo fail az1 --data-dir {dir}   tidegate demo heal az1 --data-dir {dir}",
        dir = dir.display()
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
