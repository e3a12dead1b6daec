//! Endpoint slices: which pods stand behind a service, and which of them may get traffic.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ContainerPort, ObjectReference, Pod, Service, ServicePort};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

use super::owner::{controlled_by, is_controlled_by};
use super::replicaset::{condition, is_finished, is_leaving};
use super::selector::matches_pairs;
use crate::hash::{fnv32, name_suffix, suffixed};

/// Label that ties a slice to its service.
pub(crate) const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// Label that says who writes a slice; those of others are never touched.
pub(crate) const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
/// Our value of [`MANAGED_BY`].
pub(crate) const MANAGER: &str = "endpointslice-controller.k8s.io";

/// What a pass over a service changes.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct EndpointsPlan {
    pub(crate) create: Vec<EndpointSlice>,
    /// Slices with other endpoints or ports; they carry the version they were computed from.
    pub(crate) update: Vec<EndpointSlice>,
    pub(crate) delete: Vec<Arc<EndpointSlice>>,
}

/// Whether `service` wants slices made from pods.
pub(crate) fn is_selecting(service: &Service) -> bool {
    service.spec.as_ref().is_some_and(|spec| {
        spec.selector.as_ref().is_some_and(|s| !s.is_empty())
            && spec.type_.as_deref() != Some("ExternalName")
    })
}

/// Whether the pods of `service` include one with `labels`.
pub(crate) fn selects(service: &Service, labels: &BTreeMap<String, String>) -> bool {
    is_selecting(service)
        && service
            .spec
            .as_ref()
            .and_then(|s| s.selector.as_ref())
            .is_some_and(|pairs| matches_pairs(pairs, labels))
}

/// Brings the slices of `service` (those in `present`, of its namespace) in line with `pods` of its namespace.
///
/// Pods that resolve the service's ports alike share a slice. Its name depends on the service and those ports alone,
/// so that it stays the same object while pods come and go.
pub(crate) fn plan(
    service: &Service,
    pods: &[Arc<Pod>],
    present: &[Arc<EndpointSlice>],
) -> EndpointsPlan {
    let own: Vec<&Arc<EndpointSlice>> = present
        .iter()
        .filter(|slice| is_ours(slice, &service.name_any()))
        .collect();
    let mut plan = EndpointsPlan::default();
    if service.metadata.deletion_timestamp.is_some() {
        return plan;
    }
    let desired = if is_selecting(service) {
        slices(service, pods)
    } else {
        Vec::new()
    };
    for want in &desired {
        match own.iter().find(|slice| slice.name_any() == want.name_any()) {
            None => plan.create.push(want.clone()),
            Some(slice) => plan.update.extend(updated(slice, want, service)),
        }
    }
    plan.delete = own
        .into_iter()
        .filter(|slice| {
            !desired
                .iter()
                .any(|want| want.name_any() == slice.name_any())
        })
        .filter(|slice| slice.metadata.deletion_timestamp.is_none())
        .cloned()
        .collect();
    plan
}

/// Whether this controller wrote `slice` for the service called `service`.
pub(crate) fn is_ours(slice: &EndpointSlice, service: &str) -> bool {
    let labels = slice.labels();
    labels.get(MANAGED_BY).map(String::as_str) == Some(MANAGER)
        && labels.get(SERVICE_NAME).map(String::as_str) == Some(service)
}

fn updated(
    present: &Arc<EndpointSlice>,
    want: &EndpointSlice,
    service: &Service,
) -> Option<EndpointSlice> {
    let mut slice = EndpointSlice::clone(present);
    slice.endpoints.clone_from(&want.endpoints);
    slice.ports.clone_from(&want.ports);
    slice
        .metadata
        .labels
        .get_or_insert_default()
        .extend(want.labels().clone());
    if !is_controlled_by(&slice.metadata, service) {
        slice
            .metadata
            .owner_references
            .clone_from(&want.metadata.owner_references);
    }
    (slice != **present).then_some(slice)
}

type PortSet = Vec<(Option<String>, i32, String, Option<String>)>;

