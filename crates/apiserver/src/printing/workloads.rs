//! Deployments and the other owners of Pods.

use super::age::{age, span};
use super::column::{AGE, Column, NAME, number, or_none, pairs, text, wide};
use crate::object::{self, int, items};
use jiff::Timestamp;
use serde_json::Value;

pub(super) const DEPLOYMENTS: &[Column] = &[
    NAME,
    text("Ready", ready_of_wanted),
    text("Up-to-date", |o, _| count(o, "/status/updatedReplicas")),
    text("Available", |o, _| count(o, "/status/availableReplicas")),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(super) const REPLICASETS: &[Column] = &[
    NAME,
    number("Desired", |o, _| count(o, "/spec/replicas")),
    number("Current", |o, _| count(o, "/status/replicas")),
    number("Ready", |o, _| count(o, "/status/readyReplicas")),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(super) const STATEFULSETS: &[Column] = &[
    NAME,
    text("Ready", ready_of_wanted),
    AGE,
    CONTAINERS,
    IMAGES,
];

pub(super) const DAEMONSETS: &[Column] = &[
    NAME,
    number("Desired", |o, _| count(o, "/status/desiredNumberScheduled")),
    number("Current", |o, _| count(o, "/status/currentNumberScheduled")),
    number("Ready", |o, _| count(o, "/status/numberReady")),
    number("Up-to-date", |o, _| {
        count(o, "/status/updatedNumberScheduled")
    }),
    number("Available", |o, _| count(o, "/status/numberAvailable")),
    text("Node Selector", |o, _| {
        pairs(o.pointer("/spec/template/spec/nodeSelector"))
    }),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(super) const JOBS: &[Column] = &[
    NAME,
    text("Status", |o, _| Value::from(job_status(o))),
    text("Completions", |o, _| {
        let wanted = int(o, "/spec/completions").unwrap_or(1);
        Value::from(format!(
            "{}/{wanted}",
            int(o, "/status/succeeded").unwrap_or(0)
        ))
    }),
    text("Duration", job_duration),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

const CONTAINERS: Column = wide("Containers", |o, _| each_container(o, "/name"));
const IMAGES: Column = wide("Images", |o, _| each_container(o, "/image"));
const SELECTOR: Column = wide("Selector", |o, _| {
    pairs(o.pointer("/spec/selector/matchLabels"))
});

fn count(object: &Value, pointer: &str) -> Value {
    Value::from(int(object, pointer).unwrap_or(0))
}

fn ready_of_wanted(object: &Value, _: Timestamp) -> Value {
    let wanted = int(object, "/spec/replicas").unwrap_or(0);
    Value::from(format!(
        "{}/{wanted}",
        int(object, "/status/readyReplicas").unwrap_or(0)
    ))
}

fn each_container(object: &Value, field: &str) -> Value {
    let all: Vec<&str> = items(object.pointer("/spec/template/spec/containers"))
        .iter()
        .map(|c| object::text(c, field))
        .collect();
    or_none(all.join(","))
}

fn job_status(job: &Value) -> &str {
    let has = |name: &str| {
        items(job.pointer("/status/conditions"))
            .iter()
            .any(|c| c["type"] == name && c["status"] == "True")
    };
    match () {
        () if has("Complete") => "Complete",
        () if has("Failed") => "Failed",
        () if object::is_deleting(job) => "Terminating",
        () if has("Suspended") => "Suspended",
        () => "Running",
    }
}

fn job_duration(job: &Value, now: Timestamp) -> Value {
    let (start, end) = (
        object::text(job, "/status/startTime"),
        object::text(job, "/status/completionTime"),
    );
    if start.is_empty() {
        return Value::from("");
    }
    match (start.parse::<Timestamp>(), end.parse::<Timestamp>()) {
        (Ok(start), Ok(end)) => Value::from(span(end.as_second() - start.as_second())),
        _ => Value::from(age(start, now)),
    }
}
