//! `metadata.managedFields`: who set what.

use super::compare::{Difference, compare};
use super::fields::Fields;
use super::types::Place;
use crate::object;
use crate::ops::{Operation, Part, WriteOptions};
use crate::registry::Kind;
use serde_json::{Value, json};

/// Most entries of plain updates; older ones are put together, as kube-apiserver does.
const MAX_UPDATE_ENTRIES: usize = 10;

/// Metadata that the server sets or that identifies the object: nobody owns it.
const UNOWNED_METADATA: &[&str] = &[
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "managedFields",
];

/// One manager's fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) manager: String,
    pub(super) operation: String,
    pub(super) api_version: String,
    pub(super) subresource: String,
    pub(super) time: String,
    pub(super) fields: Fields,
}

impl Entry {
    /// Reads `metadata.managedFields`.
    pub(super) fn read_all(object: &Value) -> Vec<Entry> {
        object::items(object.pointer("/metadata/managedFields"))
            .iter()
            .map(|e| Entry {
                manager: object::text(e, "/manager").to_owned(),
                operation: object::text(e, "/operation").to_owned(),
                api_version: object::text(e, "/apiVersion").to_owned(),
                subresource: object::text(e, "/subresource").to_owned(),
                time: object::text(e, "/time").to_owned(),
                fields: Fields::parse(e.get("fieldsV1").unwrap_or(&Value::Null)),
            })
            .filter(|e| !e.operation.is_empty())
            .collect()
    }

    fn to_value(&self) -> Value {
        let mut value = json!({
            "manager": self.manager,
            "operation": self.operation,
            "apiVersion": self.api_version,
            "time": self.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": self.fields.to_value(),
        });
        if !self.subresource.is_empty() {
            value["subresource"] = Value::from(self.subresource.as_str());
        }
        value
    }

    /// Whether this is the entry of a manager's operation on a part.
    pub(super) fn is(&self, manager: &str, operation: &str, part: Part) -> bool {
        self.manager == manager
            && self.operation == operation
            && self.subresource == subresource(part)
    }
}

/// Writes `metadata.managedFields`, leaving it out when nobody owns anything.
pub(super) fn write_all(object: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|e| !e.fields.is_empty());
    // Appliers first; the sort is stable, so that others stay in the order they came.
    entries.sort_by_key(|e| e.operation != "Apply");
    let all: Vec<Value> = entries.iter().map(Entry::to_value).collect();
    object::set_meta(
        object,
        "managedFields",
        (!all.is_empty()).then(|| Value::from(all)),
    );
}

pub(super) fn subresource(part: Part) -> &'static str {
    match part {
        Part::Main => "",
        Part::Status => "status",
        Part::Finalize => "finalize",
    }
}

/// A copy of an object with only what managers can own.
pub(super) fn ownable(object: &Value) -> Value {
    let mut copy = object.clone();
    if let Some(map) = copy.as_object_mut() {
        map.shift_remove("apiVersion");
        map.shift_remove("kind");
        let empty = match map.get_mut("metadata").and_then(Value::as_object_mut) {
            Some(meta) => {
                meta.retain(|name, _| !UNOWNED_METADATA.contains(&name.as_str()));
                meta.is_empty()
            }
            None => true,
        };
        if empty {
            map.shift_remove("metadata");
        }
    }
    copy
}

/// Records the creator; an applier's entry is in the object already.
pub(crate) fn on_create(kind: &Kind, object: &mut Value, options: &WriteOptions) {
    if options.operation == Operation::Apply {
        return;
    }
    object::set_meta(object, "managedFields", None);
    let nothing = json!({});
    record(kind, Part::Main, &nothing, object, Vec::new(), options);
}

/// Records an updater. A client may edit the list itself (clearing it, or moving its own entries).
pub(crate) fn on_update(
    kind: &Kind,
    part: Part,
    old: &Value,
    new: &mut Value,
    options: &WriteOptions,
) {
    if options.operation == Operation::Apply {
        return;
    }
    let given = new
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array);
    let entries = if given.is_some() {
        Entry::read_all(new)
    } else {
        Entry::read_all(old)
    };
    if given.is_none() {
        let before = old.pointer("/metadata/managedFields").cloned();
        object::set_meta(new, "managedFields", before);
    }
    record(kind, part, old, new, entries, options);
}

fn record(
    kind: &Kind,
    part: Part,
    old: &Value,
    new: &mut Value,
    mut entries: Vec<Entry>,
    options: &WriteOptions,
) {
    let place = Place::root(kind);
    let Difference { set, removed } = compare(&place, Some(&ownable(old)), Some(&ownable(new)));
    if set.is_empty() && removed.is_empty() {
        return;
    }
    for entry in &mut entries {
        if !entry.is(&options.manager, "Update", part) {
            entry.fields = entry.fields.without_touched(&set);
        }
        entry.fields = entry.fields.without_touched(&removed);
    }
    if !set.is_empty() {
        match entries
            .iter_mut()
            .find(|e| e.is(&options.manager, "Update", part))
        {
            Some(mine) => {
                mine.fields.union(&set);
                mine.time = object::now();
                mine.api_version = kind.api_version();
            }
            None => entries.push(Entry {
                manager: options.manager.clone(),
                operation: "Update".to_owned(),
                api_version: kind.api_version(),
                subresource: subresource(part).to_owned(),
                time: object::now(),
                fields: set,
            }),
        }
    }
    put_old_updates_together(&mut entries);
    write_all(new, entries);
}

fn put_old_updates_together(entries: &mut Vec<Entry>) {
    while entries.iter().filter(|e| e.operation == "Update").count() > MAX_UPDATE_ENTRIES {
        let Some(first) = entries.iter().position(|e| e.operation == "Update") else {
            return;
        };
        let mut merged = entries.remove(first);
        merged.manager = "ancient-changes".to_owned();
        merged.subresource = String::new();
        let Some(next) = entries.iter_mut().find(|e| e.operation == "Update") else {
            return;
        };
        merged.fields.union(&next.fields);
        *next = Entry {
            time: next.time.clone(),
            ..merged
        };
    }
}
