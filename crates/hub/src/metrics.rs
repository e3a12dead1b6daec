//! What the hub tells about itself on `/metrics`: how long decisions take, and how old its knowledge is.
//!
//! State is read when metrics are asked for; a pass pays for two histograms and nothing else. Labels are
//! clusters, kinds and severities, all of which are few.

use crate::decide::{Decided, Fleet};
use k8s_openapi::jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::{Arc, OnceLock};
use tidegate_feed::ReceiverStatus;
use tidegate_runtime::{gauge, gauges};
use tidegate_translate::{Freshness, Severity};
use tokio::sync::watch;

/// The hub's metrics. Clones share what they count.
#[derive(Clone, Debug)]
pub struct HubMetrics {
    pub(crate) decide: Histogram,
    pub(crate) publish: Histogram,
    state: Arc<OnceLock<State>>,
}

/// Where the state is read; there from the hub's start.
pub(crate) struct State {
    pub(crate) fleet: Fleet,
    pub(crate) decided: watch::Receiver<Option<Arc<Decided>>>,
    pub(crate) receivers: watch::Receiver<Vec<ReceiverStatus>>,
}

impl HubMetrics {
    /// Registers all of them.
    pub fn register(registry: &mut Registry) -> Self {
        // 100 us to 13 s.
        let seconds = || Histogram::new(exponential_buckets(1e-4, 2.0, 18));
        let metrics = Self {
            decide: seconds(),
            publish: seconds(),
            state: Arc::default(),
        };
        registry.register(
            "hub_decide_seconds",
            "From the objects as they were seen to the snapshot of gateways",
            metrics.decide.clone(),
        );
        registry.register(
            "hub_publish_seconds",
            "Comparing a snapshot with the last and handing it to the feed",
            metrics.publish.clone(),
        );
        registry.register_collector(Box::new(Told(Arc::clone(&metrics.state))));
        metrics
    }

    /// From now on the state is told. Only the first call counts: a process has one hub.
    pub(crate) fn follow(&self, state: State) {
        let _ = self.state.set(state);
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Told(Arc<OnceLock<State>>);

impl Collector for Told {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(state) = self.0.get() else {
            return Ok(());
        };
        let receivers = state.receivers.borrow().clone();
        let connected = receivers.iter().filter(|receiver| receiver.connected);
        gauge(
            &mut encoder,
            "hub_receivers_connected",
            "Gateways that hear the hub",
            count(connected.count()),
        )?;
        if let Some(decided) = state.decided.borrow().clone() {
            gauge(
                &mut encoder,
                "hub_generation",
                "The generation that was published last",
                i64::try_from(decided.generation.0).unwrap_or(i64::MAX),
            )?;
            objects(&mut encoder, &decided)?;
        }
        members(&mut encoder, &state.fleet)
    }
}

fn objects(encoder: &mut DescriptorEncoder<'_>, decided: &Decided) -> Result<(), fmt::Error> {
    let translation = &decided.translation;
    let sizes = [
        ("ingresses", translation.ingresses.len()),
        ("hosts", translation.snapshot.hosts.len()),
        ("backends", translation.snapshot.backends.len()),
        ("certificates", translation.snapshot.certificates.len()),
    ];
    let sizes = sizes.map(|(what, size)| (what, count(size)));
    let help = "What the snapshot holds, and the Ingresses it was made from";
    gauges(encoder, "hub_snapshot_size", help, "of", sizes)?;
    let of = |wanted: Severity| {
        let all = translation.diagnostics.iter();
        count(all.filter(|found| found.severity == wanted).count())
    };
    let problems = [
        ("error", of(Severity::Error)),
        ("warning", of(Severity::Warning)),
        ("note", of(Severity::Note)),
    ];
    let help = "What is wrong with objects, as their statuses say it";
    gauges(encoder, "hub_problems", help, "severity", problems)
}

fn members(encoder: &mut DescriptorEncoder<'_>, fleet: &Fleet) -> Result<(), fmt::Error> {
    let reports = fleet.reports();
    let known = reports.iter().map(|(name, report)| {
        let known = report.freshness == Freshness::Known;
        (name.as_str(), i64::from(known))
    });
    let help = "1 while the objects of a cluster are followed, 0 while they are what was seen last";
    gauges(encoder, "hub_member_known", help, "cluster", known)?;
    let now = Timestamp::now().as_second();
    let ages = reports.iter().filter_map(|(name, report)| {
        let answered = report.last_answer?.as_second();
        Some((name.as_str(), now.saturating_sub(answered).max(0)))
    });
    let help = "Since the API of a cluster has answered a probe";
    gauges(
        encoder,
        "hub_member_answer_age_seconds",
        help,
        "cluster",
        ages,
    )?;
    let ready = reports.iter();
    let ready = ready.map(|(name, report)| (name.as_str(), report.ready_endpoints));
    let help = "Ready endpoints of a cluster, as seen last";
    gauges(
        encoder,
        "hub_member_ready_endpoints",
        help,
        "cluster",
        ready,
    )
}

fn count(of: usize) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}
