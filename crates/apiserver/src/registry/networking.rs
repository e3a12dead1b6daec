//! Defaults and rules of Service, EndpointSlice and Ingress.

use super::names;
use crate::object::{self, child_mut, default_to};
use crate::status::FieldError;
use serde_json::{Value, json};

/// A Service's defaults; its ClusterIP is allocated by the create operation.
pub(super) fn default_service(object: &mut Value) {
    let spec = child_mut(object, "spec");
    default_to(spec, "type", "ClusterIP");
    default_to(spec, "sessionAffinity", "None");
    let kind = spec
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or("")
        .to_owned();
    if kind != "ExternalName" {
        default_to(spec, "internalTrafficPolicy", "Cluster");
        default_to(spec, "ipFamilyPolicy", "SingleStack");
        default_to(spec, "ipFamilies", json!(["IPv4"]));
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
        default_to(spec, "externalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        default_to(spec, "allocateLoadBalancerNodePorts", true);
    }
    if spec.get("sessionAffinity").and_then(Value::as_str) == Some("ClientIP") {
        default_to(
            spec,
            "sessionAffinityConfig",
            json!({"clientIP": {"timeoutSeconds": 10800}}),
        );
    }
    for port in spec
        .get_mut("ports")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if let Some(port) = port.as_object_mut() {
            default_to(port, "protocol", "TCP");
            if let Some(number) = port.get("port").cloned() {
                default_to(port, "targetPort", number);
            }
        }
    }
    default_to(child_mut(object, "status"), "loadBalancer", json!({}));
}

/// Type, ports and the unchanging ClusterIP.
pub(super) fn validate_service(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    let kind = spec.get("type").unwrap_or(&Value::Null);
    let types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    if !kind.as_str().is_some_and(|k| types.contains(&k)) {
        errors.push(FieldError::not_supported("spec.type", kind, &types));
    }
    let external = kind.as_str() == Some("ExternalName");
    if external && !names::is_dns_subdomain(object::text(spec, "/externalName")) {
        let value = spec.get("externalName").unwrap_or(&Value::Null);
        errors.push(FieldError::invalid(
            "spec.externalName",
            value,
            names::SUBDOMAIN_RULE,
        ));
    }
    let headless = object::text(spec, "/clusterIP") == "None";
    let ports = object::items(spec.get("ports"));
    if ports.is_empty() && !headless && !external {
        errors.push(FieldError::required("spec.ports", ""));
    }
    let (mut seen_names, mut seen_ports) = (Vec::new(), Vec::new());
    for (i, port) in ports.iter().enumerate() {
        let at = format!("spec.ports[{i}]");
        let name = object::text(port, "/name");
        if name.is_empty() && ports.len() > 1 {
            errors.push(FieldError::required(format!("{at}.name"), ""));
        } else if !name.is_empty() && !names::is_dns_label(name) {
            errors.push(FieldError::invalid(
                format!("{at}.name"),
                &Value::from(name),
                names::LABEL_RULE,
            ));
        } else if !name.is_empty() && seen_names.contains(&name) {
            errors.push(FieldError::duplicate(
                format!("{at}.name"),
                &Value::from(name),
            ));
        }
        seen_names.push(name);
        port_number(port.get("port"), &format!("{at}.port"), errors);
        match port.get("targetPort") {
            Some(Value::String(text)) if is_port_name(text) => {}
            Some(Value::String(text)) => {
                let detail = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-), at least one letter, and be no more than 15 characters";
                errors.push(FieldError::invalid(
                    format!("{at}.targetPort"),
                    &Value::from(text.as_str()),
                    detail,
                ));
            }
            other => port_number(other, &format!("{at}.targetPort"), errors),
        }
        let protocol = port.get("protocol").unwrap_or(&Value::Null);
        if !matches!(protocol.as_str(), Some("TCP" | "UDP" | "SCTP")) {
            errors.push(FieldError::not_supported(
                format!("{at}.protocol"),
                protocol,
                &["SCTP", "TCP", "UDP"],
            ));
        }
        let pair = (port.get("port"), protocol);
        if seen_ports.contains(&pair) {
            errors.push(FieldError::duplicate(
                at,
                &json!({"protocol": protocol, "port": pair.0}),
            ));
        }
        seen_ports.push(pair);
    }
    if let Some(old) = old {
        let before = object::text(old, "/spec/clusterIP");
        let stays = object::text(old, "/spec/type") != "ExternalName" && !external;
        if stays && !before.is_empty() && before != object::text(new, "/spec/clusterIP") {
            let value = spec.get("clusterIP").unwrap_or(&Value::Null);
            errors.push(FieldError::invalid(
                "spec.clusterIP",
                value,
                "field is immutable",
            ));
        }
    }
}

