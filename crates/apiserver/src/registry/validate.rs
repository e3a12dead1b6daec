//! Metadata checks for every kind, and the small kinds' own.

use super::names;
use super::{Kind, NameRule};
use crate::object;
use crate::selector::{is_label_key, is_label_value};
use crate::status::FieldError;
use base64::Engine as _;
use serde_json::{Map, Value};

/// For kinds without defaults.
pub(super) fn no_defaults(_object: &mut Value) {}

/// For kinds without rules of their own.
pub(super) fn nothing(_new: &Value, _old: Option<&Value>, _errors: &mut Vec<FieldError>) {}

/// All annotations of an object together, as kube-apiserver limits them.
const ANNOTATIONS_LIMIT: usize = 256 << 10;

/// Name, labels, annotations, finalizers and owner references.
pub(crate) fn validate_metadata(kind: &Kind, object: &Value, errors: &mut Vec<FieldError>) {
    let name = object::name(object);
    let (valid, rule) = match kind.name_rule() {
        NameRule::Subdomain => (names::is_dns_subdomain(name), names::SUBDOMAIN_RULE),
        NameRule::Label => (names::is_dns_label(name), names::LABEL_RULE),
        NameRule::Label1035 => (names::is_dns_1035_label(name), names::LABEL_1035_RULE),
        NameRule::PathSegment => (
            names::is_path_segment(name),
            "may not be '.' or '..' or contain '/' or '%'",
        ),
    };
    if name.is_empty() {
        errors.push(FieldError::required(
            "metadata.name",
            "name or generateName is required",
        ));
    } else if !valid {
        errors.push(FieldError::invalid(
            "metadata.name",
            &Value::from(name),
            rule,
        ));
    }
    let Some(meta) = object.get("metadata").and_then(Value::as_object) else {
        return;
    };
    string_map(meta, "labels", errors, |key, value, errors| {
        labels_rule("metadata.labels", key, value, errors);
    });
    let mut size = 0;
    string_map(meta, "annotations", errors, |key, value, errors| {
        size += key.len() + value.len();
        if !is_label_key(&key.to_lowercase()) {
            errors.push(FieldError::invalid(
                "metadata.annotations",
                &Value::from(key),
                KEY_RULE,
            ));
        }
    });
    if size > ANNOTATIONS_LIMIT {
        errors.push(FieldError::too_long(
            "metadata.annotations",
            ANNOTATIONS_LIMIT,
        ));
    }
    for (i, finalizer) in object::items(meta.get("finalizers")).iter().enumerate() {
        if !finalizer.as_str().is_some_and(is_label_key) {
            errors.push(FieldError::invalid(
                format!("metadata.finalizers[{i}]"),
                finalizer,
                KEY_RULE,
            ));
        }
    }
    for (i, owner) in object::items(meta.get("ownerReferences"))
        .iter()
        .enumerate()
    {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner
                .get(field)
                .and_then(Value::as_str)
                .is_none_or(str::is_empty)
            {
                errors.push(FieldError::required(
                    format!("metadata.ownerReferences[{i}].{field}"),
                    "must not be empty",
                ));
            }
        }
    }
}

const KEY_RULE: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE_RULE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// One label's key and value.
pub(super) fn labels_rule(field: &str, key: &str, value: &str, errors: &mut Vec<FieldError>) {
    if !is_label_key(key) {
        errors.push(FieldError::invalid(field, &Value::from(key), KEY_RULE));
    }
    if !is_label_value(value) {
        errors.push(FieldError::invalid(field, &Value::from(value), VALUE_RULE));
    }
}

