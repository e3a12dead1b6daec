//! Scale, pod binding and eviction.

use super::{Api, DeleteOptions, Part, WriteOptions, Written};
use crate::object;
use crate::registry::{Kind, ScalePaths};
use crate::status::{ApiResult, FieldError, Status};
use serde_json::{Value, json};

/// The `autoscaling/v1` Scale of an object.
pub(crate) fn scale_of(paths: &ScalePaths, object: &Value) -> Value {
    let meta = |f: &str| {
        object
            .pointer(&format!("/metadata/{f}"))
            .cloned()
            .unwrap_or(Value::Null)
    };
    let mut metadata = json!({
        "name": meta("name"),
        "namespace": meta("namespace"),
        "uid": meta("uid"),
        "resourceVersion": meta("resourceVersion"),
        "creationTimestamp": meta("creationTimestamp"),
    });
    if let Some(map) = metadata.as_object_mut() {
        map.retain(|_, v| !v.is_null());
    }
    let mut status =
        json!({"replicas": object.pointer(&paths.status).and_then(Value::as_i64).unwrap_or(0)});
    if let Some(selector) = paths.selector.as_ref().and_then(|p| object.pointer(p)) {
        status["selector"] = Value::from(
            selector
                .as_str()
                .map_or_else(|| selector_text(selector), str::to_owned),
        );
    }
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": {"replicas": object.pointer(&paths.spec).and_then(Value::as_i64).unwrap_or(0)},
        "status": status,
    })
}

/// A `LabelSelector` in the query syntax.
fn selector_text(selector: &Value) -> String {
    let mut terms: Vec<String> = selector
        .get("matchLabels")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or("")))
        .collect();
    for e in object::items(selector.get("matchExpressions")) {
        let (key, values) = (
            object::text(e, "/key"),
            object::strings(e.get("values")).join(","),
        );
        terms.push(match object::text(e, "/operator") {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    terms.sort();
    terms.join(",")
}

impl Api {
    /// Sets the replicas of an object from a changed Scale.
    pub(crate) async fn rescale(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        options: &WriteOptions,
        change: impl Fn(&Value) -> ApiResult<Value>,
    ) -> ApiResult<Written> {
        let paths = kind.scale.as_ref().ok_or_else(Status::no_such_resource)?;
        self.update(kind, namespace, name, Part::Main, options, |current| {
            let scale = change(&scale_of(paths, current))?;
            let replicas = scale
                .pointer("/spec/replicas")
                .cloned()
                .unwrap_or_else(|| Value::from(0));
            if !replicas
                .as_i64()
                .is_some_and(|n| (0..=i64::from(i32::MAX)).contains(&n))
            {
                let error = FieldError::invalid(
                    "spec.replicas",
                    &replicas,
                    "must be greater than or equal to 0",
                );
                return Err(Status::invalid(
                    crate::status::About {
                        group: "autoscaling",
                        what: "Scale",
                        name,
                    },
                    &[error],
                ));
            }
            let mut new = current.clone();
            let version = object::meta(&scale, "resourceVersion");
            if !version.is_empty() {
                object::set_meta(&mut new, "resourceVersion", Some(Value::from(version)));
            }
            set_at(&mut new, &paths.spec, replicas);
            Ok(new)
        })
        .await
    }

    /// Assigns a Pod to a node, once.
    pub(crate) async fn bind(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        binding: &Value,
        options: &WriteOptions,
    ) -> ApiResult<Written> {
        let node = object::text(binding, "/target/name").to_owned();
        if node.is_empty() {
            return Err(Status::bad_request(
                "target.name: Required value: the node to bind to",
            ));
        }
        self.update(kind, namespace, name, Part::Main, options, |current| {
            let bound = object::text(current, "/spec/nodeName");
            if !bound.is_empty() {
                let why = format!("pod {name} is already assigned to node {bound:?}");
                return Err(Status::conflict(kind.about(name), &why));
            }
            let mut new = current.clone();
            object::child_mut(&mut new, "spec")
                .insert("nodeName".to_owned(), Value::from(node.as_str()));
            Ok(new)
        })
        .await
    }

    /// Deletes a Pod as an eviction does. Disruption budgets are stored, not enforced (see the crate docs).
    pub(crate) async fn evict(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        body: &Value,
    ) -> ApiResult<()> {
        let options = DeleteOptions::from_body(body.get("deleteOptions").unwrap_or(&Value::Null))?;
        self.delete(kind, namespace, name, &options)
            .await
            .map(|_| ())
    }
}

/// Sets a value at a pointer, creating the maps on the way.
fn set_at(object: &mut Value, pointer: &str, value: Value) {
    let mut parts: Vec<&str> = pointer.split('/').skip(1).collect();
    let Some(last) = parts.pop() else { return };
    let mut at = object;
    for part in parts {
        object::child_mut(at, part);
        let Some(next) = at.get_mut(part) else { return };
        at = next;
    }
    if let Some(map) = at.as_object_mut() {
        map.insert(last.to_owned(), value);
    }
}