fn port_number(value: Option<&Value>, at: &str, errors: &mut Vec<FieldError>) {
    let value = value.unwrap_or(&Value::Null);
    if !value.as_i64().is_some_and(|n| (1..=65535).contains(&n)) {
        errors.push(FieldError::invalid(
            at,
            value,
            "must be between 1 and 65535, inclusive",
        ));
    }
}

fn is_port_name(text: &str) -> bool {
    (1..=15).contains(&text.len())
        && names::is_dns_label(text)
        && text.bytes().any(|c| c.is_ascii_lowercase())
}

/// Ports get a protocol.
pub(super) fn default_endpoint_slice(object: &mut Value) {
    for port in object
        .get_mut("ports")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if let Some(port) = port.as_object_mut() {
            default_to(port, "name", "");
            default_to(port, "protocol", "TCP");
        }
    }
}

/// Address type, addresses and ports; the address type never changes.
pub(super) fn validate_endpoint_slice(
    new: &Value,
    old: Option<&Value>,
    errors: &mut Vec<FieldError>,
) {
    let kind = new.get("addressType").unwrap_or(&Value::Null);
    if !matches!(kind.as_str(), Some("IPv4" | "IPv6" | "FQDN")) {
        if kind.is_null() || kind == "" {
            errors.push(FieldError::required("addressType", ""));
        } else {
            errors.push(FieldError::not_supported(
                "addressType",
                kind,
                &["FQDN", "IPv4", "IPv6"],
            ));
        }
    }
    if old.is_some_and(|o| o.get("addressType") != new.get("addressType")) {
        errors.push(FieldError::invalid(
            "addressType",
            kind,
            "field is immutable",
        ));
    }
    const MOST: usize = 1000;
    let endpoints = object::items(new.get("endpoints"));
    if endpoints.len() > MOST {
        errors.push(FieldError::too_many("endpoints", endpoints.len(), MOST));
    }
    for (i, endpoint) in endpoints.iter().enumerate() {
        let addresses = object::items(endpoint.get("addresses"));
        if addresses.is_empty() {
            errors.push(FieldError::required(
                format!("endpoints[{i}].addresses"),
                "must contain at least 1 address",
            ));
        }
        for (j, address) in addresses.iter().enumerate() {
            let text = address.as_str().unwrap_or("");
            let fine = match kind.as_str() {
                Some("IPv4") => text.parse::<std::net::Ipv4Addr>().is_ok(),
                Some("IPv6") => text.parse::<std::net::Ipv6Addr>().is_ok(),
                _ => names::is_dns_subdomain(text),
            };
            if !fine {
                let at = format!("endpoints[{i}].addresses[{j}]");
                errors.push(FieldError::invalid(
                    at,
                    address,
                    "must be an address of the slice's addressType",
                ));
            }
        }
    }
    for (i, port) in object::items(new.get("ports")).iter().enumerate() {
        if port.get("port").is_some_and(|p| !p.is_null()) {
            port_number(port.get("port"), &format!("ports[{i}].port"), errors);
        }
    }
}

/// Hosts, paths, path types and backends.
pub(super) fn validate_ingress(new: &Value, _old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let spec = new.get("spec").unwrap_or(&Value::Null);
    let rules = object::items(spec.get("rules"));
    let default = spec.get("defaultBackend").filter(|b| !b.is_null());
    if rules.is_empty() && default.is_none() {
        let detail = "either `defaultBackend` or `rules` must be specified";
        errors.push(FieldError::invalid("spec", spec, detail));
    }
    if let Some(backend) = default {
        validate_backend(backend, "spec.defaultBackend", errors);
    }
    for (i, rule) in rules.iter().enumerate() {
        let at = format!("spec.rules[{i}]");
        validate_host(rule.get("host"), &format!("{at}.host"), errors);
        let Some(http) = rule.get("http").filter(|h| !h.is_null()) else {
            continue;
        };
        let paths = object::items(http.get("paths"));
        if paths.is_empty() {
            errors.push(FieldError::required(format!("{at}.http.paths"), ""));
        }
        for (j, path) in paths.iter().enumerate() {
            validate_path(path, &format!("{at}.http.paths[{j}]"), errors);
        }
    }
    for (i, tls) in object::items(spec.get("tls")).iter().enumerate() {
        for (j, host) in object::items(tls.get("hosts")).iter().enumerate() {
            validate_host(Some(host), &format!("spec.tls[{i}].hosts[{j}]"), errors);
        }
    }
}

