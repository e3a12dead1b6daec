//! Services, endpoints and Ingresses.

use super::column::{AGE, Column, NAME, or_none, pairs, text, wide};
use crate::object::{self, int, items};
use serde_json::Value;

/// Addresses shown before "+ N more...".
const SHOWN: usize = 3;

pub(super) const SERVICES: &[Column] = &[
    NAME,
    text("Type", |o, _| Value::from(object::text(o, "/spec/type"))),
    text("Cluster-IP", |o, _| {
        or_none(object::text(o, "/spec/clusterIP"))
    }),
    text("External-IP", |o, _| Value::from(external_ip(o))),
    text("Port(s)", |o, _| or_none(service_ports(o))),
    AGE,
    wide("Selector", |o, _| pairs(o.pointer("/spec/selector"))),
];

pub(super) const ENDPOINTS: &[Column] = &[
    NAME,
    text("Endpoints", |o, _| {
        let all = items(o.get("subsets")).iter().flat_map(|subset| {
            items(subset.get("addresses")).iter().flat_map(|address| {
                let ip = object::text(address, "/ip");
                items(subset.get("ports"))
                    .iter()
                    .map(move |p| format!("{ip}:{}", int(p, "/port").unwrap_or(0)))
            })
        });
        shortened(all.collect(), " + ")
    }),
    AGE,
];

pub(super) const ENDPOINT_SLICES: &[Column] = &[
    NAME,
    text("AddressType", |o, _| {
        Value::from(object::text(o, "/addressType"))
    }),
    text("Ports", |o, _| {
        let ports = items(o.get("ports")).iter();
        let all: Vec<String> = ports
            .map(|p| int(p, "/port").map_or("*".to_owned(), |n| n.to_string()))
            .collect();
        if all.is_empty() {
            Value::from("<unset>")
        } else {
            shortened(all, " + ")
        }
    }),
    text("Endpoints", |o, _| {
        let addresses = items(o.get("endpoints"))
            .iter()
            .flat_map(|e| object::strings(e.get("addresses")));
        let all: Vec<String> = addresses.map(str::to_owned).collect();
        if all.is_empty() {
            Value::from("<unset>")
        } else {
            shortened(all, " + ")
        }
    }),
    AGE,
];

pub(super) const INGRESSES: &[Column] = &[
    NAME,
    text("Class", |o, _| {
        or_none(object::text(o, "/spec/ingressClassName"))
    }),
    text("Hosts", |o, _| Value::from(hosts(o))),
    text("Address", |o, _| Value::from(addresses(o))),
    text("Ports", |o, _| {
        let tls = !items(o.pointer("/spec/tls")).is_empty();
        Value::from(if tls { "80, 443" } else { "80" })
    }),
    AGE,
];

pub(super) const INGRESS_CLASSES: &[Column] = &[
    NAME,
    text("Controller", |o, _| {
        Value::from(object::text(o, "/spec/controller"))
    }),
    text("Parameters", |o, _| {
        let part = |f: &str| object::text(o, &format!("/spec/parameters/{f}"));
        match (part("kind"), part("apiGroup"), part("name")) {
            ("", _, _) => Value::from("<none>"),
            (kind, "", name) => Value::from(format!("{kind}/{name}")),
            (kind, group, name) => Value::from(format!("{kind}.{group}/{name}")),
        }
    }),
    AGE,
];

pub(super) const NETWORK_POLICIES: &[Column] = &[
    NAME,
    text("Pod-Selector", |o, _| {
        pairs(o.pointer("/spec/podSelector/matchLabels"))
    }),
    AGE,
];

fn shortened(all: Vec<String>, more: &str) -> Value {
    if all.len() <= SHOWN {
        return or_none(all.join(","));
    }
    Value::from(format!(
        "{}{more}{} more...",
        all[..SHOWN].join(","),
        all.len() - SHOWN
    ))
}

/// Where a load balancer says it listens.
fn addresses(object: &Value) -> String {
    let all: Vec<&str> = items(object.pointer("/status/loadBalancer/ingress"))
        .iter()
        .map(|i| match object::text(i, "/ip") {
            "" => object::text(i, "/hostname"),
            ip => ip,
        })
        .collect();
    all.join(",")
}

fn external_ip(service: &Value) -> String {
    let given = object::strings(service.pointer("/spec/externalIPs")).join(",");
    match object::text(service, "/spec/type") {
        "ExternalName" => object::text(service, "/spec/externalName").to_owned(),
        "LoadBalancer" => {
            let all: Vec<String> = [addresses(service), given]
                .into_iter()
                .filter(|t| !t.is_empty())
                .collect();
            if all.is_empty() {
                "<pending>".to_owned()
            } else {
                all.join(",")
            }
        }
        _ if given.is_empty() => "<none>".to_owned(),
        _ => given,
    }
}

fn service_ports(service: &Value) -> String {
    let all: Vec<String> = items(service.pointer("/spec/ports"))
        .iter()
        .map(|p| {
            let (port, protocol) = (int(p, "/port").unwrap_or(0), object::text(p, "/protocol"));
            match int(p, "/nodePort").filter(|n| *n > 0) {
                Some(node_port) => format!("{port}:{node_port}/{protocol}"),
                None => format!("{port}/{protocol}"),
            }
        })
        .collect();
    all.join(",")
}

fn hosts(ingress: &Value) -> String {
    let mut all: Vec<String> = items(ingress.pointer("/spec/rules"))
        .iter()
        .map(|r| object::text(r, "/host"))
        .filter(|h| !h.is_empty())
        .map(str::to_owned)
        .collect();
    if all.is_empty() {
        return "*".to_owned();
    }
    let left = all.len().saturating_sub(SHOWN);
    all.truncate(SHOWN);
    let shown = all.join(",");
    if left > 0 {
        format!("{shown} + {left} more...")
    } else {
        shown
    }
}
