//! Defaults and rules of Namespace, Pod and the kinds that make Pods.

use super::names;
use super::validate::labels_rule;
use crate::object::{self, child_mut, default_to};
use crate::status::FieldError;
use serde_json::{Map, Value, json};

/// Finalizer, phase and the name label.
pub(super) fn default_namespace(object: &mut Value) {
    let name = object::name(object).to_owned();
    let meta = object::meta_mut(object);
    let labels = meta.entry("labels").or_insert_with(|| json!({}));
    if !labels.is_object() {
        return;
    }
    labels["kubernetes.io/metadata.name"] = Value::from(name);
    if !object::is_deleting(object) {
        let spec = child_mut(object, "spec");
        default_to(spec, "finalizers", json!(["kubernetes"]));
        default_to(child_mut(object, "status"), "phase", "Active");
    }
}

/// A Pod's defaults.
pub(super) fn default_pod(object: &mut Value) {
    default_pod_spec(child_mut(object, "spec"));
    let qos = qos_class(&object["spec"]);
    let status = child_mut(object, "status");
    default_to(status, "phase", "Pending");
    default_to(status, "qosClass", qos);
}

fn default_template(spec: &mut Map<String, Value>) {
    let Some(template) = spec.get_mut("template").filter(|t| t.is_object()) else {
        return;
    };
    let meta = object::meta_mut(template);
    default_to(meta, "creationTimestamp", Value::Null);
    meta.retain(|_, v| !v.is_null());
    default_pod_spec(child_mut(template, "spec"));
}

fn default_pod_spec(spec: &mut Map<String, Value>) {
    default_to(spec, "restartPolicy", "Always");
    default_to(spec, "dnsPolicy", "ClusterFirst");
    default_to(spec, "terminationGracePeriodSeconds", 30);
    default_to(spec, "schedulerName", "default-scheduler");
    default_to(spec, "securityContext", json!({}));
    if let Some(account) = spec.get("serviceAccountName").cloned() {
        default_to(spec, "serviceAccount", account);
    }
    default_to(spec, "enableServiceLinks", true);
    for list in ["containers", "initContainers"] {
        for container in spec
            .get_mut(list)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            if let Some(container) = container.as_object_mut() {
                default_container(container);
            }
        }
    }
    for volume in spec
        .get_mut("volumes")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        for source in ["configMap", "secret", "projected", "downwardAPI"] {
            if let Some(source) = volume.get_mut(source).and_then(Value::as_object_mut) {
                default_to(source, "defaultMode", 0o644);
            }
        }
        if let Some(host) = volume.get_mut("hostPath").and_then(Value::as_object_mut) {
            default_to(host, "type", "");
        }
    }
}

fn default_container(container: &mut Map<String, Value>) {
    let latest = container
        .get("image")
        .and_then(Value::as_str)
        .is_some_and(|image| {
            let last = image.rsplit('/').next().unwrap_or(image);
            !image.contains('@') && (!last.contains(':') || last.ends_with(":latest"))
        });
    default_to(
        container,
        "imagePullPolicy",
        if latest { "Always" } else { "IfNotPresent" },
    );
    default_to(container, "terminationMessagePath", "/dev/termination-log");
    default_to(container, "terminationMessagePolicy", "File");
    default_to(container, "resources", json!({}));
    for port in container
        .get_mut("ports")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if let Some(port) = port.as_object_mut() {
            default_to(port, "protocol", "TCP");
        }
    }
    if let Some(resources) = container
        .get_mut("resources")
        .and_then(Value::as_object_mut)
    {
        // A limit without a request is also the request.
        let limits = resources
            .get("limits")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        if !limits.is_empty() {
            let requests = resources.entry("requests").or_insert_with(|| json!({}));
            if let Some(requests) = requests.as_object_mut() {
                for (name, amount) in limits {
                    requests.entry(name).or_insert(amount);
                }
            }
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get_mut(probe).and_then(Value::as_object_mut) {
            default_to(probe, "timeoutSeconds", 1);
            default_to(probe, "periodSeconds", 10);
            default_to(probe, "successThreshold", 1);
            default_to(probe, "failureThreshold", 3);
            default_http_get(probe);
        }
    }
    if let Some(lifecycle) = container
        .get_mut("lifecycle")
        .and_then(Value::as_object_mut)
    {
        for hook in ["postStart", "preStop"] {
            if let Some(hook) = lifecycle.get_mut(hook).and_then(Value::as_object_mut) {
                default_http_get(hook);
            }
        }
    }
}

