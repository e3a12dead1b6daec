//! How the lists and maps of a kind are merged: from a CRD's schema, or from the table of built-ins.
//!
//! The table goes by field name and the names above it. It repeats what `x-kubernetes-list-type` and
//! friends say in Kubernetes' own OpenAPI; what it does not name is a granular map or an atomic list.

use crate::crd::{ListType, MapType, Schema};
use crate::registry::{Kind, Rules};
use serde_json::Value;

/// A place in the type of a kind.
#[derive(Debug, Clone)]
pub(crate) enum Place<'a> {
    /// A node of a CRD's schema.
    Custom(&'a Schema),
    /// Field names from the root of a built-in, list items not counted.
    Builtin { kind: &'a str, path: Vec<String> },
    /// Not described: granular maps, atomic lists.
    Unknown,
}

impl<'a> Place<'a> {
    /// The root of a kind.
    pub(crate) fn root(kind: &'a Kind) -> Place<'a> {
        match &kind.rules {
            Rules::Builtin(b) => Place::Builtin {
                kind: b.kind,
                path: Vec::new(),
            },
            Rules::Custom(custom) => Place::Custom(&custom.schema),
        }
    }

    /// A member of a map.
    pub(crate) fn field(&self, name: &str) -> Place<'a> {
        match self {
            Place::Custom(schema) => match schema.member(name) {
                Some(schema) => Place::Custom(schema),
                // Metadata has its own rules, whatever the schema says.
                None if name == "metadata" => Place::Builtin {
                    kind: "",
                    path: vec!["metadata".to_owned()],
                },
                None => Place::Unknown,
            },
            Place::Builtin { kind, path } => {
                let mut path = path.clone();
                path.push(name.to_owned());
                Place::Builtin { kind, path }
            }
            Place::Unknown => Place::Unknown,
        }
    }

    /// The items of a list.
    pub(crate) fn item(&self) -> Place<'a> {
        match self {
            Place::Custom(schema) => schema
                .items
                .as_deref()
                .map_or(Place::Unknown, Place::Custom),
            other => other.clone(),
        }
    }

    /// How a list here is merged.
    pub(crate) fn list(&self) -> ListType {
        match self {
            Place::Custom(schema) => schema.list_type.clone(),
            Place::Builtin { kind, path } => builtin_list(kind, path),
            Place::Unknown => ListType::Atomic,
        }
    }

    /// How a map here is merged.
    pub(crate) fn map(&self) -> MapType {
        match self {
            Place::Custom(schema) => schema.map_type,
            Place::Builtin { kind, path } => builtin_map(kind, path),
            Place::Unknown => MapType::Granular,
        }
    }

    /// The value a missing key field of a list item counts as.
    pub(crate) fn key_default(&self, key: &str) -> Option<Value> {
        match self {
            Place::Custom(schema) => schema.member(key).and_then(Schema::default_value).cloned(),
            Place::Builtin { .. } => (key == "protocol").then(|| Value::from("TCP")),
            Place::Unknown => None,
        }
    }
}

fn builtin_list(kind: &str, path: &[String]) -> ListType {
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    let by = |keys: &[&str]| ListType::Map(keys.iter().map(|k| (*k).to_owned()).collect());
    match names.as_slice() {
        ["metadata", "ownerReferences"] => by(&["uid"]),
        ["metadata", "finalizers"] => ListType::Set,
        [
            ..,
            "containers" | "initContainers" | "ephemeralContainers",
            "ports",
        ] => by(&["containerPort", "protocol"]),
        ["spec", "ports"] if kind == "Service" => by(&["port", "protocol"]),
        ["secrets"] if kind == "ServiceAccount" => by(&["name"]),
        ["status", "addresses"] if kind == "Node" => by(&["type"]),
        ["spec", "taints"] => ListType::Atomic,
        [
            ..,
            "containers"
            | "initContainers"
            | "ephemeralContainers"
            | "volumes"
            | "imagePullSecrets"
            | "env"
            | "resourceClaims"
            | "claims"
            | "schedulingGates",
        ] => by(&["name"]),
        [.., "volumeMounts"] => by(&["mountPath"]),
        [.., "volumeDevices"] => by(&["devicePath"]),
        [.., "hostAliases"] | ["status", "podIPs"] => by(&["ip"]),
        [.., "topologySpreadConstraints"] => by(&["topologyKey", "whenUnsatisfiable"]),
        ["status", .., "conditions"] => by(&["type"]),
        _ => ListType::Atomic,
    }
}

fn builtin_map(kind: &str, path: &[String]) -> MapType {
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    match names.as_slice() {
        // Label selectors and references are replaced as a whole.
        [
            ..,
            "selector" | "labelSelector" | "namespaceSelector" | "podSelector" | "nodeSelector"
            | "secretKeyRef" | "configMapKeyRef" | "fieldRef" | "resourceFieldRef" | "secretRef"
            | "roleRef" | "targetRef",
        ] => MapType::Atomic,
        [.., "backend" | "defaultBackend", "resource"] => MapType::Atomic,
        ["metadata", "ownerReferences"] => MapType::Atomic,
        ["data", ..] if kind == "ControllerRevision" => MapType::Atomic,
        _ => MapType::Granular,
    }
}
