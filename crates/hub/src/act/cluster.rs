//! The status of Clusters.

use super::Write;
use crate::observe::{Answer, HubObjects, Joining, MemberReport};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::collections::BTreeMap;
use tidegate_api::condition::{self, joined, observed, reachable};
use tidegate_api::{Cluster, ClusterStatus};
use tidegate_model::ClusterName;
use tidegate_translate::{Freshness, Kind, ObjectRef};

/// While nothing else changes, the time of the last answer is renewed so often.
const HEARTBEAT: SignedDuration = SignedDuration::from_secs(60);

pub(crate) fn writes(
    objects: &HubObjects,
    reports: &BTreeMap<ClusterName, MemberReport>,
) -> Vec<Write> {
    let clusters = objects.clusters.readable();
    let writes = clusters.iter().filter_map(|cluster| {
        let name = cluster.metadata.name.as_deref()?;
        let report = reports
            .iter()
            .find(|(known, _)| known.as_str() == name)
            .map(|(_, report)| report)?;
        let status = status(cluster, report, Timestamp::now())?;
        Some(Write::Status {
            object: ObjectRef::cluster_scoped(Kind::Cluster, name),
            patch: json!({ "status": status }),
        })
    });
    writes.collect()
}

/// A Cluster whose API has fallen silent, or answers again.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    pub(crate) name: String,
    /// What the condition says now, and why.
    pub(crate) reachable: bool,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    /// When what ends now began, in seconds since 1970: together with the name it stands for one turn.
    pub(crate) before_since: i64,
}

/// The Clusters that turn, as long as their status does not say so yet.
pub(crate) fn turns(
    objects: &HubObjects,
    reports: &BTreeMap<ClusterName, MemberReport>,
) -> Vec<Turn> {
    let clusters = objects.clusters.readable();
    let turned = clusters.iter().filter_map(|cluster| {
        let name = cluster.metadata.name.as_deref()?;
        let known = reports.iter().find(|(known, _)| known.as_str() == name);
        turn(cluster, name, known?.1)
    });
    turned.collect()
}

fn turn(cluster: &Cluster, name: &str, report: &MemberReport) -> Option<Turn> {
    let conditions = &cluster.status.as_ref()?.conditions;
    let before = conditions
        .iter()
        .find(|c| c.type_ == condition::REACHABLE)?;
    let (state, reason, message) = reachability(report);
    let turned = matches!(
        (before.status.as_str(), state),
        ("True" | "Unknown", "False") | ("False", "True")
    );
    turned.then(|| Turn {
        name: name.to_owned(),
        reachable: state == "True",
        reason,
        message,
        before_since: before.last_transition_time.0.as_second(),
    })
}

/// The status to write; nothing when there is no news.
fn status(cluster: &Cluster, report: &MemberReport, now: Timestamp) -> Option<ClusterStatus> {
    let before = cluster.status.clone().unwrap_or_default();
    let mut status = before.clone();
    let mut news = false;
    for (type_, (state, reason, message)) in [
        (condition::JOINED, joining(report)),
        (condition::REACHABLE, reachability(report)),
        (condition::OBSERVED, observation(report)),
    ] {
        // A hub that has just started knows less than it did: what it said last stays, with its time.
        let known = before.conditions.iter().any(|c| c.type_ == type_);
        if reason == reachable::NOT_PROBED && known {
            continue;
        }
        news |= condition::set(
            &mut status.conditions,
            Condition {
                type_: type_.to_owned(),
                status: state.to_owned(),
                reason: reason.to_owned(),
                message,
                observed_generation: cluster.metadata.generation,
                last_transition_time: Time(now),
            },
        );
    }
    status.version = report.version.clone().or(status.version);
    status.services = Some(report.services);
    status.ready_endpoints = Some(report.ready_endpoints);
    status.observed_generation = cluster.metadata.generation;
    news |= status != before;
    let last = report.last_answer.map(Time);
    let due = match (&last, &before.last_observed) {
        (Some(last), Some(before)) => last.0.duration_since(before.0) >= HEARTBEAT,
        (Some(_), None) => true,
        (None, _) => false,
    };
    (news || due).then(|| {
        status.last_observed = last.or(status.last_observed.take());
        status
    })
}

type State = (&'static str, &'static str, String);

fn joining(report: &MemberReport) -> State {
    match &report.joining {
        Joining::NotYet => (
            "Unknown",
            reachable::NOT_PROBED,
            "the kubeconfig has not been read yet".to_owned(),
        ),
        Joining::Joined => (
            "True",
            joined::JOINED,
            "the kubeconfig may be used".to_owned(),
        ),
        Joining::Failed { reason, text } => ("False", reason, text.clone()),
    }
}

fn reachability(report: &MemberReport) -> State {
    match &report.answer {
        Answer::NotProbed => (
            "Unknown",
            reachable::NOT_PROBED,
            "no probe has ended yet".to_owned(),
        ),
        Answer::Ready => ("True", reachable::READY, "/readyz answers".to_owned()),
        Answer::Failed { reason, text } => {
            let last = match report.last_answer {
                Some(at) => format!("last answer at {:.0}", at),
                None => "it has not answered since the hub started".to_owned(),
            };
            (
                "False",
                reason,
                format!("{text}; {last}; its endpoints stay in use as seen last"),
            )
        }
    }
}

fn observation(report: &MemberReport) -> State {
    let failure = report
        .failure
        .as_deref()
        .unwrap_or("its API does not answer");
    match report.freshness {
        Freshness::Known => (
            "True",
            observed::SYNCED,
            "Services and EndpointSlices are followed".to_owned(),
        ),
        Freshness::Stale => (
            "False",
            observed::STALE,
            format!("what was seen last stays in use: {failure}"),
        ),
        Freshness::Never => (
            "Unknown",
            observed::NEVER,
            format!("nothing was ever seen: {failure}"),
        ),
    }
}