fn default_http_get(handler: &mut Map<String, Value>) {
    if let Some(get) = handler.get_mut("httpGet").and_then(Value::as_object_mut) {
        default_to(get, "path", "/");
        default_to(get, "scheme", "HTTP");
    }
    if let Some(grpc) = handler.get_mut("grpc").and_then(Value::as_object_mut) {
        default_to(grpc, "service", "");
    }
}

fn qos_class(spec: &Value) -> &'static str {
    let containers = || {
        object::items(spec.get("containers"))
            .iter()
            .chain(object::items(spec.get("initContainers")))
    };
    let amount = |c: &Value, side: &str, what: &str| {
        c.pointer(&format!("/resources/{side}/{what}")).cloned()
    };
    let any = containers().any(|c| {
        ["requests", "limits"]
            .iter()
            .any(|s| ["cpu", "memory"].iter().any(|w| amount(c, s, w).is_some()))
    });
    let full = containers().all(|c| {
        ["cpu", "memory"].iter().all(|w| {
            let limit = amount(c, "limits", w);
            limit.is_some() && limit == amount(c, "requests", w)
        })
    });
    match (any, full) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// A Deployment's defaults.
pub(super) fn default_deployment(object: &mut Value) {
    let spec = child_mut(object, "spec");
    default_to(spec, "replicas", 1);
    default_to(spec, "revisionHistoryLimit", 10);
    default_to(spec, "progressDeadlineSeconds", 600);
    let strategy = spec.entry("strategy").or_insert_with(|| json!({}));
    if let Some(strategy) = strategy.as_object_mut() {
        default_to(strategy, "type", "RollingUpdate");
        if strategy.get("type").and_then(Value::as_str) == Some("RollingUpdate") {
            default_to(strategy, "rollingUpdate", json!({}));
            if let Some(rolling) = strategy
                .get_mut("rollingUpdate")
                .and_then(Value::as_object_mut)
            {
                default_to(rolling, "maxUnavailable", "25%");
                default_to(rolling, "maxSurge", "25%");
            }
        }
    }
    default_template(spec);
}

/// A ReplicaSet's defaults.
pub(super) fn default_replica_set(object: &mut Value) {
    let spec = child_mut(object, "spec");
    default_to(spec, "replicas", 1);
    default_template(spec);
}

/// A StatefulSet's defaults.
pub(super) fn default_stateful_set(object: &mut Value) {
    let spec = child_mut(object, "spec");
    default_to(spec, "replicas", 1);
    default_to(spec, "podManagementPolicy", "OrderedReady");
    default_to(spec, "revisionHistoryLimit", 10);
    default_to(
        spec,
        "updateStrategy",
        json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}),
    );
    default_template(spec);
}

/// A DaemonSet's defaults.
pub(super) fn default_daemon_set(object: &mut Value) {
    let spec = child_mut(object, "spec");
    default_to(spec, "revisionHistoryLimit", 10);
    let strategy =
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}});
    default_to(spec, "updateStrategy", strategy);
    default_template(spec);
}

/// A Job's defaults.
pub(super) fn default_job(object: &mut Value) {
    let spec = child_mut(object, "spec");
    default_to(spec, "completions", 1);
    default_to(spec, "parallelism", 1);
    default_to(spec, "backoffLimit", 6);
    default_to(spec, "completionMode", "NonIndexed");
    default_to(spec, "suspend", false);
    default_template(spec);
}

