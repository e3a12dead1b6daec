//! The CustomResourceDefinition object itself: defaults, rules and conditions.

use super::Schema;
use crate::object::{self, child_mut, default_to};
use crate::registry::names::{is_dns_1035_label, is_dns_subdomain};
use crate::status::FieldError;
use serde_json::{Value, json};

/// Fills in names, conversion, and the conditions: a valid CRD is established at once.
pub(crate) fn default_definition(crd: &mut Value) {
    let spec = child_mut(crd, "spec");
    default_to(spec, "conversion", json!({"strategy": "None"}));
    let kind = spec
        .get("names")
        .and_then(|n| n.get("kind"))
        .and_then(Value::as_str)
        .unwrap_or("")
        .to_owned();
    let names = spec.entry("names").or_insert_with(|| json!({}));
    if let Some(names) = names.as_object_mut() {
        default_to(names, "singular", kind.to_lowercase());
        default_to(names, "listKind", format!("{kind}List"));
    }
    let names = names.clone();
    let stored = object::items(spec.get("versions"))
        .iter()
        .find(|v| v["storage"] == true)
        .map(|v| object::text(v, "/name").to_owned());
    let status = child_mut(crd, "status");
    status.insert("acceptedNames".to_owned(), names);
    let versions = status.entry("storedVersions").or_insert_with(|| json!([]));
    if let (Some(versions), Some(stored)) = (versions.as_array_mut(), stored)
        && !versions.iter().any(|v| *v == stored)
    {
        versions.push(Value::from(stored));
    }
    if object::items(status.get("conditions")).is_empty() {
        let condition = |kind: &str, reason: &str, message: &str| json!({"type": kind, "status": "True", "lastTransitionTime": object::now(), "reason": reason, "message": message});
        status.insert(
            "conditions".to_owned(),
            json!([
                condition("NamesAccepted", "NoConflicts", "no conflicts found"),
                condition(
                    "Established",
                    "InitialNamesAccepted",
                    "the initial names have been accepted"
                ),
            ]),
        );
    }
}

/// Whether the CRD's kinds are served.
pub(crate) fn is_established(crd: &Value) -> bool {
    object::items(crd.pointer("/status/conditions"))
        .iter()
        .any(|c| c["type"] == "Established" && c["status"] == "True")
}

/// Group, names, scope, versions, and that every schema can be compiled.
pub(crate) fn validate_definition(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    let group = object::text(spec, "/group");
    let plural = object::text(spec, "/names/plural");
    if group.is_empty() {
        errors.push(FieldError::required("spec.group", ""));
    } else if !is_dns_subdomain(group) || !group.contains('.') {
        let detail = "should be a domain with at least one dot";
        errors.push(FieldError::invalid(
            "spec.group",
            &Value::from(group),
            detail,
        ));
    }
    for field in ["plural", "singular"] {
        let text = object::text(spec, &format!("/names/{field}"));
        if text.is_empty() {
            errors.push(FieldError::required(format!("spec.names.{field}"), ""));
        } else if !is_dns_1035_label(text) {
            let detail = "must be a lower-case DNS label";
            errors.push(FieldError::invalid(
                format!("spec.names.{field}"),
                &Value::from(text),
                detail,
            ));
        }
    }
    if object::text(spec, "/names/kind").is_empty() {
        errors.push(FieldError::required("spec.names.kind", ""));
    }
    let wanted = format!("{plural}.{group}");
    if !plural.is_empty() && !group.is_empty() && object::name(new) != wanted {
        let detail = format!("must be spec.names.plural+\".\"+spec.group: {wanted:?}");
        errors.push(FieldError::invalid(
            "metadata.name",
            &Value::from(object::name(new)),
            &detail,
        ));
    }
    match spec.get("scope") {
        Some(Value::String(s)) if matches!(s.as_str(), "Namespaced" | "Cluster") => {}
        None | Some(Value::Null) => errors.push(FieldError::required("spec.scope", "")),
        Some(other) => errors.push(FieldError::not_supported(
            "spec.scope",
            other,
            &["Cluster", "Namespaced"],
        )),
    }
    validate_versions(spec, errors);
    let strategy = spec.pointer("/conversion/strategy").unwrap_or(&Value::Null);
    if strategy != "None" {
        errors.push(FieldError::not_supported(
            "spec.conversion.strategy",
            strategy,
            &["None"],
        ));
    }
    if let Some(old) = old {
        for (field, pointer) in [
            ("spec.group", "/spec/group"),
            ("spec.scope", "/spec/scope"),
            ("spec.names.plural", "/spec/names/plural"),
        ] {
            if old.pointer(pointer) != new.pointer(pointer) {
                let value = new.pointer(pointer).unwrap_or(&Value::Null);
                errors.push(FieldError::invalid(field, value, "field is immutable"));
            }
        }
    }
}

fn validate_versions(spec: &Value, errors: &mut Vec<FieldError>) {
    let versions = object::items(spec.get("versions"));
    if versions.is_empty() {
        errors.push(FieldError::required(
            "spec.versions",
            "must have at least one version",
        ));
        return;
    }
    let mut seen = Vec::new();
    for (i, version) in versions.iter().enumerate() {
        let at = format!("spec.versions[{i}]");
        let name = object::text(version, "/name");
        if !is_dns_1035_label(name) {
            let detail = "must be a lower-case DNS label such as v1alpha1";
            errors.push(FieldError::invalid(
                format!("{at}.name"),
                &Value::from(name),
                detail,
            ));
        } else if seen.contains(&name) {
            errors.push(FieldError::duplicate(
                format!("{at}.name"),
                &Value::from(name),
            ));
        }
        seen.push(name);
        for flag in ["served", "storage"] {
            if !version.get(flag).is_some_and(Value::is_boolean) {
                errors.push(FieldError::required(
                    format!("{at}.{flag}"),
                    "must be true or false",
                ));
            }
        }
        match version.pointer("/schema/openAPIV3Schema") {
            None | Some(Value::Null) => {
                errors.push(FieldError::required(
                    format!("{at}.schema.openAPIV3Schema"),
                    "schemas are required",
                ));
            }
            Some(schema) => {
                if object::text(schema, "/type") != "object" {
                    let detail = "must be object";
                    let value = schema.get("type").unwrap_or(&Value::Null);
                    errors.push(FieldError::invalid(
                        format!("{at}.schema.openAPIV3Schema.type"),
                        value,
                        detail,
                    ));
                }
                if let Err(error) = Schema::compile(schema) {
                    let field = format!("{at}.schema.{}", error.path);
                    errors.push(FieldError::invalid(field, &Value::from(""), &error.why));
                }
            }
        }
    }
    if versions.iter().filter(|v| v["storage"] == true).count() != 1 {
        let detail = "must have exactly one version marked as storage version";
        errors.push(FieldError::invalid(
            "spec.versions",
            &Value::from(seen),
            detail,
        ));
    }
}
