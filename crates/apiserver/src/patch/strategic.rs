//! Strategic merge patch: a merge patch that knows lists with keys, and directives.

use super::types::Place;
use crate::object;
use crate::registry::Kind;
use crate::status::{ApiResult, Status};
use crate::types::Strategic;
use serde_json::{Map, Value};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_PRIMITIVES: &str = "$deleteFromPrimitiveList/";
const ELEMENT_ORDER: &str = "$setElementOrder/";

/// Applies a strategic merge patch to an object of a built-in kind.
pub(crate) fn strategic_merge(kind: &Kind, current: &Value, patch: &Value) -> ApiResult<Value> {
    let root = Place::root(kind);
    let (Some(current), Some(patch)) = (current.as_object(), patch.as_object()) else {
        return Err(Status::bad_request("the patch must be a JSON object"));
    };
    merge_map(&root, current, patch).map(Value::Object)
}

/// What `$patch` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Directive {
    Merge,
    Replace,
    Delete,
}

fn directive(patch: &Map<String, Value>) -> ApiResult<Directive> {
    match patch.get(DIRECTIVE).and_then(Value::as_str) {
        None if patch.contains_key(DIRECTIVE) => {
            Err(Status::bad_request("$patch must be a string"))
        }
        None | Some("merge") => Ok(Directive::Merge),
        Some("replace") => Ok(Directive::Replace),
        Some("delete") => Ok(Directive::Delete),
        Some(other) => Err(Status::bad_request(format!(
            "$patch must be merge, replace or delete, not {other:?}"
        ))),
    }
}

fn merge_map(
    place: &Place<'_>,
    current: &Map<String, Value>,
    patch: &Map<String, Value>,
) -> ApiResult<Map<String, Value>> {
    match directive(patch)? {
        Directive::Replace => {
            let mut new = patch.clone();
            new.shift_remove(DIRECTIVE);
            return Ok(new);
        }
        Directive::Delete => return Ok(Map::new()),
        Directive::Merge => {}
    }
    let mut out = current.clone();
    if let Some(keep) = patch.get(RETAIN_KEYS) {
        let keep = object::strings(Some(keep));
        out.retain(|name, _| keep.contains(&name.as_str()));
    }
    for (name, value) in patch {
        if let Some(list) = name.strip_prefix(DELETE_PRIMITIVES) {
            let gone = object::items(Some(value));
            if let Some(items) = out.get_mut(list).and_then(Value::as_array_mut) {
                items.retain(|item| !gone.contains(item));
            }
            continue;
        }
        if name.starts_with('$') {
            // The order is applied after the merge; the other directives are dealt with above.
            continue;
        }
        match value {
            Value::Null => {
                out.shift_remove(name);
            }
            _ => {
                let merged = merge_value(&place.field(name), out.get(name), value)?;
                match merged {
                    Some(merged) => {
                        out.insert(name.clone(), merged);
                    }
                    None => {
                        out.shift_remove(name);
                    }
                }
            }
        }
    }
    for (name, order) in patch {
        if let Some(list) = name.strip_prefix(ELEMENT_ORDER)
            && let Some(items) = out.get_mut(list).and_then(Value::as_array_mut)
        {
            reorder(&place.field(list), items, object::items(Some(order)));
        }
    }
    Ok(out)
}

fn merge_value(
    place: &Place<'_>,
    current: Option<&Value>,
    patch: &Value,
) -> ApiResult<Option<Value>> {
    match (current, patch) {
        (current, Value::Object(patch)) => {
            if current.is_some() && directive(patch)? == Directive::Delete {
                return Ok(None);
            }
            let empty = Map::new();
            let current = current.and_then(Value::as_object).unwrap_or(&empty);
            merge_map(place, current, patch).map(|m| Some(Value::Object(m)))
        }
        (current, Value::Array(patch)) => {
            let current = object::items(current);
            merge_list(place, current, patch).map(|l| Some(Value::Array(l)))
        }
        _ => Ok(Some(patch.clone())),
    }
}

fn merge_list(place: &Place<'_>, current: &[Value], patch: &[Value]) -> ApiResult<Vec<Value>> {
    let key = match place.strategic() {
        Strategic::Plain => return clean_list(patch),
        Strategic::MergeValues => {
            let mut out = current.to_vec();
            out.extend(patch.iter().filter(|p| !current.contains(p)).cloned());
            return Ok(out);
        }
        Strategic::MergeBy(key) => key,
    };
    let mut out = current.to_vec();
    let mut replaced = false;
    for item in patch {
        let Some(item) = item.as_object() else {
            return Err(Status::bad_request(format!(
                "items of a list merged by {key:?} must be objects"
            )));
        };
        let what = directive(item)?;
        let Some(wanted) = item.get(&key) else {
            if what == Directive::Replace {
                // `[{"$patch": "replace"}, ...]`: what follows is the whole list.
                out.clear();
                replaced = true;
                continue;
            }
            return Err(Status::bad_request(format!(
                "map: {} does not contain declared merge key: {key}",
                Value::Object(item.clone())
            )));
        };
        let at = out.iter().position(|o| o.get(&key) == Some(wanted));
        match (what, at) {
            (Directive::Delete, Some(at)) => {
                out.remove(at);
            }
            (Directive::Delete, None) => {}
            (Directive::Merge | Directive::Replace, Some(at)) if !replaced => {
                let empty = Map::new();
                let merged = merge_map(&place.item(), out[at].as_object().unwrap_or(&empty), item)?;
                out[at] = Value::Object(merged);
            }
            (Directive::Merge | Directive::Replace, _) => {
                out.push(Value::Object(merge_map(&place.item(), &Map::new(), item)?));
            }
        }
    }
    Ok(out)
}

/// An atomic list is taken as it is, less the directives in it.
fn clean_list(patch: &[Value]) -> ApiResult<Vec<Value>> {
    let only_directive = |v: &Value| {
        v.as_object()
            .is_some_and(|m| m.len() == 1 && m.contains_key(DIRECTIVE))
    };
    Ok(patch
        .iter()
        .filter(|v| !only_directive(v))
        .cloned()
        .collect())
}

/// Puts listed items into the given order; others keep their places at the end.
fn reorder(place: &Place<'_>, items: &mut [Value], order: &[Value]) {
    let key = match place.strategic() {
        Strategic::MergeBy(key) => Some(key),
        Strategic::Plain | Strategic::MergeValues => None,
    };
    let rank = |item: &Value| {
        let found = order.iter().position(|o| match &key {
            Some(key) => o.get(key).is_some() && o.get(key) == item.get(key),
            None => o == item,
        });
        found.unwrap_or(usize::MAX)
    };
    items.sort_by_key(rank);
}
