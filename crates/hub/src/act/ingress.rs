//! The status of Ingresses: the gateway's address once the routes are served, and what is wrong.

use super::Write;
use crate::decide::Decided;
use crate::observe::HubObjects;
use k8s_openapi::api::networking::v1::Ingress;
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use tidegate_api::STATUS_ANNOTATION;
use tidegate_feed::ReceiverStatus;
use tidegate_model::{Generation, HostPattern, Route, SharedMap, SharedPart, differences};
use tidegate_translate::{Diagnostic, Ingresses, Kind, ObjectName, ObjectRef};

/// At most so many problems are listed on an object; their number is always told.
const PROBLEMS_MAX: usize = 20;

/// Since which generation each Ingress's routes are as they are, and on which of them there is nothing to write.
///
/// There may be thousands, and mostly one of them has changed: only what is not settled is looked at.
#[derive(Default)]
pub(crate) struct Programming {
    since: HashMap<Arc<ObjectRef>, (Generation, Routes)>,
    /// What was decided last.
    ingresses: SharedMap<Arc<ObjectRef>, Routes>,
    diagnostics: Vec<Arc<Diagnostic>>,
    /// What was seen last.
    seen: Ingresses,
    /// Those on which there is something to write, or will be when they are served.
    unsettled: BTreeSet<ObjectName>,
}

/// The routes of an Ingress, by host.
type Routes = SharedPart<Vec<(HostPattern, Route)>>;

/// What a status is made of, beside the Ingress.
struct Grounds<'a> {
    /// Its routes, and since when they are as they are; `None` when it is not ours.
    ours: Option<&'a (Generation, Routes)>,
    served: bool,
    problems: &'a [Arc<Diagnostic>],
}

impl Programming {
    pub(crate) fn note(&mut self, decided: &Decided) {
        let translation = &decided.translation;
        let mut unsettle = |object: &ObjectRef| {
            if object.kind == Kind::Ingress {
                let name = (object.namespace.clone(), object.name.clone());
                self.unsettled.insert(Arc::new(name));
            }
        };
        for (object, routes) in differences(Some(&self.ingresses), &translation.ingresses) {
            unsettle(object);
            match routes {
                Some(routes) => {
                    let since = (decided.generation, routes.clone());
                    self.since.insert(Arc::clone(object), since)
                }
                None => self.since.remove(object),
            };
        }
        self.ingresses.clone_from(&translation.ingresses);
        in_one_only(&self.diagnostics, &translation.diagnostics, |diagnostic| {
            unsettle(&diagnostic.object);
        });
        self.diagnostics.clone_from(&translation.diagnostics);
    }

    pub(crate) fn writes(
        &mut self,
        receivers: &[ReceiverStatus],
        objects: &HubObjects,
        addresses: &[SocketAddr],
    ) -> Vec<Write> {
        let accepted = accepted_by_all(receivers);
        let ingresses = objects.ingresses.objects();
        for (name, _, _) in ingresses.since(&self.seen) {
            self.unsettled.insert(Arc::clone(name));
        }
        self.seen.clone_from(&ingresses);
        let mut writes = Vec::new();
        self.unsettled.retain(|name| {
            let Some(ingress) = ingresses.get(name) else {
                return false;
            };
            let object = ObjectRef::of(Kind::Ingress, &ingress.metadata);
            let ours = self.since.get(&object);
            let grounds = Grounds {
                ours,
                served: ours.is_some_and(|(since, _)| accepted.is_some_and(|have| have >= *since)),
                problems: problems(&self.diagnostics, &object),
            };
            let needed = of_one(&object, ingress, &grounds, addresses);
            // What is not served yet will be looked at again when it is.
            let settled = needed.is_empty() && (grounds.served || ours.is_none());
            writes.extend(needed);
            !settled
        });
        writes
    }
}

/// What is in one of two sorted lists and not in the other.
fn in_one_only<T: Ord>(mut a: &[Arc<T>], mut b: &[Arc<T>], mut found: impl FnMut(&T)) {
    loop {
        let order = match (a, b) {
            ([], []) => return,
            (_, []) => Ordering::Less,
            ([], _) => Ordering::Greater,
            ([x, ..], [y, ..]) if Arc::ptr_eq(x, y) => Ordering::Equal,
            ([x, ..], [y, ..]) => x.cmp(y),
        };
        match order {
            Ordering::Less => found(&a[0]),
            Ordering::Greater => found(&b[0]),
            Ordering::Equal => {}
        }
        a = &a[usize::from(order != Ordering::Greater)..];
        b = &b[usize::from(order != Ordering::Less)..];
    }
}

/// Those of an object; all are sorted by their objects.
fn problems<'a>(all: &'a [Arc<Diagnostic>], object: &ObjectRef) -> &'a [Arc<Diagnostic>] {
    let begin = all.partition_point(|diagnostic| diagnostic.object < *object);
    let count = all[begin..].partition_point(|diagnostic| diagnostic.object == *object);
    &all[begin..begin + count]
}

/// What has to be written on an Ingress.
fn of_one(
    object: &ObjectRef,
    ingress: &Ingress,
    grounds: &Grounds<'_>,
    addresses: &[SocketAddr],
) -> Vec<Write> {
    let Some((since, routes)) = grounds.ours else {
        return not_ours(object, ingress, grounds.problems, addresses);
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
    let annotation = annotation(programmed, grounds.problems);
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
    problems: &[Arc<Diagnostic>],
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

fn annotation(programmed: Option<u64>, problems: &[Arc<Diagnostic>]) -> Value {
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
