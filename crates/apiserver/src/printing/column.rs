//! What a column of a table is.

use super::age;
use crate::object;
use jiff::Timestamp;
use serde_json::{Value, json};

/// The content of a cell.
type Cell = fn(&Value, Timestamp) -> Value;

/// A column of a built-in kind's table.
pub(super) struct Column {
    name: &'static str,
    kind: &'static str,
    format: &'static str,
    /// 0 is always shown, 1 only with `-o wide`.
    priority: u8,
    pub(super) cell: Cell,
}

/// `metadata.name`, which every table starts with.
pub(super) const NAME: Column = Column {
    name: "Name",
    kind: "string",
    format: "name",
    priority: 0,
    cell: |o, _| Value::from(object::name(o)),
};

/// `metadata.creationTimestamp` as an age, which most tables end with.
pub(super) const AGE: Column = text("Age", |o, now| {
    Value::from(age::age(object::meta(o, "creationTimestamp"), now))
});

/// A column of text.
pub(super) const fn text(name: &'static str, cell: Cell) -> Column {
    Column {
        name,
        kind: "string",
        format: "",
        priority: 0,
        cell,
    }
}

/// A column of whole numbers.
pub(super) const fn number(name: &'static str, cell: Cell) -> Column {
    Column {
        kind: "integer",
        ..text(name, cell)
    }
}

/// A column of text that only `-o wide` shows.
pub(super) const fn wide(name: &'static str, cell: Cell) -> Column {
    Column {
        priority: 1,
        ..text(name, cell)
    }
}

impl Column {
    /// Its `TableColumnDefinition`.
    pub(super) fn definition(&self) -> Value {
        json!({
            "name": self.name,
            "type": self.kind,
            "format": self.format,
            "description": self.name,
            "priority": self.priority,
        })
    }
}

/// Text, or `<none>` when there is none.
pub(super) fn or_none(text: impl AsRef<str> + Into<String>) -> Value {
    if text.as_ref().is_empty() {
        Value::from("<none>")
    } else {
        Value::from(text.into())
    }
}

/// `key=value` pairs of a map, in order; `<none>` when empty.
pub(super) fn pairs(map: Option<&Value>) -> Value {
    let mut all: Vec<String> = map
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default()))
        .collect();
    all.sort();
    or_none(all.join(","))
}
