//! OpenAPI: v3 for every group version, with the schemas of Kubernetes for built-in kinds and those of their CRDs for
//! custom ones, which is what `kubectl explain`, `apply` and `diff` read.
//!
//! v2 is for clients that only ask whether there is one: its schemas are open objects, so that they leave validation to
//! the server.

use super::Document;
use crate::crd;
use crate::object;
use crate::ops::Api;
use crate::registry::{Catalog, Kind, Rules, Scope};
use crate::server::reviews::REVIEWS;
use crate::status::{ApiResult, Status};
use crate::store::Key;
use crate::types;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) fn answer(
    api: &Api,
    catalog: &Catalog,
    path: &[&str],
    accept: &str,
) -> ApiResult<Document> {
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
        ["v3", "api", version] => group_version(api, catalog, "", version),
        ["v3", "apis", group, version] => group_version(api, catalog, group, version),
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
    for (group, versions) in super::groups(catalog) {
        for version in versions {
            let base = base(&group, &version);
            // Without a hash parameter clients fetch anew, which is right while CRDs come and go.
            let url = format!("/openapi/v3/{base}");
            paths.insert(base, json!({"serverRelativeURL": url}));
        }
    }
    json!({"paths": paths})
}

fn group_version(api: &Api, catalog: &Catalog, group: &str, version: &str) -> ApiResult<Document> {
    let kinds = catalog.kinds_of(group, version).unwrap_or_default();
    let (mut paths, mut schemas) = (Map::new(), Schemas::default());
    for kind in kinds {
        add_paths(kind, &mut paths);
        match &kind.rules {
            Rules::Builtin(b) => schemas.add_kind(b.group, b.version, b.kind),
            Rules::Custom(_) => schemas.add_custom(api, kind),
        }
    }
    for (group, kind, plural, namespaced) in REVIEWS.iter().filter(|r| r.0 == group) {
        let gvk = json!({"group": group, "version": version, "kind": kind});
        let namespace = if *namespaced {
            "namespaces/{namespace}/"
        } else {
            ""
        };
        let path = format!("/{}/{namespace}{plural}", base(group, version));
        paths.insert(path, json!({"post": operation("post", &gvk)}));
        schemas.add_kind(group, version, kind);
    }
    if paths.is_empty() {
        return Err(Status::no_such_resource());
    }
    let info = json!({"title": "Kubernetes", "version": super::git_version()});
    // The definitions are JSON already, hundreds of kilobytes of it.
    let text = format!(
        r#"{{"openapi":"3.0.0","info":{info},"paths":{},"components":{{"schemas":{}}}}}"#,
        Value::Object(paths),
        schemas.into_json()
    );
    Ok(Document::json_text(text))
}