fn string_map(
    meta: &Map<String, Value>,
    field: &str,
    errors: &mut Vec<FieldError>,
    mut each: impl FnMut(&str, &str, &mut Vec<FieldError>),
) {
    match meta.get(field) {
        None | Some(Value::Null) => {}
        Some(Value::Object(map)) => {
            for (key, value) in map {
                match value.as_str() {
                    Some(value) => each(key, value, errors),
                    None => errors.push(FieldError::type_invalid(
                        format!("metadata.{field}.{key}"),
                        value,
                        "must be of type string",
                    )),
                }
            }
        }
        Some(other) => {
            errors.push(FieldError::type_invalid(
                format!("metadata.{field}"),
                other,
                "must be of type object",
            ));
        }
    }
}

/// Keys of `data` and `binaryData`, and the total size.
pub(super) fn config_map(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    data_keys(new, &["data", "binaryData"], errors);
    if let Some(old) = old {
        immutable_data(new, old, &["data", "binaryData"], errors);
    }
}

/// Keys and encoding of `data`; the type never changes.
pub(super) fn secret(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    data_keys(new, &["data"], errors);
    if let Some(data) = new.get("data").and_then(Value::as_object) {
        for (key, value) in data {
            let text = value.as_str().unwrap_or("\0");
            if base64::engine::general_purpose::STANDARD
                .decode(text)
                .is_err()
            {
                let detail = "must be base64";
                errors.push(FieldError::invalid(
                    format!("data[{key}]"),
                    &Value::from("<redacted>"),
                    detail,
                ));
            }
        }
    }
    if new.get("type").and_then(Value::as_str) == Some("kubernetes.io/tls") {
        for key in ["tls.crt", "tls.key"] {
            if new.get("data").and_then(|data| data.get(key)).is_none() {
                errors.push(FieldError::required(format!("data[{key}]"), ""));
            }
        }
    }
    if let Some(old) = old {
        if new.get("type") != old.get("type") {
            errors.push(FieldError::invalid(
                "type",
                new.get("type").unwrap_or(&Value::Null),
                "field is immutable",
            ));
        }
        immutable_data(new, old, &["data"], errors);
    }
}

fn immutable_data(new: &Value, old: &Value, fields: &[&str], errors: &mut Vec<FieldError>) {
    if old.get("immutable") == Some(&Value::Bool(true)) {
        for field in fields.iter().chain(&["immutable"]) {
            if new.get(field) != old.get(field) {
                errors.push(FieldError::forbidden(
                    *field,
                    "field is immutable when `immutable` is set",
                ));
            }
        }
    }
}

fn data_keys(object: &Value, fields: &[&str], errors: &mut Vec<FieldError>) {
    const LIMIT: usize = 1 << 20;
    let mut size = 0;
    for field in fields {
        let Some(data) = object.get(field) else {
            continue;
        };
        let Some(map) = data.as_object() else {
            if !data.is_null() {
                errors.push(FieldError::type_invalid(
                    *field,
                    data,
                    "must be of type object",
                ));
            }
            continue;
        };
        for (key, value) in map {
            let fine = !key.is_empty()
                && key.len() <= 253
                && key
                    .bytes()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.'));
            if !fine {
                let detail = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
                errors.push(FieldError::invalid(
                    format!("{field}[{key}]"),
                    &Value::from(key.as_str()),
                    detail,
                ));
            }
            match value.as_str() {
                Some(text) => size += text.len(),
                None => {
                    let at = format!("{field}[{key}]");
                    errors.push(FieldError::type_invalid(
                        at,
                        value,
                        "must be of type string",
                    ));
                }
            }
        }
    }
    if size > LIMIT {
        errors.push(FieldError::too_long(fields[0], LIMIT));
    }
}

/// `stringData` moves into `data`; the type defaults to Opaque.
pub(super) fn default_secret(object: &mut Value) {
    let Some(map) = object.as_object_mut() else {
        return;
    };
    object::default_to(map, "type", "Opaque");
    if let Some(Value::Object(plain)) = map.shift_remove("stringData") {
        let data = object::child_mut(object, "data");
        for (key, value) in plain {
            if let Some(text) = value.as_str() {
                data.insert(
                    key,
                    Value::from(base64::engine::general_purpose::STANDARD.encode(text)),
                );
            }
        }
    }
}