fn validate_host(host: Option<&Value>, at: &str, errors: &mut Vec<FieldError>) {
    let Some(host) = host.filter(|h| !h.is_null()) else {
        return;
    };
    let text = host.as_str().unwrap_or("\0");
    if text.is_empty() {
        return;
    }
    if text.parse::<std::net::IpAddr>().is_ok() {
        errors.push(FieldError::invalid(
            at,
            host,
            "must be a DNS name, not an IP address",
        ));
    } else if text.contains('*') {
        if !text.strip_prefix("*.").is_some_and(names::is_dns_subdomain) {
            errors.push(FieldError::invalid(at, host, names::WILDCARD_RULE));
        }
    } else if !names::is_dns_subdomain(text) {
        errors.push(FieldError::invalid(at, host, names::SUBDOMAIN_RULE));
    }
}

fn validate_path(path: &Value, at: &str, errors: &mut Vec<FieldError>) {
    let text = object::text(path, "/path");
    let shown = path.get("path").cloned().unwrap_or_else(|| Value::from(""));
    match path.get("pathType") {
        None | Some(Value::Null) => errors.push(FieldError::required(
            format!("{at}.pathType"),
            "pathType must be specified",
        )),
        Some(Value::String(kind)) if matches!(kind.as_str(), "Exact" | "Prefix") => {
            if !text.starts_with('/') {
                errors.push(FieldError::invalid(
                    format!("{at}.path"),
                    &shown,
                    "must be an absolute path",
                ));
            }
            if let Some(bad) = ["//", "/./", "/../", "%2f", "%2F"]
                .into_iter()
                .find(|s| text.contains(s))
            {
                errors.push(FieldError::invalid(
                    format!("{at}.path"),
                    &shown,
                    &format!("must not contain '{bad}'"),
                ));
            }
            if let Some(bad) = ["/..", "/."].into_iter().find(|s| text.ends_with(s)) {
                let detail = format!("cannot end with '{bad}'");
                errors.push(FieldError::invalid(format!("{at}.path"), &shown, &detail));
            }
        }
        Some(Value::String(kind)) if kind == "ImplementationSpecific" => {
            if !text.is_empty() && !text.starts_with('/') {
                errors.push(FieldError::invalid(
                    format!("{at}.path"),
                    &shown,
                    "must be an absolute path",
                ));
            }
        }
        Some(other) => {
            let all = ["Exact", "ImplementationSpecific", "Prefix"];
            errors.push(FieldError::not_supported(
                format!("{at}.pathType"),
                other,
                &all,
            ));
        }
    }
    match path.get("backend").filter(|b| !b.is_null()) {
        Some(backend) => validate_backend(backend, &format!("{at}.backend"), errors),
        None => errors.push(FieldError::required(format!("{at}.backend"), "")),
    }
}

fn validate_backend(backend: &Value, at: &str, errors: &mut Vec<FieldError>) {
    let present = |field: &str| backend.get(field).filter(|v| !v.is_null());
    match (present("resource"), present("service")) {
        (Some(_), Some(_)) => {
            errors.push(FieldError::invalid(
                at,
                &Value::from(""),
                "cannot set both resource and service backends",
            ));
        }
        (None, None) => errors.push(FieldError::required(
            at,
            "must specify either a resource or a service backend",
        )),
        (Some(_), None) => {}
        (None, Some(service)) => {
            let name = object::text(service, "/name");
            if name.is_empty() {
                errors.push(FieldError::required(format!("{at}.service.name"), ""));
            } else if !names::is_dns_1035_label(name) {
                let at = format!("{at}.service.name");
                errors.push(FieldError::invalid(
                    at,
                    &Value::from(name),
                    names::LABEL_1035_RULE,
                ));
            }
            let port = service.get("port").unwrap_or(&Value::Null);
            let named = !object::text(port, "/name").is_empty();
            match (named, port.get("number").filter(|n| !n.is_null())) {
                (true, Some(_)) => {
                    let detail = "cannot set both port name & port number";
                    errors.push(FieldError::invalid(at, &Value::from(""), detail));
                }
                (false, None) => {
                    errors.push(FieldError::required(at, "port name or number is required"))
                }
                (false, number) => {
                    port_number(number, &format!("{at}.service.port.number"), errors)
                }
                (true, None) => {}
            }
        }
    }
}
