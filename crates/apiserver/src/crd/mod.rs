//! Custom resources: what a CustomResourceDefinition makes the server serve.
//!
//! Several versions share one stored form; only `strategy: None` conversion is known, so versions
//! differ in `apiVersion` and schema alone. CEL rules (`x-kubernetes-validations`) are kept, not evaluated.

mod definition;
mod schema;
#[cfg(test)]
mod tests;

pub(crate) use definition::{default_definition, is_established, validate_definition};
pub(crate) use schema::{ListType, MapType, Schema};

use crate::object;
use crate::registry::{Kind, Rules, ScalePaths, Scope, StatusMode, api_version};
use crate::status::FieldError;
use serde_json::Value;
use std::cmp::Ordering;
use std::sync::Arc;

/// The finalizer that keeps a deleted CRD until its objects are gone.
pub(crate) const CLEANUP_FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// The store's name for CRDs.
pub(crate) const STORAGE: &str = "customresourcedefinitions.apiextensions.k8s.io";

/// The behaviour of one version of a custom kind.
#[derive(Debug)]
pub(crate) struct CustomVersion {
    pub(crate) schema: Schema,
    pub(crate) columns: Vec<PrinterColumn>,
    pub(crate) selectable: Vec<String>,
}

/// One of `additionalPrinterColumns`.
#[derive(Debug, Clone)]
pub(crate) struct PrinterColumn {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) format: String,
    pub(crate) description: String,
    pub(crate) priority: i64,
    pub(crate) path: String,
}

impl CustomVersion {
    /// Checks an object against the schema.
    pub(crate) fn validate(&self, object: &Value, errors: &mut Vec<FieldError>) {
        self.schema.validate(object, "", errors);
    }

    /// Applies schema defaults.
    pub(crate) fn default(&self, object: &mut Value) {
        self.schema.fill_defaults(object);
    }

    /// Drops fields the schema does not have; returns their paths.
    pub(crate) fn prune(&self, object: &mut Value) -> Vec<String> {
        let mut unknown = Vec::new();
        self.schema.prune_root(object, &mut unknown);
        unknown
    }
}

/// The kinds an established CRD serves, one for each served version; none while it is not established.
pub(crate) fn kinds(crd: &Value) -> Vec<Arc<Kind>> {
    if !is_established(crd) {
        return Vec::new();
    }
    let text = |p: &str| object::text(crd, p).to_owned();
    let names = |p: &str| {
        object::strings(crd.pointer(p))
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (group, plural) = (text("/spec/group"), text("/spec/names/plural"));
    let versions = object::items(crd.pointer("/spec/versions"));
    let stored = versions
        .iter()
        .find(|v| v["storage"] == true)
        .map_or("", |v| object::text(v, "/name"));
    let served = versions.iter().filter(|v| v["served"] == true);
    served
        .filter_map(|version| {
            let schema = match Schema::compile(version.pointer("/schema/openAPIV3Schema").unwrap_or(&Value::Null)) {
                Ok(schema) => schema,
                Err(error) => {
                    // Creation refuses such schemas, so this takes a store written by another version.
                    tracing::error!(crd = %object::name(crd), %error, "stored schema cannot be used");
                    return None;
                }
            };
            let has = |sub: &str| version.pointer(&format!("/subresources/{sub}")).is_some_and(|s| !s.is_null());
            Some(Arc::new(Kind {
                group: group.clone(),
                version: object::text(version, "/name").to_owned(),
                kind: text("/spec/names/kind"),
                list_kind: text("/spec/names/listKind"),
                plural: plural.clone(),
                singular: text("/spec/names/singular"),
                short_names: names("/spec/names/shortNames"),
                categories: names("/spec/names/categories"),
                scope: if text("/spec/scope") == "Cluster" { Scope::Cluster } else { Scope::Namespaced },
                status: if has("status") { StatusMode::Subresource } else { StatusMode::Inline },
                scale: version.pointer("/subresources/scale").filter(|s| !s.is_null()).map(scale_paths),
                storage: Arc::from(format!("{plural}.{group}")),
                storage_api_version: api_version(&group, stored),
                rules: Rules::Custom(Arc::new(CustomVersion {
                    schema,
                    columns: printer_columns(version),
                    selectable: object::items(version.get("selectableFields"))
                        .iter()
                        .map(|f| object::text(f, "/jsonPath").trim_start_matches('.').to_owned())
                        .collect(),
                })),
            }))
        })
        .collect()
}

fn scale_paths(scale: &Value) -> ScalePaths {
    let pointer = |field: &str| object::text(scale, &format!("/{field}")).replace('.', "/");
    let selector = pointer("labelSelectorPath");
    ScalePaths {
        spec: pointer("specReplicasPath"),
        status: pointer("statusReplicasPath"),
        selector: (!selector.is_empty()).then_some(selector),
    }
}

fn printer_columns(version: &Value) -> Vec<PrinterColumn> {
    object::items(version.get("additionalPrinterColumns"))
        .iter()
        .map(|c| PrinterColumn {
            name: object::text(c, "/name").to_owned(),
            kind: object::text(c, "/type").to_owned(),
            format: object::text(c, "/format").to_owned(),
            description: object::text(c, "/description").to_owned(),
            priority: object::int(c, "/priority").unwrap_or(0),
            path: object::text(c, "/jsonPath").to_owned(),
        })
        .collect()
}

/// Versions in the order of preference: `v2` before `v1` before `v1beta2` before `v1alpha1` before others.
pub(crate) fn version_order(a: &str, b: &str) -> Ordering {
    fn rank(version: &str) -> Option<(u8, u64, u64)> {
        let rest = version.strip_prefix('v')?;
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let major = rest[..digits].parse().ok()?;
        let (stage, minor) = match &rest[digits..] {
            "" => (3, ""),
            tail => match (tail.strip_prefix("beta"), tail.strip_prefix("alpha")) {
                (Some(minor), _) => (2, minor),
                (_, Some(minor)) => (1, minor),
                _ => return None,
            },
        };
        let minor = if minor.is_empty() {
            0
        } else {
            minor.parse().ok()?
        };
        Some((stage, major, minor))
    }
    match (rank(a), rank(b)) {
        (Some(a), Some(b)) => b.cmp(&a),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}
