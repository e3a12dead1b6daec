//! Places pods on nodes: on the node with the fewest pods that a pod's node selector allows.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt;

use super::replicaset::{is_finished, is_leaving};
use super::selector::matches_pairs;

/// Pods of a node that states no capacity.
const PODS_MAX: usize = 110;

/// Where a pod goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Placement {
    /// It has a node, is on its way out, or asks for another scheduler.
    NotOurs,
    Node(String),
    /// No node takes it; why, in the words `kubectl describe pod` shows.
    Nowhere(String),
}

/// Decides where `pod` goes, given all nodes and all pods.
pub(crate) fn place(pod: &Pod, nodes: &[Arc<Node>], pods: &[Arc<Pod>]) -> Placement {
    let Some(spec) = &pod.spec else {
        return Placement::NotOurs;
    };
    let scheduler = spec
        .scheduler_name
        .as_deref()
        .unwrap_or("default-scheduler");
    if spec.node_name.is_some()
        || is_leaving(pod)
        || is_finished(pod)
        || scheduler != "default-scheduler"
    {
        return Placement::NotOurs;
    }
    let mut load: BTreeMap<&str, usize> = BTreeMap::new();
    for other in pods.iter().filter(|other| !is_finished(other)) {
        if let Some(node) = other
            .spec
            .as_ref()
            .and_then(|spec| spec.node_name.as_deref())
        {
            *load.entry(node).or_default() += 1;
        }
    }
    let wanted = spec.node_selector.clone().unwrap_or_default();
    let (mut unready, mut mismatched, mut full) = (0, 0, 0);
    let mut best: Option<(usize, String)> = None;
    for node in nodes {
        let pods = load.get(node.name_any().as_str()).copied().unwrap_or(0);
        if !is_ready(node) {
            unready += 1;
        } else if !matches_pairs(&wanted, node.labels()) {
            mismatched += 1;
        } else if pods >= capacity(node) {
            full += 1;
        } else if best.as_ref().is_none_or(|(least, _)| pods < *least) {
            best = Some((pods, node.name_any()));
        }
    }
    match best {
        Some((_, node)) => Placement::Node(node),
        None => Placement::Nowhere(format!(
            "0/{} nodes are available: {unready} not ready or unschedulable, {mismatched} without the pod's node selector, {full} with too many pods.",
            nodes.len()
        )),
    }
}

fn is_ready(node: &Node) -> bool {
    let cordoned = node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true);
    let conditions = node
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_deref())
        .unwrap_or_default();
    !cordoned
        && conditions
            .iter()
            .any(|c| c.type_ == "Ready" && c.status == "True")
}

fn capacity(node: &Node) -> usize {
    let allocatable = node
        .status
        .as_ref()
        .and_then(|status| status.allocatable.as_ref());
    allocatable
        .and_then(|all| all.get("pods"))
        .and_then(|n| n.0.parse().ok())
        .unwrap_or(PODS_MAX)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{NodeCondition, NodeSpec, NodeStatus, PodSpec};
    use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;

    fn node(capacity: usize) -> Node {
        Node {
            metadata: ObjectMeta {
                name: Some("az1".to_owned()),
                labels: Some([("disk".to_owned(), "ssd".to_owned())].into()),
                ..ObjectMeta::default()
            },
            spec: None,
            status: Some(NodeStatus {
                allocatable: Some([("pods".to_owned(), Quantity(capacity.to_string()))].into()),
                conditions: Some(vec![NodeCondition {
                    type_: "Ready".to_owned(),
                    status: "True".to_owned(),
                    ..NodeCondition::default()
                }]),
                ..NodeStatus::default()
            }),
        }
    }

    fn pod(node: Option<&str>, disk: Option<&str>) -> Pod {
        Pod {
            spec: Some(PodSpec {
                node_name: node.map(str::to_owned),
                node_selector: disk.map(|disk| [("disk".to_owned(), disk.to_owned())].into()),
                ..PodSpec::default()
            }),
            ..Pod::default()
        }
    }

    fn check(pod: &Pod, nodes: &[Node], expect: Result<&str, &str>) {
        let nodes: Vec<_> = nodes.iter().cloned().map(Arc::new).collect();
        let others = [Arc::new(self::pod(Some("az1"), None))];
        match (place(pod, &nodes, &others), expect) {
            (Placement::Node(node), Ok(expect)) => assert_eq!(node, expect),
            (Placement::Nowhere(why), Err(expect)) => assert!(why.contains(expect), "{why}"),
            (other, expect) => panic!("{other:?} instead of {expect:?}"),
        }
    }

    #[test]
    fn places_where_allowed_and_says_why_not() {
        check(&pod(None, None), &[node(2)], Ok("az1"));
        check(&pod(None, Some("ssd")), &[node(2)], Ok("az1"));
        check(
            &pod(None, Some("tape")),
            &[node(2)],
            Err("1 without the pod's node selector"),
        );
        check(&pod(None, None), &[node(1)], Err("1 with too many pods"));
        check(&pod(None, None), &[], Err("0/0 nodes"));
        let mut cordoned = node(9);
        cordoned.spec = Some(NodeSpec {
            unschedulable: Some(true),
            ..NodeSpec::default()
        });
        check(&pod(None, None), &[cordoned], Err("1 not ready"));
        assert_eq!(
            place(&pod(Some("az1"), None), &[Arc::new(node(1))], &[]),
            Placement::NotOurs
        );
    }
}
