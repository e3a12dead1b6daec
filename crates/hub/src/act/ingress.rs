//! The status of Ingresses: the gateway's address once the routes are served, and what is wrong.

use super::Write;
use crate::decide::Decided;
use crate::observe::HubObjects;
use k8s_openapi::api::networking::v1::Ingress;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use tidegate_api::STATUS_ANNOTATION;
use tidegate_feed::ReceiverStatus;
use tidegate_model::{Generation, HostPattern, Route, SharedPart};
use tidegate_translate::{Diagnostic, Kind, ObjectRef};

/// At most so many problems are listed on an object; their number is always told.
const PROBLEMS_MAX: usize = 20;

/// Since which generation each Ingress's routes are as they are, and on which of them nothing has to be written.
///
/// There may be thousands, and mostly one of them has changed: a pass compares what each rests on, and looks closer
/// only where that is another.
#[derive(Default)]
pub(crate) struct Programming {
    since: HashMap<ObjectRef, (Generation, Routes)>,
    /// By where the Ingress is; no other is there while it is kept.
    settled: HashMap<usize, Settled>,
}

/// The routes of an Ingress, by host.
type Routes = SharedPart<Vec<(HostPattern, Route)>>;

/// An Ingress on which nothing had to be written, with all that led to this.
struct Settled {
    object: ObjectRef,
    ingress: Arc<Ingress>,
    grounds: Grounds,
}

/// What a status is made of, beside the Ingress.
#[derive(PartialEq)]
struct Grounds {
    /// Since when its routes are as they are; `None` when it is not ours.
    since: Option<Generation>,
    served: bool,
    problems: Vec<Diagnostic>,
}

impl Programming {
    pub(crate) fn note(&mut self, decided: &Decided) {
        let ingresses = &decided.translation.ingresses;
        for (object, routes) in ingresses {
            match self.since.get(&**object) {
                Some((_, known)) if known == routes => {}
                _ => {
                    let since = (decided.generation, routes.clone());
                    self.since.insert(ObjectRef::clone(object), since);
                }
            }
        }
        // All that there are are in it, so it has too many when some are gone.
        if self.since.len() > ingresses.len() {
            self.since
                .retain(|object, _| ingresses.contains_key(object));
        }
    }

    pub(crate) fn writes(
        &mut self,
        decided: &Decided,
        receivers: &[ReceiverStatus],
        objects: &HubObjects,
        addresses: &[SocketAddr],
    ) -> Vec<Write> {
        let accepted = accepted_by_all(receivers);
        let mut problems: HashMap<&ObjectRef, Vec<&Diagnostic>> = HashMap::new();
        for diagnostic in &decided.translation.diagnostics {
            if diagnostic.object.kind == Kind::Ingress {
                problems
                    .entry(&diagnostic.object)
                    .or_default()
                    .push(diagnostic);
            }
        }
        let ingresses = objects.ingresses.readable();
        let at = |ingress: &Arc<Ingress>| Arc::as_ptr(ingress).addr();
        if self.settled.len() > ingresses.len() / 2 * 3 + 100 {
            let present: HashSet<usize> = ingresses.iter().map(at).collect();
            self.settled.retain(|at, _| present.contains(at));
        }
        let mut writes = Vec::new();
        for ingress in ingresses {
            let known = self.settled.get(&at(&ingress));
            let object = match known {
                Some(settled) => &settled.object,
                None => &ObjectRef::of(Kind::Ingress, &ingress.metadata),
            };
            let found = problems.get(object).map(Vec::as_slice).unwrap_or_default();
            let ours = self.since.get(object);
            let since = ours.map(|(since, _)| *since);
            let served = since.is_some_and(|since| accepted.is_some_and(|have| have >= since));
            let same = |on: &Grounds| {
                on.since == since
                    && on.served == served
                    && on.problems.iter().eq(found.iter().copied())
            };
            if known.is_some_and(|settled| same(&settled.grounds)) {
                continue;
            }
            let grounds = Grounds {
                since,
                served,
                problems: found.iter().copied().cloned().collect(),
            };
            let routes = ours.map(|(_, routes)| routes);
            let needed = of_one(object, &ingress, &grounds, routes, addresses);
            if needed.is_empty() {
                let settled = Settled {
                    object: object.clone(),
                    ingress: Arc::clone(&ingress),
                    grounds,
                };
                self.settled.insert(at(&settled.ingress), settled);
            } else {
                self.settled.remove(&at(&ingress));
                writes.extend(needed);
            }
        }
        writes
    }
}

/// What has to be written on an Ingress.
fn of_one(
    object: &ObjectRef,
    ingress: &Ingress,
    grounds: &Grounds,
    routes: Option<&Routes>,
    addresses: &[SocketAddr],
) -> Vec<Write> {
    let (Some(since), Some(routes)) = (grounds.since, routes) else {
        return not_ours(object, ingress, &grounds.problems, addresses);
    };
    let mut writes = Vec::new();
    let before = written(ingress);
    let programmed = if routes.is_empty() {
        None
    } else if grounds.served {
        Some(since.0)
    } else {
        before.get("programmed").and_then(Value::as_u64)
    };
    let annotation = annotation(programmed, &grounds.problems);
    if before != annotation {
        writes.push(annotate(object.clone(), Some(&annotation)));
    }
    let wanted = if routes.is_empty() {
        json!([])
    } else {
        published(addresses)
    };
    // Addresses appear once the routes are served and stay until there are none.
    if (grounds.served || routes.is_empty()) && status_of(ingress) != wanted {
        let patch = json!({ "status": { "loadBalancer": { "ingress": wanted } } });
        let object = object.clone();
        writes.push(Write::Status { object, patch });
    }
    writes
}

/// What every connected receiver serves; nothing when there is none.
fn accepted_by_all(receivers: &[ReceiverStatus]) -> Option<Generation> {
    let connected = receivers.iter().filter(|receiver| receiver.connected);
    connected.map(|receiver| receiver.accepted).min().flatten()
}

/// An Ingress that is not ours: what we wrote once is taken back, and problems are still told (a class that
/// does not exist is one).
fn not_ours(
    object: &ObjectRef,
    ingress: &Ingress,
    problems: &[Diagnostic],
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
        let object = object.clone();
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

fn annotation(programmed: Option<u64>, problems: &[Diagnostic]) -> Value {
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
