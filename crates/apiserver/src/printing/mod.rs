//! `meta.k8s.io/v1` tables: the columns `kubectl get` shows.

use crate::object;
use crate::registry::Kind;
use serde_json::{Value, json};

/// What each row of a table carries besides its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IncludeObject {
    None,
    Metadata,
    Object,
}

/// A table of objects.
pub(crate) fn table(
    _kind: &Kind,
    objects: &[&Value],
    include: IncludeObject,
    meta: &Value,
) -> Value {
    let rows: Vec<Value> = objects
        .iter()
        .map(|o| {
            row(
                vec![
                    Value::from(object::name(o)),
                    Value::from(object::meta(o, "creationTimestamp")),
                ],
                o,
                include,
            )
        })
        .collect();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": meta,
        "columnDefinitions": [
            {"name": "Name", "type": "string", "format": "name", "description": "Name", "priority": 0},
            {"name": "Created At", "type": "date", "format": "", "description": "Created", "priority": 0},
        ],
        "rows": rows,
    })
}

fn row(cells: Vec<Value>, object: &Value, include: IncludeObject) -> Value {
    let mut row = json!({"cells": cells});
    match include {
        IncludeObject::None => {}
        IncludeObject::Object => row["object"] = object.clone(),
        IncludeObject::Metadata => {
            row["object"] = json!({
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": object.get("metadata").cloned().unwrap_or_default(),
            });
        }
    }
    row
}
