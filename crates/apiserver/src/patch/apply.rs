//! Server-side apply: merge what a manager wants into the object, with ownership of every field.

use super::compare::{compare, fields_of, item_element, keyed};
use super::fields::Fields;
use super::managed::{Entry, ownable, subresource, write_all};
use super::types::Place;
use crate::crd::MapType;
use crate::object;
use crate::ops::Part;
use crate::registry::Kind;
use crate::status::{ApiResult, Status};
use serde_json::{Map, Value, json};

/// What happens when another manager owns a field with another value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Conflicts {
    /// 409 that names the managers.
    #[default]
    Refuse,
    /// The fields change hands.
    Force,
}

/// A manager's wish.
#[derive(Debug)]
pub(crate) struct Applied<'a> {
    pub(crate) manager: &'a str,
    pub(crate) part: Part,
    pub(crate) conflicts: Conflicts,
    /// The whole configuration, with apiVersion, kind and name.
    pub(crate) config: &'a Value,
}

/// The object that results, with its managed fields; `live` is null when there is none yet.
pub(crate) fn apply(kind: &Kind, live: &Value, wish: &Applied<'_>) -> ApiResult<Value> {
    let given = object::items(wish.config.pointer("/metadata/managedFields"));
    if !given.is_empty() {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    let root = Place::root(kind);
    let config = restrict(kind, wish.part, ownable(wish.config));
    let wanted = fields_of_config(&root, &config);
    let mut merged = merge(&root, Some(live).filter(|l| !l.is_null()), &config);
    carry_identity(live, wish.config, &mut merged);

    let mut entries = Entry::read_all(live);
    let mine = entries
        .iter()
        .position(|e| e.is(wish.manager, "Apply", wish.part))
        .map(|i| entries.remove(i));
    let changed = compare(&root, Some(&ownable(live)), Some(&ownable(&merged))).set;
    resolve_conflicts(wish, &wanted, &changed, &mut entries)?;

    let before = mine.as_ref().map(|m| m.fields.clone()).unwrap_or_default();
    let mut kept = wanted.clone();
    for entry in &entries {
        kept.union(&entry.fields);
    }
    let dropped = before.minus(&wanted);
    remove(&root, &mut merged, &dropped, &kept);

    let unchanged = mine
        .as_ref()
        .is_some_and(|m| m.fields == wanted && m.api_version == kind.api_version());
    let time = mine
        .filter(|_| unchanged)
        .map_or_else(object::now, |m| m.time);
    entries.insert(
        0,
        Entry {
            manager: wish.manager.to_owned(),
            operation: "Apply".to_owned(),
            api_version: kind.api_version(),
            subresource: subresource(wish.part).to_owned(),
            time,
            fields: wanted,
        },
    );
    write_all(&mut merged, entries);
    Ok(merged)
}

/// Only what the endpoint covers is applied: the main one leaves status alone, the status one all else.
fn restrict(kind: &Kind, part: Part, mut config: Value) -> Value {
    if let Some(map) = config.as_object_mut() {
        match part {
            Part::Main => {
                if kind.status == crate::registry::StatusMode::Subresource {
                    map.shift_remove("status");
                }
            }
            Part::Status => map.retain(|name, _| name == "status"),
            Part::Finalize => map.retain(|name, _| name == "spec"),
        }
    }
    config
}

fn fields_of_config(root: &Place<'_>, config: &Value) -> Fields {
    // An empty configuration owns nothing, not "the object".
    if config.as_object().is_none_or(Map::is_empty) {
        Fields::default()
    } else {
        fields_of(root, config)
    }
}

/// Identity and a pinned resourceVersion are not merged, they are carried over.
fn carry_identity(live: &Value, config: &Value, merged: &mut Value) {
    for field in ["apiVersion", "kind"] {
        if let (Some(value), Some(map)) = (config.get(field), merged.as_object_mut()) {
            map.insert(field.to_owned(), value.clone());
        }
    }
    for field in ["name", "namespace", "uid", "resourceVersion"] {
        let value = [config, live]
            .into_iter()
            .map(|o| object::meta(o, field))
            .find(|v| !v.is_empty());
        if let Some(value) = value {
            let value = Value::from(value);
            object::set_meta(merged, field, Some(value));
        }
    }
}

fn resolve_conflicts(
    wish: &Applied<'_>,
    wanted: &Fields,
    changed: &Fields,
    entries: &mut [Entry],
) -> ApiResult<()> {
    let touched = wanted.intersect(changed);
    let mut causes = Vec::new();
    let mut listed: Vec<(String, Vec<String>)> = Vec::new();
    for entry in entries.iter_mut() {
        let both = entry.fields.intersect(&touched);
        if both.is_empty() {
            continue;
        }
        match wish.conflicts {
            Conflicts::Force => entry.fields = entry.fields.minus(&both),
            Conflicts::Refuse => {
                let with = if entry.subresource.is_empty() {
                    format!("{:?} using {}", entry.manager, entry.api_version)
                } else {
                    format!(
                        "{:?} with subresource {:?} using {}",
                        entry.manager, entry.subresource, entry.api_version
                    )
                };
                let paths = both.paths();
                for path in &paths {
                    let message = format!("conflict with {with}");
                    causes.push(json!({"reason": "FieldManagerConflict", "message": message, "field": path}));
                }
                listed.push((with, paths));
            }
        }
    }
    if causes.is_empty() {
        return Ok(());
    }
    let parts: Vec<String> = listed
        .iter()
        .map(|(with, paths)| match paths.as_slice() {
            [one] => format!("conflict with {with}: {one}"),
            many => format!("conflicts with {with}:\n- {}", many.join("\n- ")),
        })
        .collect();
    let noun = if causes.len() == 1 {
        "conflict"
    } else {
        "conflicts"
    };
    let message = format!(
        "Apply failed with {} {noun}: {}",
        causes.len(),
        parts.join("\n")
    );
    Err(Status {
        details: json!({"causes": causes}),
        ..Status::new(409, "Conflict", message)
    })
}

/// `config` over `live`: maps member by member, keyed lists item by item, everything else replaced.
fn merge(place: &Place<'_>, live: Option<&Value>, config: &Value) -> Value {
    match (live, config) {
        (Some(Value::Object(live)), Value::Object(config)) if place.map() == MapType::Granular => {
            let mut out = live.clone();
            for (name, value) in config {
                let merged = merge(&place.field(name), live.get(name), value);
                out.insert(name.clone(), merged);
            }
            Value::Object(out)
        }
        (Some(Value::Array(live)), Value::Array(config)) => {
            match (keyed(place, live), keyed(place, config)) {
                (Some(live), Some(config)) => Value::Array(merge_items(place, &live, &config)),
                _ => Value::Array(config.clone()),
            }
        }
        _ => config.clone(),
    }
}

/// Applied items come in the order of the configuration; items of others keep their place relative to
/// the live ones, and come before new ones.
fn merge_items(
    place: &Place<'_>,
    live: &[(String, &Value)],
    config: &[(String, &Value)],
) -> Vec<Value> {
    let known = |element: &str| live.iter().find(|(e, _)| e == element).map(|(_, v)| *v);
    let mut rest = live.iter().peekable();
    let mut out = Vec::with_capacity(live.len() + config.len());
    for (at, (element, item)) in config.iter().enumerate() {
        // Up to the next item that both have, what only the live list has goes first.
        let shared = config[at..]
            .iter()
            .map(|(e, _)| e)
            .find(|e| known(e).is_some());
        while let Some((e, value)) = rest.next_if(|(e, _)| Some(e) != shared) {
            if config.iter().all(|(c, _)| c != e) {
                out.push((*value).clone());
            }
        }
        rest.next_if(|(e, _)| e == element);
        out.push(merge(&place.item(), known(element), item));
    }
    let left = rest.filter(|(e, _)| config.iter().all(|(c, _)| c != e));
    out.extend(left.map(|(_, value)| (*value).clone()));
    out
}

/// Takes away fields that their manager no longer applies, unless somebody else keeps them.
fn remove(place: &Place<'_>, value: &mut Value, dropped: &Fields, kept: &Fields) {
    let nothing = Fields::default();
    match value {
        Value::Object(map) => {
            for (element, gone) in &dropped.children {
                let Some(name) = element.strip_prefix("f:") else {
                    continue;
                };
                let keep = kept.children.get(element).unwrap_or(&nothing);
                let Some(child) = map.get_mut(name) else {
                    continue;
                };
                if gone.own && keep.is_empty() {
                    map.shift_remove(name);
                    continue;
                }
                remove(&place.field(name), child, gone, keep);
                if is_hollow(child) && keep.is_empty() {
                    map.shift_remove(name);
                }
            }
        }
        Value::Array(list) => {
            let mut left = Vec::with_capacity(list.len());
            for mut item in std::mem::take(list) {
                let element = item_element(place, &item).unwrap_or_default();
                let keep = kept.children.get(&element).unwrap_or(&nothing);
                match dropped.children.get(&element) {
                    Some(gone) if gone.own && keep.is_empty() => {}
                    Some(gone) => {
                        remove(&place.item(), &mut item, gone, keep);
                        left.push(item);
                    }
                    None => left.push(item),
                }
            }
            *list = left;
        }
        _ => {}
    }
}

fn is_hollow(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}
