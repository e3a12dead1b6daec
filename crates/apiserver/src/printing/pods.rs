//! Pods: the STATUS column sums up phase, conditions and containers.

use super::age::age;
use super::column::{AGE, Column, NAME, or_none, text, wide};
use crate::object::{self, int, items};
use jiff::Timestamp;
use serde_json::Value;

pub(super) const PODS: &[Column] = &[
    NAME,
    text("Ready", |o, _| Value::from(ready(o))),
    text("Status", |o, _| Value::from(status(o))),
    text("Restarts", |o, now| Value::from(restarts(o, now))),
    AGE,
    wide("IP", |o, _| or_none(object::text(o, "/status/podIP"))),
    wide("Node", |o, _| or_none(object::text(o, "/spec/nodeName"))),
    wide("Nominated Node", |o, _| {
        or_none(object::text(o, "/status/nominatedNodeName"))
    }),
    wide("Readiness Gates", |o, _| Value::from(gates(o))),
];

fn statuses(pod: &Value) -> &[Value] {
    items(pod.pointer("/status/containerStatuses"))
}

fn ready(pod: &Value) -> String {
    let ready = statuses(pod).iter().filter(|c| c["ready"] == true).count();
    let all = items(pod.pointer("/spec/containers")).len();
    format!("{ready}/{all}")
}

fn status(pod: &Value) -> String {
    if object::is_deleting(pod) {
        return match object::text(pod, "/status/phase") {
            phase @ ("Succeeded" | "Failed") => phase.to_owned(),
            _ if object::text(pod, "/status/reason") == "NodeLost" => "Unknown".to_owned(),
            _ => "Terminating".to_owned(),
        };
    }
    if let Some(reason) = init_reason(pod) {
        return reason;
    }
    let mut shown = match object::text(pod, "/status/reason") {
        "" => object::text(pod, "/status/phase").to_owned(),
        reason => reason.to_owned(),
    };
    let mut running = false;
    for container in statuses(pod).iter().rev() {
        match stopped_reason(container) {
            Some(reason) => shown = reason,
            None => {
                running |= container["ready"] == true && container["state"].get("running").is_some()
            }
        }
    }
    // One container has ended, another still runs.
    if shown == "Completed" && running {
        shown = if has_condition(pod, "Ready") {
            "Running"
        } else {
            "NotReady"
        }
        .to_owned();
    }
    shown
}

/// Why a container waits or how it ended; `None` while it runs.
fn stopped_reason(container: &Value) -> Option<String> {
    let waiting = object::text(container, "/state/waiting/reason");
    if !waiting.is_empty() {
        return Some(waiting.to_owned());
    }
    let ended = container.pointer("/state/terminated")?;
    let code = |field: &str| ended.get(field).and_then(Value::as_i64).unwrap_or(0);
    Some(match (object::text(ended, "/reason"), code("signal")) {
        ("", 0) => format!("ExitCode:{}", code("exitCode")),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    })
}

/// What holds the init containers up; `None` when they are done.
fn init_reason(pod: &Value) -> Option<String> {
    let all = items(pod.pointer("/spec/initContainers"));
    let states = items(pod.pointer("/status/initContainerStatuses"));
    for (at, state) in states.iter().enumerate() {
        if int(state, "/state/terminated/exitCode") == Some(0) {
            continue;
        }
        return Some(match stopped_reason(state).as_deref() {
            None | Some("PodInitializing") => format!("Init:{at}/{}", all.len()),
            Some(reason) => format!("Init:{reason}"),
        });
    }
    None
}

fn has_condition(pod: &Value, name: &str) -> bool {
    items(pod.pointer("/status/conditions"))
        .iter()
        .any(|c| c["type"] == name && c["status"] == "True")
}

/// The restarts of all containers, and how long ago the last was.
fn restarts(pod: &Value, now: Timestamp) -> String {
    let containers = statuses(pod);
    let total: i64 = containers
        .iter()
        .filter_map(|c| int(c, "/restartCount"))
        .sum();
    let last = containers
        .iter()
        .map(|c| object::text(c, "/lastState/terminated/finishedAt"))
        .max()
        .unwrap_or("");
    if total == 0 || last.is_empty() {
        total.to_string()
    } else {
        format!("{total} ({} ago)", age(last, now))
    }
}

fn gates(pod: &Value) -> String {
    let gates = items(pod.pointer("/spec/readinessGates"));
    if gates.is_empty() {
        return "<none>".to_owned();
    }
    let met = gates
        .iter()
        .filter(|g| has_condition(pod, object::text(g, "/conditionType")))
        .count();
    format!("{met}/{}", gates.len())
}