/// Schemas by name, as JSON.
#[derive(Default)]
struct Schemas(BTreeMap<String, Cow<'static, str>>);

impl Schemas {
    fn add_kind(&mut self, group: &str, version: &str, kind: &str) {
        if let Some(name) = types::definition_of(group, version, kind) {
            self.add(name);
        }
    }

    /// A definition and all that it refers to.
    fn add(&mut self, name: &'static str) {
        let mut wanted = vec![name];
        while let Some(name) = wanted.pop() {
            if self.0.contains_key(name) {
                continue;
            }
            if let Some(text) = types::line(name) {
                self.0.insert(name.to_owned(), Cow::Borrowed(text));
                wanted.extend(types::references(text));
            }
        }
    }

    /// What the CRD says, with the fields that every object has.
    fn add_custom(&mut self, api: &Api, kind: &Kind) {
        let key = Key {
            resource: Arc::from(crd::STORAGE),
            namespace: String::new(),
            name: kind.storage.to_string(),
        };
        let Some(definition) = api.store.read().get(&key) else {
            return;
        };
        let versions = object::items(definition.value.pointer("/spec/versions"));
        let mut schema = versions
            .iter()
            .find(|v| object::text(v, "/name") == kind.version)
            .and_then(|v| v.pointer("/schema/openAPIV3Schema"))
            .cloned()
            .unwrap_or_else(|| json!({"type": "object"}));
        let fields = object::child_mut(&mut schema, "properties");
        for (field, what) in [("apiVersion", API_VERSION), ("kind", KIND)] {
            fields.insert(
                field.to_owned(),
                json!({"type": "string", "description": what}),
            );
        }
        let metadata = format!("#/components/schemas/{}", types::OBJECT_META);
        fields.insert(
            "metadata".to_owned(),
            json!({"description": "Standard object's metadata.", "allOf": [{"$ref": metadata}], "default": {}}),
        );
        schema["x-kubernetes-group-version-kind"] = json!([gvk(kind)]);
        self.0
            .insert(schema_name(kind), Cow::Owned(schema.to_string()));
        self.add(types::OBJECT_META);
    }

    fn into_json(self) -> String {
        let members: Vec<String> = self
            .0
            .iter()
            .map(|(name, schema)| format!("{}:{schema}", Value::from(name.as_str())))
            .collect();
        format!("{{{}}}", members.join(","))
    }
}

const API_VERSION: &str = "The group and version of this representation of the object.";
const KIND: &str = "The REST resource this object represents.";

fn gvk(kind: &Kind) -> Value {
    json!({"group": kind.group, "version": kind.version, "kind": kind.kind})
}

fn add_paths(kind: &Kind, paths: &mut Map<String, Value>) {
    let prefix = base(&kind.group, &kind.version);
    let collection = match kind.scope {
        Scope::Cluster => format!("/{prefix}/{}", kind.plural),
        Scope::Namespaced => format!("/{prefix}/namespaces/{{namespace}}/{}", kind.plural),
    };
    let gvk = gvk(kind);
    let mut patch = operation("patch", &gvk);
    // From this kubectl learns which patches it may send.
    let strategic = match kind.rules {
        Rules::Builtin(_) => Some("application/strategic-merge-patch+json"),
        Rules::Custom(_) => None,
    };
    let accepted: Map<String, Value> = [
        "application/apply-patch+yaml",
        "application/json-patch+json",
        "application/merge-patch+json",
    ]
    .into_iter()
    .chain(strategic)
    .map(|media| (media.to_owned(), json!({"schema": {"type": "object"}})))
    .collect();
    patch["requestBody"] = json!({"content": accepted, "required": true});
    paths.insert(
        format!("{collection}/{{name}}"),
        json!({
            "get": operation("get", &gvk),
            "put": operation("put", &gvk),
            "patch": patch,
            "delete": operation("delete", &gvk),
        }),
    );
    paths.insert(
        collection,
        json!({"get": operation("list", &gvk), "post": operation("post", &gvk)}),
    );
}

fn operation(action: &str, gvk: &Value) -> Value {
    json!({
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": gvk,
        "parameters": parameters(),
        "responses": {"200": {"description": "OK"}},
    })
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

/// `com.example.v1.Shirt` for what is `shirts.example.com`.
fn schema_name(kind: &Kind) -> String {
    let group = if kind.group.is_empty() {
        "core"
    } else {
        &kind.group
    };
    let reversed: Vec<&str> = group.split('.').rev().collect();
    format!("{}.{}.{}", reversed.join("."), kind.version, kind.kind)
}

fn swagger(catalog: &Catalog) -> Value {
    let mut definitions = Map::new();
    for kind in catalog
        .groups()
        .values()
        .flatten()
        .flat_map(|(_, kinds)| kinds)
    {
        let schema = json!({
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": true,
            "x-kubernetes-group-version-kind": [gvk(kind)],
        });
        definitions.insert(schema_name(kind), schema);
    }
    json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": super::git_version()},
        "paths": {},
        "definitions": definitions,
    })
}
