//! Nodes, namespaces, configuration and events.

use super::age::age;
use super::column::{AGE, Column, NAME, number, or_none, text, wide};
use crate::object::{self, int, items};
use jiff::Timestamp;
use serde_json::Value;

pub(super) const NODES: &[Column] = &[
    NAME,
    text("Status", |o, _| Value::from(node_status(o))),
    text("Roles", |o, _| or_none(roles(o))),
    AGE,
    text("Version", |o, _| {
        Value::from(object::text(o, "/status/nodeInfo/kubeletVersion"))
    }),
    wide("Internal-IP", |o, _| or_none(node_address(o, "InternalIP"))),
    wide("External-IP", |o, _| or_none(node_address(o, "ExternalIP"))),
    wide("OS-Image", |o, _| {
        or_unknown(object::text(o, "/status/nodeInfo/osImage"))
    }),
    wide("Kernel-Version", |o, _| {
        or_unknown(object::text(o, "/status/nodeInfo/kernelVersion"))
    }),
    wide("Container-Runtime", |o, _| {
        or_unknown(object::text(o, "/status/nodeInfo/containerRuntimeVersion"))
    }),
];

pub(super) const NAMESPACES: &[Column] = &[
    NAME,
    text("Status", |o, _| {
        Value::from(object::text(o, "/status/phase"))
    }),
    AGE,
];

pub(super) const CONFIG_MAPS: &[Column] = &[
    NAME,
    number("Data", |o, _| {
        Value::from(members(o, "data") + members(o, "binaryData"))
    }),
    AGE,
];

pub(super) const SECRETS: &[Column] = &[
    NAME,
    text("Type", |o, _| Value::from(object::text(o, "/type"))),
    number("Data", |o, _| Value::from(members(o, "data"))),
    AGE,
];

pub(super) const LEASES: &[Column] = &[
    NAME,
    text("Holder", |o, _| {
        Value::from(object::text(o, "/spec/holderIdentity"))
    }),
    AGE,
];

pub(super) const CREATED_AT: &[Column] = &[
    NAME,
    text("Created At", |o, _| {
        Value::from(object::meta(o, "creationTimestamp"))
    }),
];

pub(super) const EVENTS: &[Column] = &[
    text("Last Seen", last_seen),
    text("Type", |o, _| Value::from(object::text(o, "/type"))),
    text("Reason", |o, _| Value::from(object::text(o, "/reason"))),
    text("Object", |o, _| {
        let about = involved(o);
        let kind = object::text(about, "/kind").to_lowercase();
        Value::from(format!("{kind}/{}", object::text(about, "/name")))
    }),
    wide("Subobject", |o, _| {
        Value::from(object::text(involved(o), "/fieldPath"))
    }),
    wide("Source", |o, _| Value::from(source(o))),
    text("Message", |o, _| {
        let message = [object::text(o, "/message"), object::text(o, "/note")];
        Value::from(
            message
                .into_iter()
                .find(|m| !m.is_empty())
                .unwrap_or("")
                .trim(),
        )
    }),
    wide("First Seen", |o, now| {
        let times = ["/firstTimestamp", "/deprecatedFirstTimestamp", "/eventTime"];
        Value::from(age(first_of(o, &times), now))
    }),
    wide("Count", |o, _| {
        let counts = ["/series/count", "/count", "/deprecatedCount"];
        Value::from(
            counts
                .iter()
                .find_map(|p| int(o, p))
                .unwrap_or(1)
                .to_string(),
        )
    }),
    wide("Name", |o, _| Value::from(object::name(o))),
];

fn or_unknown(text: &str) -> Value {
    Value::from(if text.is_empty() { "<unknown>" } else { text })
}

fn members(object: &Value, field: &str) -> usize {
    object
        .get(field)
        .and_then(Value::as_object)
        .map_or(0, serde_json::Map::len)
}

fn node_status(node: &Value) -> String {
    let ready = items(node.pointer("/status/conditions"))
        .iter()
        .find(|c| c["type"] == "Ready");
    let state = match ready.map(|c| object::text(c, "/status")) {
        Some("True") => "Ready",
        Some("False") => "NotReady",
        // kubectl shows no difference between a silent node and one of no condition.
        Some(_) => "NotReady",
        None => "Unknown",
    };
    let closed = node.pointer("/spec/unschedulable") == Some(&Value::Bool(true));
    format!("{state}{}", if closed { ",SchedulingDisabled" } else { "" })
}

fn roles(node: &Value) -> String {
    let labels = node.pointer("/metadata/labels").and_then(Value::as_object);
    let mut all: Vec<&str> = labels
        .into_iter()
        .flatten()
        .filter_map(|(k, _)| k.strip_prefix("node-role.kubernetes.io/"))
        .filter(|r| !r.is_empty())
        .collect();
    all.sort_unstable();
    all.join(",")
}

fn node_address<'a>(node: &'a Value, kind: &str) -> &'a str {
    items(node.pointer("/status/addresses"))
        .iter()
        .find(|a| a["type"] == kind)
        .map_or("", |a| object::text(a, "/address"))
}

/// The object an event is about, in either version's field.
fn involved(event: &Value) -> &Value {
    event
        .get("involvedObject")
        .or_else(|| event.get("regarding"))
        .unwrap_or(&Value::Null)
}

fn first_of<'a>(event: &'a Value, pointers: &[&str]) -> &'a str {
    pointers
        .iter()
        .map(|p| object::text(event, p))
        .find(|t| !t.is_empty())
        .unwrap_or("")
}

fn last_seen(event: &Value, now: Timestamp) -> Value {
    let times = [
        "/series/lastObservedTime",
        "/lastTimestamp",
        "/deprecatedLastTimestamp",
        "/eventTime",
    ];
    Value::from(age(first_of(event, &times), now))
}

fn source(event: &Value) -> String {
    let component = [
        "/source/component",
        "/deprecatedSource/component",
        "/reportingComponent",
        "/reportingController",
    ];
    let host = [
        "/source/host",
        "/deprecatedSource/host",
        "/reportingInstance",
    ];
    match (first_of(event, &component), first_of(event, &host)) {
        (component, "") => component.to_owned(),
        (component, host) => format!("{component}, {host}"),
    }
}
