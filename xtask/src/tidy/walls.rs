//! Who may depend on whom: the manifests against the table in `ARCHITECTURE.md`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use serde::Deserialize;

use super::documents::{Architecture, MayUse};
use crate::{cargo, output};

/// What the data plane must do without, directly and indirectly: that it survives without a hub is a
/// property of the build.
const GATEWAY_WITHOUT: [&str; 5] = [
    "tidegate-api",
    "tidegate-hub",
    "kube",
    "kube-client",
    "k8s-openapi",
];

/// Our packages begin so; `xtask` is the other one.
const PREFIX: &str = "tidegate-";

/// The part of `cargo metadata` that is needed here.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `None` for a normal one; `dev`, `build`.
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<NodeDep>,
}

#[derive(Deserialize)]
struct NodeDep {
    pkg: String,
    dep_kinds: Vec<DepKind>,
}

#[derive(Deserialize)]
struct DepKind {
    kind: Option<String>,
}

/// Asks cargo.
pub(crate) fn metadata() -> anyhow::Result<Metadata> {
    let json = output(cargo(&["metadata", "--format-version", "1", "--locked"])?)?;
    serde_json::from_str(&json).context("reading what cargo metadata said")
}

/// Every dependency across a wall, and every crate that the table does not know.
pub(crate) fn check(metadata: &Metadata, architecture: &Architecture) -> Vec<String> {
    let mut findings = Vec::new();
    let ours: Vec<&Package> = metadata
        .packages
        .iter()
        .filter(|p| metadata.workspace_members.contains(&p.id))
        .collect();
    for package in &ours {
        let room = room(&package.name);
        let Some(allowed) = architecture.rooms.get(room) else {
            findings.push(format!(
                "ARCHITECTURE.md: the table of rooms has no row for {room}"
            ));
            continue;
        };
        let normal = package
            .dependencies
            .iter()
            .filter(|d| d.kind.as_deref() != Some("dev"));
        let used = normal
            .map(|d| &d.name)
            .filter(|name| name.starts_with(PREFIX));
        for name in used.map(|name| self::room(name)) {
            let may = match allowed {
                MayUse::Named(rooms) => rooms.contains(name),
                MayUse::All => !architecture.is_dev_only(name),
                MayUse::DevOnly => true,
            };
            if !may {
                findings.push(format!(
                    "{room} depends on {name}, which ARCHITECTURE.md does not allow: move the code, \
                     or argue the wall in an ADR"
                ));
            }
        }
    }
    for room in architecture.rooms.keys() {
        if !ours.iter().any(|package| self::room(&package.name) == room) {
            findings.push(format!(
                "ARCHITECTURE.md names the crate {room}, which does not exist"
            ));
        }
    }
    findings.extend(gateway_stands_alone(metadata));
    findings
}

fn gateway_stands_alone(metadata: &Metadata) -> Vec<String> {
    let name_of: BTreeMap<&str, &str> = metadata
        .packages
        .iter()
        .map(|p| (p.id.as_str(), p.name.as_str()))
        .collect();
    let nodes: BTreeMap<&str, &Node> = metadata
        .resolve
        .nodes
        .iter()
        .map(|node| (node.id.as_str(), node))
        .collect();
    let mut open: Vec<&str> = name_of
        .iter()
        .filter(|(_, name)| **name == "tidegate-gateway")
        .map(|(id, _)| *id)
        .collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        let deps = nodes
            .get(id)
            .map(|node| node.deps.as_slice())
            .unwrap_or_default();
        let built = |dep: &&NodeDep| {
            dep.dep_kinds
                .iter()
                .any(|k| k.kind.as_deref() != Some("dev"))
        };
        open.extend(deps.iter().filter(built).map(|dep| dep.pkg.as_str()));
    }
    let names: BTreeSet<&str> = seen
        .iter()
        .filter_map(|id| name_of.get(id).copied())
        .collect();
    GATEWAY_WITHOUT
        .iter()
        .filter(|name| names.contains(*name))
        .map(|name| {
            format!("gateway depends on {name}, if only indirectly: it must survive without a hub")
        })
        .collect()
}

fn room(package: &str) -> &str {
    package.strip_prefix(PREFIX).unwrap_or(package)
}
