//! OpenAPI, as much as `kubectl apply` and `kubectl create` need: that PATCH and POST know `fieldValidation`.
//!
//! Schemas are open objects: kubectl then leaves validation to the server.

use super::Document;
use crate::registry::{Catalog, Kind, Scope};
use crate::status::{ApiResult, Status};
use serde_json::{Map, Value, json};

pub(super) fn answer(catalog: &Catalog, path: &[&str], accept: &str) -> ApiResult<Document> {
    match path {
        ["v2"] => {
            let json_wanted = accept.is_empty()
                || accept.split(',').any(|a| {
                    let media = a.split(';').next().unwrap_or("").trim();
                    matches!(media, "application/json" | "*/*" | "application/*")
                });
            if !json_wanted {
                return Err(Status::not_acceptable("application/json"));
            }
            Ok(Document::json(&swagger(catalog)))
        }
        ["v3"] => Ok(Document::json(&index(catalog))),
        ["v3", "api", version] => group_version(catalog, "", version),
        ["v3", "apis", group, version] => group_version(catalog, group, version),
        _ => Err(Status::no_such_resource()),
    }
}

fn base(group: &str, version: &str) -> String {
    if group.is_empty() {
        format!("api/{version}")
    } else {
        format!("apis/{group}/{version}")
    }
}

fn index(catalog: &Catalog) -> Value {
    let mut paths = Map::new();
    for (group, versions) in catalog.groups() {
        for (version, _) in versions {
            let base = base(group, version);
            // Without a hash parameter clients fetch anew, which is right while CRDs come and go.
            paths.insert(
                base.clone(),
                json!({"serverRelativeURL": format!("/openapi/v3/{base}")}),
            );
        }
    }
    json!({"paths": paths})
}

fn group_version(catalog: &Catalog, group: &str, version: &str) -> ApiResult<Document> {
    let kinds = catalog
        .kinds_of(group, version)
        .ok_or_else(Status::no_such_resource)?;
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for kind in kinds {
        let gvk = json!({"group": kind.group, "version": kind.version, "kind": kind.kind});
        let prefix = base(group, version);
        let collection = match kind.scope {
            Scope::Cluster => format!("/{prefix}/{}", kind.plural),
            Scope::Namespaced => format!("/{prefix}/namespaces/{{namespace}}/{}", kind.plural),
        };
        let operation = |action: &str| {
            json!({
                "x-kubernetes-action": action,
                "x-kubernetes-group-version-kind": gvk,
                "parameters": parameters(),
                "responses": {"200": {"description": "OK"}},
            })
        };
        paths.insert(
            format!("{collection}/{{name}}"),
            json!({
                "get": operation("get"),
                "put": operation("put"),
                "patch": operation("patch"),
                "delete": operation("delete"),
            }),
        );
        paths.insert(
            collection,
            json!({"get": operation("list"), "post": operation("post")}),
        );
        schemas.insert(schema_name(kind), schema(&gvk));
    }
    Ok(Document::json(&json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.36.0"},
        "paths": paths,
        "components": {"schemas": schemas},
    })))
}

fn parameters() -> Value {
    let query = |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}});
    json!([
        query("dryRun"),
        query("fieldManager"),
        query("fieldValidation"),
        query("force")
    ])
}

fn schema_name(kind: &Kind) -> String {
    let group = if kind.group.is_empty() {
        "core"
    } else {
        &kind.group
    };
    let reversed: Vec<&str> = group.split('.').rev().collect();
    format!("{}.{}.{}", reversed.join("."), kind.version, kind.kind)
}

fn schema(gvk: &Value) -> Value {
    json!({
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
        "x-kubernetes-group-version-kind": [gvk],
    })
}

fn swagger(catalog: &Catalog) -> Value {
    let mut definitions = Map::new();
    for kind in catalog
        .groups()
        .values()
        .flatten()
        .flat_map(|(_, kinds)| kinds)
    {
        let gvk = json!({"group": kind.group, "version": kind.version, "kind": kind.kind});
        definitions.insert(schema_name(kind), schema(&gvk));
    }
    json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": "v1.36.0"},
        "paths": {},
        "definitions": definitions,
    })
}