fn slices(service: &Service, pods: &[Arc<Pod>]) -> Vec<EndpointSlice> {
    let spec = service.spec.clone().unwrap_or_default();
    let selector = spec.selector.unwrap_or_default();
    let ports = spec.ports.unwrap_or_default();
    let publish_unready = spec.publish_not_ready_addresses == Some(true);
    let mut groups: BTreeMap<PortSet, BTreeMap<String, Endpoint>> = BTreeMap::new();
    for pod in pods {
        let Some(ip) = pod.status.as_ref().and_then(|s| s.pod_ip.clone()) else {
            continue;
        };
        if is_finished(pod) || !matches_pairs(&selector, pod.labels()) {
            continue;
        }
        let resolved = resolve(&ports, pod);
        if resolved.is_empty() && !ports.is_empty() {
            continue;
        }
        groups
            .entry(resolved)
            .or_default()
            .insert(ip.clone(), endpoint(pod, ip, publish_unready));
    }
    if groups.is_empty() {
        // An empty slice says "nobody is there", which is more than saying nothing. It has the ports that need no pod.
        groups.insert(resolve(&ports, &Pod::default()), BTreeMap::new());
    }
    groups
        .into_iter()
        .map(|(ports, endpoints)| slice(service, ports, endpoints))
        .collect()
}

fn slice(
    service: &Service,
    ports: PortSet,
    endpoints: BTreeMap<String, Endpoint>,
) -> EndpointSlice {
    let identity = format!("{}{ports:?}", service.uid().unwrap_or_default());
    let mut labels = service.labels().clone();
    labels.insert(SERVICE_NAME.to_owned(), service.name_any());
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    if service.spec.as_ref().and_then(|s| s.cluster_ip.as_deref()) == Some("None") {
        labels.insert("service.kubernetes.io/headless".to_owned(), String::new());
    }
    EndpointSlice {
        metadata: ObjectMeta {
            name: Some(suffixed(
                &service.name_any(),
                &name_suffix(fnv32(identity.as_bytes())),
                253,
            )),
            namespace: service.namespace(),
            labels: Some(labels),
            owner_references: Some(vec![controlled_by(service)]),
            ..ObjectMeta::default()
        },
        address_type: "IPv4".to_owned(),
        endpoints: Some(endpoints.into_values().collect()),
        ports: Some(
            ports
                .into_iter()
                .map(|(name, port, protocol, app_protocol)| EndpointPort {
                    name: Some(name.unwrap_or_default()),
                    port: Some(port),
                    protocol: Some(protocol),
                    app_protocol,
                })
                .collect(),
        ),
    }
}

fn endpoint(pod: &Pod, ip: String, publish_unready: bool) -> Endpoint {
    let serving = condition(pod, "Ready").is_some_and(|c| c.status == "True");
    let terminating = is_leaving(pod);
    Endpoint {
        addresses: vec![ip],
        conditions: Some(EndpointConditions {
            ready: Some(publish_unready || (serving && !terminating)),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        node_name: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        target_ref: Some(ObjectReference {
            kind: Some("Pod".to_owned()),
            namespace: pod.namespace(),
            name: Some(pod.name_any()),
            uid: pod.uid(),
            ..ObjectReference::default()
        }),
        hostname: pod.spec.as_ref().and_then(|spec| spec.hostname.clone()),
        ..Endpoint::default()
    }
}

/// The numbers of `ports` on `pod`. A named port the pod does not have is left out.
fn resolve(ports: &[ServicePort], pod: &Pod) -> PortSet {
    ports
        .iter()
        .filter_map(|port| {
            let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
            let number = match &port.target_port {
                None | Some(IntOrString::Int(0)) => port.port,
                Some(IntOrString::Int(number)) => *number,
                Some(IntOrString::String(name)) => container_port(pod, name, &protocol)?,
            };
            Some((
                port.name.clone(),
                number,
                protocol,
                port.app_protocol.clone(),
            ))
        })
        .collect()
}

fn container_port(pod: &Pod, name: &str, protocol: &str) -> Option<i32> {
    let same = |port: &&ContainerPort| {
        port.name.as_deref() == Some(name) && port.protocol.as_deref().unwrap_or("TCP") == protocol
    };
    let containers = &pod.spec.as_ref()?.containers;
    containers
        .iter()
        .flat_map(|c| c.ports.iter().flatten())
        .find(same)
        .map(|port| port.container_port)
}

#[cfg(test)]
mod tests;
