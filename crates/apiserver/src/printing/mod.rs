//! `meta.k8s.io/v1` tables: the columns `kubectl get` shows.

mod age;
mod column;
mod custom;
mod networking;
mod others;
mod pods;
#[cfg(test)]
mod tests;
mod workloads;

use crate::registry::{Kind, Rules};
use column::{AGE, Column, NAME};
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
    kind: &Kind,
    objects: &[&Value],
    include: IncludeObject,
    meta: &Value,
) -> Value {
    let now = jiff::Timestamp::now();
    let (definitions, cells): (Vec<Value>, Vec<Vec<Value>>) = match &kind.rules {
        Rules::Custom(version) => (
            custom::definitions(&version.columns),
            objects
                .iter()
                .map(|o| custom::cells(&version.columns, o, now))
                .collect(),
        ),
        Rules::Builtin(_) => {
            let columns = columns_of(&kind.storage);
            let row = |o: &&Value| columns.iter().map(|c| (c.cell)(o, now)).collect();
            (
                columns.iter().map(Column::definition).collect(),
                objects.iter().map(row).collect(),
            )
        }
    };
    let rows: Vec<Value> = objects
        .iter()
        .zip(cells)
        .map(|(o, cells)| row(cells, o, include))
        .collect();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": meta,
        "columnDefinitions": definitions,
        "rows": rows,
    })
}

/// The columns of a built-in kind, by its name in the store.
fn columns_of(storage: &str) -> &'static [Column] {
    match storage {
        "pods" => pods::PODS,
        "deployments.apps" => workloads::DEPLOYMENTS,
        "replicasets.apps" => workloads::REPLICASETS,
        "statefulsets.apps" => workloads::STATEFULSETS,
        "daemonsets.apps" => workloads::DAEMONSETS,
        "jobs.batch" => workloads::JOBS,
        "services" => networking::SERVICES,
        "endpoints" => networking::ENDPOINTS,
        "endpointslices.discovery.k8s.io" => networking::ENDPOINT_SLICES,
        "ingresses.networking.k8s.io" => networking::INGRESSES,
        "ingressclasses.networking.k8s.io" => networking::INGRESS_CLASSES,
        "networkpolicies.networking.k8s.io" => networking::NETWORK_POLICIES,
        "nodes" => others::NODES,
        "namespaces" => others::NAMESPACES,
        "configmaps" => others::CONFIG_MAPS,
        "secrets" => others::SECRETS,
        "events" => others::EVENTS,
        "leases.coordination.k8s.io" => others::LEASES,
        "customresourcedefinitions.apiextensions.k8s.io" => others::CREATED_AT,
        _ => NAME_AND_AGE,
    }
}

const NAME_AND_AGE: &[Column] = &[NAME, AGE];

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
