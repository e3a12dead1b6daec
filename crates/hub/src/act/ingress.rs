//! The status of Ingresses: the gateway's address once the routes are served, and what is wrong.

use super::Write;
use crate::decide::Decided;
use crate::observe::HubObjects;
use k8s_openapi::api::networking::v1::Ingress;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use tidegate_api::STATUS_ANNOTATION;
use tidegate_feed::ReceiverStatus;
use tidegate_model::{Generation, HostPattern, Route};
use tidegate_translate::{Diagnostic, Kind, ObjectRef};

/// At most so many problems are listed on an object; their number is always told.
const PROBLEMS_MAX: usize = 20;

/// Since which generation each Ingress's routes are as they are.
#[derive(Default)]
pub(crate) struct Programming {
    since: BTreeMap<ObjectRef, (Generation, Vec<(HostPattern, Route)>)>,
}

impl Programming {
    pub(crate) fn note(&mut self, decided: &Decided) {
        let ingresses = &decided.translation.ingresses;
        self.since
            .retain(|object, _| ingresses.contains_key(object));
        for (object, routes) in ingresses {
            match self.since.get(object) {
                Some((_, known)) if known == routes => {}
                _ => {
                    self.since
                        .insert(object.clone(), (decided.generation, routes.clone()));
                }
            }
        }
    }

    pub(crate) fn writes(
        &self,
        decided: &Decided,
        receivers: &[ReceiverStatus],
        objects: &HubObjects,
        addresses: &[SocketAddr],
    ) -> Vec<Write> {
        let accepted = accepted_by_all(receivers);
        let mut problems: BTreeMap<&ObjectRef, Vec<&Diagnostic>> = BTreeMap::new();
        for diagnostic in &decided.translation.diagnostics {
            if diagnostic.object.kind == Kind::Ingress {
                problems
                    .entry(&diagnostic.object)
                    .or_default()
                    .push(diagnostic);
            }
        }
        let mut writes = Vec::new();
        for ingress in objects.ingresses.readable() {
            let metadata = &ingress.metadata;
            let object = ObjectRef::new(
                Kind::Ingress,
                metadata.namespace.clone().unwrap_or_default(),
                metadata.name.clone().unwrap_or_default(),
            );
            let found = problems.get(&object).map(Vec::as_slice).unwrap_or_default();
            let Some((since, routes)) = self.since.get(&object) else {
                writes.extend(not_ours(object, &ingress, found, addresses));
                continue;
            };
            let served = accepted.is_some_and(|generation| generation >= *since);
            let before = written(&ingress);
            let programmed = if routes.is_empty() {
                None
            } else if served {
                Some(since.0)
            } else {
                before.get("programmed").and_then(Value::as_u64)
            };
            let annotation = annotation(programmed, found);
            if before != annotation {
                writes.push(annotate(object.clone(), Some(&annotation)));
            }
            let wanted = if routes.is_empty() {
                json!([])
            } else {
                published(addresses)
            };
            // Addresses appear once the routes are served and stay until there are none.
            if (served || routes.is_empty()) && status_of(&ingress) != wanted {
                let patch = json!({ "status": { "loadBalancer": { "ingress": wanted } } });
                writes.push(Write::Status { object, patch });
            }
        }
        writes
    }
}

/// What every connected receiver serves; nothing when there is none.
fn accepted_by_all(receivers: &[ReceiverStatus]) -> Option<Generation> {
    let connected = receivers.iter().filter(|receiver| receiver.connected);
    connected.map(|receiver| receiver.accepted).min().flatten()
}

/// An Ingress that is not ours: what we wrote once is taken back, and problems are still told (a class that
/// does not exist is one).
fn not_ours(
    object: ObjectRef,
    ingress: &Ingress,
    problems: &[&Diagnostic],
    addresses: &[SocketAddr],
) -> Vec<Write> {
    let before = written(ingress);
    let mut writes = Vec::new();
    let wanted = (!problems.is_empty()).then(|| annotation(None, problems));
    if wanted.clone().unwrap_or(Value::Null) != before {
        writes.push(annotate(object.clone(), wanted.as_ref()));
    }
    if before.get("programmed").is_some() && status_of(ingress) == published(addresses) {
        let patch = json!({ "status": { "loadBalancer": { "ingress": [] } } });
        writes.push(Write::Status { object, patch });
    }
    writes
}

fn annotate(object: ObjectRef, value: Option<&Value>) -> Write {
    let text = value.map(Value::to_string);
    let patch = json!({ "metadata": { "annotations": { STATUS_ANNOTATION: text } } });
    Write::Metadata { object, patch }
}

/// The annotation as it is, null when there is none or it is not ours to read.
fn written(ingress: &Ingress) -> Value {
    let annotations = ingress.metadata.annotations.as_ref();
    annotations
        .and_then(|all| all.get(STATUS_ANNOTATION))
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or(Value::Null)
}

fn annotation(programmed: Option<u64>, problems: &[&Diagnostic]) -> Value {
    let mut value = json!({});
    if let Some(generation) = programmed {
        value["programmed"] = json!(generation);
    }
    value["problems"] = problems
        .iter()
        .take(PROBLEMS_MAX)
        .map(|d| {
            json!({
                "severity": format!("{:?}", d.severity),
                "reason": d.reason.as_str(),
                "field": d.field,
                "message": d.message,
            })
        })
        .collect();
    if problems.len() > PROBLEMS_MAX {
        value["problemsInAll"] = json!(problems.len());
    }
    value
}

/// `status.loadBalancer.ingress` for the gateway's addresses.
fn published(addresses: &[SocketAddr]) -> Value {
    let mut ports: BTreeMap<std::net::IpAddr, Vec<u16>> = BTreeMap::new();
    for address in addresses {
        ports.entry(address.ip()).or_default().push(address.port());
    }
    ports
        .iter()
        .map(|(ip, ports)| {
            let ports: Vec<Value> = ports
                .iter()
                .map(|port| json!({ "port": port, "protocol": "TCP" }))
                .collect();
            json!({ "ip": ip.to_string(), "ports": ports })
        })
        .collect()
}

fn status_of(ingress: &Ingress) -> Value {
    let found = ingress
        .status
        .as_ref()
        .and_then(|status| status.load_balancer.as_ref())
        .and_then(|balancer| balancer.ingress.as_ref())
        .and_then(|ingress| serde_json::to_value(ingress).ok());
    found.unwrap_or_else(|| json!([]))
}
