//! The status of a pod, made from its containers.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
    ContainerStatus, HostIP, Pod, PodCondition, PodIP, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::container::{Ended, Slot, State};

/// Where a pod runs.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) ip: String,
    pub(super) host_ip: String,
}

/// The status of `pod`; `before` is the one written last, whose times are kept where nothing changed.
pub(super) fn pod_status(
    pod: &Pod,
    before: &PodStatus,
    slots: &[Slot],
    place: &Place,
    now: Timestamp,
) -> PodStatus {
    let containers: Vec<ContainerStatus> = slots.iter().map(container_status).collect();
    let phase = phase(slots);
    let finished = matches!(phase, "Succeeded" | "Failed");
    let unready: Vec<&str> = containers
        .iter()
        .filter(|c| !c.ready)
        .map(|c| c.name.as_str())
        .collect();
    let ready = match (finished, unready.as_slice()) {
        (true, _) => Ready::No("PodCompleted", None),
        (false, []) => Ready::Yes,
        (false, names) => Ready::No(
            "ContainersNotReady",
            Some(format!(
                "containers with unready status: [{}]",
                names.join(" ")
            )),
        ),
    };
    let mut conditions: Vec<PodCondition> = before
        .conditions
        .iter()
        .flatten()
        .filter(|c| {
            !matches!(
                c.type_.as_str(),
                "PodScheduled" | "Initialized" | "ContainersReady" | "Ready"
            )
        })
        .cloned()
        .collect();
    for (type_, state) in [
        ("PodScheduled", &Ready::Yes),
        ("Initialized", &Ready::Yes),
        ("ContainersReady", &ready),
        ("Ready", &ready),
    ] {
        conditions.push(condition(type_, state, before, pod, now));
    }
    PodStatus {
        phase: Some(phase.to_owned()),
        conditions: Some(conditions),
        pod_ip: Some(place.ip.clone()),
        pod_ips: Some(vec![PodIP {
            ip: place.ip.clone(),
        }]),
        host_ip: Some(place.host_ip.clone()),
        host_ips: Some(vec![HostIP {
            ip: place.host_ip.clone(),
        }]),
        start_time: Some(before.start_time.clone().unwrap_or(Time(seconds(now)))),
        container_statuses: Some(containers),
        reason: None,
        message: None,
        ..before.clone()
    }
}

/// The API keeps times in whole seconds; with more, every status would seem new.
fn seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

enum Ready {
    Yes,
    No(&'static str, Option<String>),
}

fn condition(
    type_: &str,
    ready: &Ready,
    before: &PodStatus,
    pod: &Pod,
    now: Timestamp,
) -> PodCondition {
    let (status, reason, message) = match ready {
        Ready::Yes => ("True", None, None),
        Ready::No(reason, message) => ("False", Some((*reason).to_owned()), message.clone()),
    };
    let old = before
        .conditions
        .iter()
        .flatten()
        .find(|c| c.type_ == type_);
    let since = old
        .filter(|c| c.status == status)
        .and_then(|c| c.last_transition_time.clone());
    PodCondition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason,
        message,
        last_transition_time: Some(since.unwrap_or(Time(seconds(now)))),
        observed_generation: pod.metadata.generation,
        ..PodCondition::default()
    }
}

fn phase(slots: &[Slot]) -> &'static str {
    let ended = slots.iter().filter_map(|slot| match &slot.state {
        State::Ended(ended) => Some(ended.exit_code),
        _ => None,
    });
    let codes: Vec<i32> = ended.collect();
    if !slots.is_empty() && codes.len() == slots.len() {
        return if codes.iter().all(|code| *code == 0) {
            "Succeeded"
        } else {
            "Failed"
        };
    }
    if slots.iter().all(|slot| slot.runs > 0) {
        "Running"
    } else {
        "Pending"
    }
}

fn container_status(slot: &Slot) -> ContainerStatus {
    let mut state = ContainerState::default();
    let (mut ready, mut started) = (false, false);
    let mut id = (slot.runs > 0).then(|| format!("process://{}-{}", slot.spec.name, slot.runs));
    match &slot.state {
        State::Waiting {
            reason, message, ..
        } => {
            state.waiting = Some(ContainerStateWaiting {
                reason: Some((*reason).to_owned()),
                message: message.clone(),
            });
        }
        State::Running(running) => {
            ready = running.ready();
            started = running.started();
            id = Some(format!("process://{}", running.process.pid));
            state.running = Some(ContainerStateRunning {
                started_at: Some(Time(seconds(running.since))),
            });
        }
        State::Ended(ended) => state.terminated = Some(terminated(ended)),
    }
    let image = slot.spec.image.clone().unwrap_or_default();
    ContainerStatus {
        name: slot.spec.name.clone(),
        image_id: image.clone(),
        image,
        container_id: id,
        ready,
        started: Some(started),
        restart_count: i32::try_from(slot.runs.saturating_sub(1)).unwrap_or(i32::MAX),
        state: Some(state),
        last_state: Some(ContainerState {
            terminated: slot.last.as_ref().map(terminated),
            ..ContainerState::default()
        }),
        ..ContainerStatus::default()
    }
}

fn terminated(ended: &Ended) -> ContainerStateTerminated {
    let time = |at: Option<Timestamp>| at.map(|at| Time(seconds(at)));
    ContainerStateTerminated {
        exit_code: ended.exit_code,
        signal: ended.signal,
        reason: Some(ended.reason.clone()),
        message: ended.message.clone(),
        started_at: time(ended.started),
        finished_at: time(ended.finished),
        ..ContainerStateTerminated::default()
    }
}

#[cfg(test)]
mod tests;
