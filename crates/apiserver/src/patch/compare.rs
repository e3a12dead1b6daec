//! Which fields a value has, and which differ between two values.

use super::fields::Fields;
use super::types::Place;
use crate::crd::{ListType, MapType};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The written path element of a member.
pub(super) fn member(name: &str) -> String {
    format!("f:{name}")
}

/// The written path element of a list item, or `None` when the list is atomic or the item has no keys.
pub(super) fn item_element(place: &Place<'_>, item: &Value) -> Option<String> {
    match place.list() {
        ListType::Atomic => None,
        ListType::Set => Some(format!("v:{item}")),
        ListType::Map(keys) => {
            let of_item = place.item();
            let mut found: BTreeMap<&str, Value> = BTreeMap::new();
            for key in &keys {
                let value = item.get(key).cloned().or_else(|| of_item.key_default(key));
                if let Some(value) = value {
                    found.insert(key, value);
                }
            }
            let map: Map<String, Value> =
                found.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
            (!map.is_empty()).then(|| format!("k:{}", Value::Object(map)))
        }
    }
}

/// Items by path element; `None` when they cannot be told apart, so that the list is atomic.
pub(super) fn keyed<'v>(place: &Place<'_>, list: &'v [Value]) -> Option<Vec<(String, &'v Value)>> {
    if place.list() == ListType::Atomic {
        return None;
    }
    let mut all: Vec<(String, &Value)> = Vec::with_capacity(list.len());
    let mut seen = std::collections::HashSet::new();
    for item in list {
        let element = item_element(place, item)?;
        if !seen.insert(element.clone()) {
            return None;
        }
        all.push((element, item));
    }
    Some(all)
}

/// The fields a value sets: its leaves, and the items of its keyed lists.
pub(super) fn fields_of(place: &Place<'_>, value: &Value) -> Fields {
    match value {
        Value::Object(map) if !map.is_empty() && place.map() == MapType::Granular => {
            let mut fields = Fields::default();
            for (name, child) in map {
                fields.put(member(name), fields_of(&place.field(name), child));
            }
            fields
        }
        Value::Array(list) if !list.is_empty() => match keyed(place, list) {
            None => Fields::leaf(),
            Some(items) => {
                let mut fields = Fields::default();
                for (element, item) in items {
                    let mut child = fields_of(&place.item(), item);
                    child.own = true;
                    fields.put(element, child);
                }
                fields
            }
        },
        _ => Fields::leaf(),
    }
}

/// What became different from one value to another.
#[derive(Debug, Default)]
pub(super) struct Difference {
    /// Paths that were added or have another value.
    pub(super) set: Fields,
    /// Paths that are gone.
    pub(super) removed: Fields,
}

/// Compares two values of the same place.
pub(super) fn compare(place: &Place<'_>, old: Option<&Value>, new: Option<&Value>) -> Difference {
    match (old, new) {
        (None, None) => Difference::default(),
        (None, Some(new)) => {
            let mut set = fields_of(place, new);
            // The map or list itself is new, too.
            set.own = true;
            Difference {
                set,
                removed: Fields::default(),
            }
        }
        (Some(old), None) => {
            let mut removed = fields_of(place, old);
            removed.own = true;
            Difference {
                set: Fields::default(),
                removed,
            }
        }
        (Some(old), Some(new)) if old == new => Difference::default(),
        (Some(Value::Object(old)), Some(Value::Object(new)))
            if place.map() == MapType::Granular =>
        {
            let mut found = Difference::default();
            for name in old
                .keys()
                .chain(new.keys().filter(|n| !old.contains_key(*n)))
            {
                let inner = compare(&place.field(name), old.get(name), new.get(name));
                found.set.put(member(name), inner.set);
                found.removed.put(member(name), inner.removed);
            }
            found
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => {
            match (keyed(place, old), keyed(place, new)) {
                (Some(old), Some(new)) => {
                    let old: BTreeMap<String, &Value> = old.into_iter().collect();
                    let new: BTreeMap<String, &Value> = new.into_iter().collect();
                    let mut found = Difference::default();
                    for element in old
                        .keys()
                        .chain(new.keys().filter(|e| !old.contains_key(*e)))
                    {
                        let inner = compare(
                            &place.item(),
                            old.get(element).copied(),
                            new.get(element).copied(),
                        );
                        found.set.put(element.clone(), inner.set);
                        found.removed.put(element.clone(), inner.removed);
                    }
                    found
                }
                _ => Difference {
                    set: Fields::leaf(),
                    removed: Fields::default(),
                },
            }
        }
        _ => Difference {
            set: Fields::leaf(),
            removed: Fields::default(),
        },
    }
}
