//! What is served: the lists clients read before anything else.

mod openapi;

use crate::ops::Api;
use crate::registry::{Catalog, Kind, Scope, StatusMode};
use crate::server::reviews::REVIEWS;
use crate::status::{ApiResult, Status};
use bytes::Bytes;
use http::HeaderMap;
use http::header::HeaderValue;
use serde_json::{Value, json};

const V2: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// The minor version whose behaviour we follow.
const MINOR: &str = "36";

const VERBS: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

fn git_version() -> String {
    format!("v1.{MINOR}.0+tidegate")
}

/// A document.
pub(crate) struct Document {
    pub(crate) media_type: HeaderValue,
    pub(crate) body: Bytes,
}

impl Document {
    fn json(value: &Value) -> Self {
        Document::json_text(value.to_string())
    }

    fn json_text(text: String) -> Self {
        Document {
            media_type: HeaderValue::from_static("application/json"),
            body: Bytes::from(text),
        }
    }
}

/// `/version`.
pub(crate) fn version() -> Value {
    json!({
        "major": "1",
        "minor": MINOR,
        "emulationMajor": "1",
        "emulationMinor": MINOR,
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35",
        "gitVersion": git_version(),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }),
    })
}

/// Answers a GET below `/api`, `/apis` or `/openapi` that is not for a resource.
pub(crate) fn answer(api: &Api, path: &[&str], headers: &HeaderMap) -> ApiResult<Option<Document>> {
    let catalog = api.registry.catalog();
    let accept = headers
        .get(http::header::ACCEPT)
        .and_then(|v| v.to_str().ok())
        .unwrap_or("");
    let aggregated = accept.split(',').any(|a| {
        a.contains("as=APIGroupDiscoveryList") && a.contains("v=v2") && !a.contains("v2beta1")
    });
    let value = match path {
        [] => {
            json!({"paths": ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]})
        }
        ["api"] | ["apis"] if aggregated => {
            let core = path == ["api"];
            let items: Vec<Value> = groups(&catalog)
                .into_iter()
                .filter(|(group, _)| group.is_empty() == core)
                .map(|(group, versions)| aggregated_group(&catalog, &group, &versions))
                .collect();
            let list = json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items});
            return Ok(Some(Document {
                media_type: HeaderValue::from_static(V2),
                body: Bytes::from(list.to_string()),
            }));
        }
        ["api"] => {
            json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
        }
        ["apis"] => {
            let all: Vec<Value> = groups(&catalog)
                .into_iter()
                .filter(|(group, _)| !group.is_empty())
                .map(|(group, versions)| api_group(&group, &versions))
                .collect();
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": all})
        }
        ["apis", group] => {
            let found = groups(&catalog)
                .into_iter()
                .find(|(g, _)| g == group)
                .ok_or_else(Status::no_such_resource)?;
            let mut value = api_group(&found.0, &found.1);
            value["kind"] = Value::from("APIGroup");
            value["apiVersion"] = Value::from("v1");
            value
        }
        ["api", version] => resource_list(&catalog, "", version)?,
        ["apis", group, version] => resource_list(&catalog, group, version)?,
        ["openapi", rest @ ..] => return openapi::answer(api, &catalog, rest, accept).map(Some),
        _ => return Ok(None),
    };
    Ok(Some(Document::json(&value)))
}

/// All groups with their versions, the preferred first; the review groups have no stored kinds.
fn groups(catalog: &Catalog) -> Vec<(String, Vec<String>)> {
    let mut all: Vec<(String, Vec<String>)> = catalog
        .groups()
        .iter()
        .map(|(g, versions)| (g.clone(), versions.iter().map(|(v, _)| v.clone()).collect()))
        .collect();
    for (group, ..) in REVIEWS {
        if !all.iter().any(|(g, _)| g == group) {
            all.push((group.to_owned(), vec!["v1".to_owned()]));
        }
    }
    all
}

fn api_group(group: &str, versions: &[String]) -> Value {
    let version = |v: &String| json!({"groupVersion": format!("{group}/{v}"), "version": v});
    json!({
        "name": group,
        "versions": versions.iter().map(version).collect::<Vec<_>>(),
        "preferredVersion": versions.first().map(version),
    })
}

/// A subresource with the kind it speaks.
struct Sub {
    name: &'static str,
    group: String,
    version: String,
    kind: String,
    verbs: &'static [&'static str],
}