/// Containers, and that a Pod's spec hardly ever changes.
pub(super) fn validate_pod(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    validate_pod_spec(&new["spec"], "spec", errors);
    let Some(old) = old else { return };
    // What may change: images, tolerations added, deadlines, and binding to a node once.
    let frozen = |object: &Value| {
        let mut spec = object["spec"].clone();
        if let Some(map) = spec.as_object_mut() {
            for field in [
                "activeDeadlineSeconds",
                "terminationGracePeriodSeconds",
                "tolerations",
                "schedulingGates",
            ] {
                map.shift_remove(field);
            }
            for list in ["containers", "initContainers", "ephemeralContainers"] {
                for container in map
                    .get_mut(list)
                    .and_then(Value::as_array_mut)
                    .into_iter()
                    .flatten()
                {
                    if let Some(container) = container.as_object_mut() {
                        container.shift_remove("image");
                    }
                }
            }
        }
        spec
    };
    let (mut before, after) = (frozen(old), frozen(new));
    if object::text(old, "/spec/nodeName").is_empty()
        && let Some(node) = after.get("nodeName")
    {
        before["nodeName"] = node.clone();
    }
    if before != after {
        errors.push(FieldError::forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
        ));
    }
}

fn validate_pod_spec(spec: &Value, at: &str, errors: &mut Vec<FieldError>) {
    let containers = object::items(spec.get("containers"));
    if containers.is_empty() {
        errors.push(FieldError::required(format!("{at}.containers"), ""));
    }
    let mut seen: Vec<&str> = Vec::new();
    for (list, containers) in [
        ("containers", containers),
        ("initContainers", object::items(spec.get("initContainers"))),
    ] {
        for (i, container) in containers.iter().enumerate() {
            let at = format!("{at}.{list}[{i}]");
            validate_container(container, &at, errors);
            let name = object::text(container, "/name");
            if !name.is_empty() && seen.contains(&name) {
                errors.push(FieldError::duplicate(
                    format!("{at}.name"),
                    &Value::from(name),
                ));
            }
            seen.push(name);
        }
    }
    let policy = spec.get("restartPolicy").unwrap_or(&Value::Null);
    if !matches!(policy.as_str(), Some("Always" | "OnFailure" | "Never")) {
        let all = ["Always", "OnFailure", "Never"];
        errors.push(FieldError::not_supported(
            format!("{at}.restartPolicy"),
            policy,
            &all,
        ));
    }
    let volumes: Vec<&str> = object::items(spec.get("volumes"))
        .iter()
        .map(|v| object::text(v, "/name"))
        .collect();
    for (i, container) in containers.iter().enumerate() {
        for (j, mount) in object::items(container.get("volumeMounts"))
            .iter()
            .enumerate()
        {
            let name = object::text(mount, "/name");
            if !volumes.contains(&name) {
                let at = format!("{at}.containers[{i}].volumeMounts[{j}].name");
                errors.push(FieldError::invalid(
                    at,
                    &Value::from(name),
                    "must be the name of a volume of the pod",
                ));
            }
        }
    }
}

fn validate_container(container: &Value, at: &str, errors: &mut Vec<FieldError>) {
    let name = object::text(container, "/name");
    if name.is_empty() {
        errors.push(FieldError::required(format!("{at}.name"), ""));
    } else if !names::is_dns_label(name) {
        errors.push(FieldError::invalid(
            format!("{at}.name"),
            &Value::from(name),
            names::LABEL_RULE,
        ));
    }
    if object::text(container, "/image").is_empty() {
        errors.push(FieldError::required(format!("{at}.image"), ""));
    }
    for (i, port) in object::items(container.get("ports")).iter().enumerate() {
        let number = port.get("containerPort").unwrap_or(&Value::Null);
        if !number.as_i64().is_some_and(|n| (1..=65535).contains(&n)) {
            let at = format!("{at}.ports[{i}].containerPort");
            errors.push(FieldError::invalid(
                at,
                number,
                "must be between 1 and 65535, inclusive",
            ));
        }
    }
    for (i, variable) in object::items(container.get("env")).iter().enumerate() {
        if object::text(variable, "/name").is_empty() {
            errors.push(FieldError::required(format!("{at}.env[{i}].name"), ""));
        }
    }
}

