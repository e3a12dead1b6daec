//! Between the version a client speaks and the stored one.

use crate::registry::Kind;
use serde_json::{Map, Value};

/// Core v1 Event fields and their names in events.k8s.io/v1.
const EVENT_FIELDS: &[(&str, &str)] = &[
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("count", "deprecatedCount"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
];

impl Kind {
    /// Whether the stored form differs from this version's.
    pub(crate) fn is_converted(&self) -> bool {
        self.api_version() != self.storage_api_version
    }

    /// To the stored version.
    pub(crate) fn in_stored_version(&self, value: Value) -> Value {
        if self.is_converted() {
            self.convert(value, &self.storage_api_version, Direction::ToStorage)
        } else {
            value
        }
    }

    /// From the stored version.
    pub(crate) fn in_served_version(&self, value: &Value) -> Value {
        if value.get("apiVersion").and_then(Value::as_str) == Some(&self.api_version()) {
            value.clone()
        } else {
            self.convert(value.clone(), &self.api_version(), Direction::FromStorage)
        }
    }

    fn convert(&self, mut value: Value, api_version: &str, direction: Direction) -> Value {
        let Some(map) = value.as_object_mut() else {
            return value;
        };
        if self.is("events") {
            *map = std::mem::take(map)
                .into_iter()
                .map(|(name, v)| (event_field(name, direction), v))
                .collect::<Map<_, _>>();
        }
        if let Some(v) = map.get_mut("apiVersion") {
            *v = Value::from(api_version);
        }
        value
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    ToStorage,
    FromStorage,
}

fn event_field(name: String, direction: Direction) -> String {
    let found = EVENT_FIELDS.iter().find_map(|(core, new)| match direction {
        Direction::ToStorage => (*new == name).then_some(*core),
        Direction::FromStorage => (*core == name).then_some(*new),
    });
    found.map_or(name, str::to_owned)
}