fn subresources(kind: &Kind) -> Vec<Sub> {
    let own = |name, verbs| Sub {
        name,
        group: kind.group.clone(),
        version: kind.version.clone(),
        kind: kind.kind.clone(),
        verbs,
    };
    let other = |name, group: &str, version: &str, kind: &str, verbs| Sub {
        name,
        group: group.to_owned(),
        version: version.to_owned(),
        kind: kind.to_owned(),
        verbs,
    };
    let mut all = Vec::new();
    if kind.is("pods") {
        all.push(other("binding", "", "v1", "Binding", &["create"][..]));
        all.push(other("eviction", "policy", "v1", "Eviction", &["create"]));
        all.push(own("log", &["get"]));
    }
    if kind.is("namespaces") {
        all.push(own("finalize", &["update"]));
    }
    if kind.scale.is_some() {
        all.push(other(
            "scale",
            "autoscaling",
            "v1",
            "Scale",
            &["get", "patch", "update"],
        ));
    }
    if kind.status == StatusMode::Subresource {
        all.push(own("status", &["get", "patch", "update"]));
    }
    all
}

fn resource_list(catalog: &Catalog, group: &str, version: &str) -> ApiResult<Value> {
    let reviews = REVIEWS
        .iter()
        .filter(|(g, ..)| *g == group && version == "v1");
    let kinds = catalog.kinds_of(group, version).unwrap_or_default();
    let mut resources: Vec<Value> = Vec::new();
    for kind in kinds {
        let namespaced = kind.scope == Scope::Namespaced;
        let mut resource = json!({
            "name": kind.plural,
            "singularName": kind.singular,
            "namespaced": namespaced,
            "kind": kind.kind,
            "verbs": VERBS,
            "storageVersionHash": "",
        });
        if !kind.short_names.is_empty() {
            resource["shortNames"] = json!(kind.short_names);
        }
        if !kind.categories.is_empty() {
            resource["categories"] = json!(kind.categories);
        }
        resources.push(resource);
        for sub in subresources(kind) {
            let mut resource = json!({
                "name": format!("{}/{}", kind.plural, sub.name),
                "singularName": "",
                "namespaced": namespaced,
                "kind": sub.kind,
                "verbs": sub.verbs,
            });
            if sub.group != group || sub.version != version {
                resource["group"] = Value::from(sub.group);
                resource["version"] = Value::from(sub.version);
            }
            resources.push(resource);
        }
    }
    for (_, kind, plural, namespaced) in reviews {
        resources.push(json!({
            "name": plural, "singularName": kind.to_lowercase(), "namespaced": namespaced, "kind": kind, "verbs": ["create"],
        }));
    }
    if resources.is_empty() {
        return Err(Status::no_such_resource());
    }
    Ok(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": crate::registry::api_version(group, version),
        "resources": resources,
    }))
}

fn aggregated_group(catalog: &Catalog, group: &str, versions: &[String]) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| {
            let mut resources: Vec<Value> = catalog
                .kinds_of(group, version)
                .unwrap_or_default()
                .iter()
                .map(|k| aggregated_resource(k))
                .collect();
            for (_, kind, plural, namespaced) in REVIEWS.iter().filter(|(g, ..)| *g == group) {
                resources.push(json!({
                    "resource": plural,
                    "responseKind": {"group": group, "version": version, "kind": kind},
                    "scope": if *namespaced { "Namespaced" } else { "Cluster" },
                    "singularResource": kind.to_lowercase(),
                    "verbs": ["create"],
                }));
            }
            json!({"version": version, "resources": resources, "freshness": "Current"})
        })
        .collect();
    let mut item = json!({"metadata": {"creationTimestamp": null}, "versions": versions});
    if !group.is_empty() {
        item["metadata"]["name"] = Value::from(group);
    }
    item
}

fn aggregated_resource(kind: &Kind) -> Value {
    let gvk = |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let mut resource = json!({
        "resource": kind.plural,
        "responseKind": gvk(&kind.group, &kind.version, &kind.kind),
        "scope": if kind.scope == Scope::Namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": kind.singular,
        "verbs": VERBS,
    });
    if !kind.short_names.is_empty() {
        resource["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        resource["categories"] = json!(kind.categories);
    }
    let subs: Vec<Value> = subresources(kind)
        .into_iter()
        .map(|s| json!({"subresource": s.name, "responseKind": gvk(&s.group, &s.version, &s.kind), "verbs": s.verbs}))
        .collect();
    if !subs.is_empty() {
        resource["subresources"] = Value::from(subs);
    }
    resource
}