/// Strategy, on top of what every selector workload needs.
pub(super) fn validate_deployment(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    validate_selector_workload(new, old, errors);
    let kind = new.pointer("/spec/strategy/type").unwrap_or(&Value::Null);
    match kind.as_str() {
        Some("Recreate") => {
            if new
                .pointer("/spec/strategy/rollingUpdate")
                .is_some_and(|r| !r.is_null())
            {
                let detail = "may not be specified when strategy `type` is 'Recreate'";
                errors.push(FieldError::forbidden("spec.strategy.rollingUpdate", detail));
            }
        }
        Some("RollingUpdate") => {}
        _ => errors.push(FieldError::not_supported(
            "spec.strategy.type",
            kind,
            &["Recreate", "RollingUpdate"],
        )),
    }
}

/// Replicas, a selector that matches the template and never changes, and the template itself.
pub(super) fn validate_selector_workload(
    new: &Value,
    old: Option<&Value>,
    errors: &mut Vec<FieldError>,
) {
    if let Some(replicas) = new.pointer("/spec/replicas")
        && replicas.as_i64().is_none_or(|n| n < 0)
    {
        errors.push(FieldError::invalid(
            "spec.replicas",
            replicas,
            "must be greater than or equal to 0",
        ));
    }
    let selector = new.pointer("/spec/selector").unwrap_or(&Value::Null);
    let labels = new
        .pointer("/spec/template/metadata/labels")
        .unwrap_or(&Value::Null);
    let has_terms = |field: &str| {
        selector.get(field).is_some_and(|v| {
            v.as_object().is_some_and(|m| !m.is_empty())
                || v.as_array().is_some_and(|l| !l.is_empty())
        })
    };
    if !selector.is_object() {
        errors.push(FieldError::required("spec.selector", ""));
    } else if !has_terms("matchLabels") && !has_terms("matchExpressions") {
        errors.push(FieldError::invalid(
            "spec.selector",
            selector,
            "empty selector is invalid for this kind",
        ));
    } else if !selector_matches(selector, labels) {
        let detail = "`selector` does not match template `labels`";
        errors.push(FieldError::invalid(
            "spec.template.metadata.labels",
            labels,
            detail,
        ));
    }
    if let Some(old) = old.and_then(|o| o.pointer("/spec/selector"))
        && old != selector
    {
        errors.push(FieldError::invalid(
            "spec.selector",
            selector,
            "field is immutable",
        ));
    }
    for (key, value) in labels.as_object().into_iter().flatten() {
        labels_rule(
            "spec.template.labels",
            key,
            value.as_str().unwrap_or("\0"),
            errors,
        );
    }
    let template = new.pointer("/spec/template/spec").unwrap_or(&Value::Null);
    validate_pod_spec(template, "spec.template.spec", errors);
    let policy = template.get("restartPolicy").unwrap_or(&Value::Null);
    if matches!(policy.as_str(), Some("OnFailure" | "Never")) {
        errors.push(FieldError::not_supported(
            "spec.template.spec.restartPolicy",
            policy,
            &["Always"],
        ));
    }
}

/// Whether a `metav1.LabelSelector` matches a label map.
fn selector_matches(selector: &Value, labels: &Value) -> bool {
    let exact = selector
        .get("matchLabels")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    let expressions = object::items(selector.get("matchExpressions"));
    exact
        .into_iter()
        .all(|(key, value)| labels.get(key) == Some(value))
        && expressions.iter().all(|e| {
            let actual = labels.get(object::text(e, "/key"));
            let listed = || {
                object::items(e.get("values"))
                    .iter()
                    .any(|v| Some(v) == actual)
            };
            match object::text(e, "/operator") {
                "In" => listed(),
                "NotIn" => !listed(),
                "Exists" => actual.is_some(),
                "DoesNotExist" => actual.is_none(),
                _ => false,
            }
        })
}
