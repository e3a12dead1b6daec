//! Columns of custom resources: `additionalPrinterColumns` with their JSON paths.

use super::age::age;
use super::column::{AGE, NAME};
use crate::crd::PrinterColumn;
use jiff::Timestamp;
use serde_json::{Value, json};

/// The column definitions: the name, then the CRD's columns, or the age when it has none.
pub(super) fn definitions(columns: &[PrinterColumn]) -> Vec<Value> {
    if columns.is_empty() {
        return vec![NAME.definition(), AGE.definition()];
    }
    let own = columns.iter().map(|c| {
        json!({
            "name": c.name,
            "type": c.kind,
            "format": c.format,
            "description": c.description,
            "priority": c.priority,
        })
    });
    std::iter::once(NAME.definition()).chain(own).collect()
}

/// The cells of one object.
pub(super) fn cells(columns: &[PrinterColumn], object: &Value, now: Timestamp) -> Vec<Value> {
    let name = (NAME.cell)(object, now);
    if columns.is_empty() {
        return vec![name, (AGE.cell)(object, now)];
    }
    let own = columns.iter().map(|c| {
        let found = lookup(object, &c.path);
        match (c.kind.as_str(), found.as_slice()) {
            (_, []) => Value::Null,
            ("date", [Value::String(time)]) => Value::from(age(time, now)),
            ("string" | "date", found) => {
                let all: Vec<String> = found.iter().map(|v| plain(v)).collect();
                Value::from(all.join(" "))
            }
            (_, [first, ..]) => (*first).clone(),
        }
    });
    std::iter::once(name).chain(own).collect()
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// What a JSON path of the kind CRDs use leads to: `.a.b`, `['a.b']`, `[0]`, `[*]` and
/// `[?(@.type=="Ready")]`. Anything else leads nowhere.
pub(super) fn lookup<'v>(object: &'v Value, path: &str) -> Vec<&'v Value> {
    let mut found = vec![object];
    let mut rest = path.trim().trim_start_matches('$');
    while !rest.is_empty() {
        let Some((step, left)) = next_step(rest) else {
            return Vec::new();
        };
        found = found.into_iter().flat_map(|v| step.take(v)).collect();
        rest = left;
    }
    found.retain(|v| !v.is_null());
    found
}

/// One step of a path.
#[derive(Debug)]
enum Step {
    Member(String),
    Index(i64),
    All,
    Where {
        path: String,
        value: String,
        wanted: bool,
    },
}

impl Step {
    fn take<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        match (self, value) {
            (Step::Member(name), Value::Object(map)) => map.get(name).into_iter().collect(),
            (Step::Index(n), Value::Array(list)) => {
                let len = i64::try_from(list.len()).unwrap_or(i64::MAX);
                let at = if *n < 0 { len + n } else { *n };
                usize::try_from(at)
                    .ok()
                    .and_then(|at| list.get(at))
                    .into_iter()
                    .collect()
            }
            (Step::All, Value::Array(list)) => list.iter().collect(),
            (Step::All, Value::Object(map)) => map.values().collect(),
            (
                Step::Where {
                    path,
                    value,
                    wanted,
                },
                Value::Array(list),
            ) => list
                .iter()
                .filter(|item| {
                    lookup(item, path)
                        .first()
                        .is_some_and(|v| plain(v) == *value)
                        == *wanted
                })
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// The first step and what is left; `None` when it cannot be read.
fn next_step(path: &str) -> Option<(Step, &str)> {
    if let Some(rest) = path.strip_prefix("[?(") {
        let (condition, rest) = rest.split_once(")]")?;
        let (left, right, wanted) = match (condition.split_once("=="), condition.split_once("!=")) {
            (Some((l, r)), _) => (l, r, true),
            (None, Some((l, r))) => (l, r, false),
            (None, None) => return None,
        };
        let value = right.trim().trim_matches(['"', '\'']).to_owned();
        let path = left.trim().strip_prefix('@')?.to_owned();
        return Some((
            Step::Where {
                path,
                value,
                wanted,
            },
            rest,
        ));
    }
    if let Some(rest) = path.strip_prefix("['") {
        let (name, rest) = rest.split_once("']")?;
        return Some((Step::Member(name.to_owned()), rest));
    }
    if let Some(rest) = path.strip_prefix('[') {
        let (inside, rest) = rest.split_once(']')?;
        let step = if inside == "*" {
            Step::All
        } else {
            Step::Index(inside.parse().ok()?)
        };
        return Some((step, rest));
    }
    let rest = path.strip_prefix('.')?;
    // A backslash takes the special meaning from the character after it (`.metadata.annotations.a\.b`).
    let mut name = String::new();
    let mut characters = rest.char_indices();
    let mut end = rest.len();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => name.extend(characters.next().map(|(_, c)| c)),
            '.' | '[' => {
                end = at;
                break;
            }
            c => name.push(c),
        }
    }
    let step = if name == "*" {
        Step::All
    } else {
        Step::Member(name)
    };
    (end > 0).then(|| (step, &rest[end..]))
}
