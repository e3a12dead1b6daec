//! Fields that a kind does not have, that are given twice, or that have the wrong type.
//!
//! Whatever the client asks for, unknown fields are not stored and a wrong type is refused. `fieldValidation` says
//! whether it is told about unknown and duplicate ones, and how. The words are those of kube-apiserver, which differ by
//! the way the fields came.

use super::WriteOptions;
use crate::object;
use crate::registry::{Kind, Rules};
use crate::status::{About, ApiResult, FieldError, Status};
use crate::types::{self, Findings};
use serde_json::Value;

/// What to do with unknown and duplicate fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum FieldValidation {
    Ignore,
    #[default]
    Warn,
    Strict,
}

/// How fields were sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Sent {
    /// As the whole object.
    #[default]
    Object,
    /// By a JSON patch or a merge patch; the patched object is what is checked and shown.
    Patch,
    /// By a strategic merge patch, which is shown like this.
    Strategic(String),
    /// By server-side apply.
    Apply,
}

/// Takes unknown fields out of an object and reports, refuses or passes over them as asked. Returns the warnings.
pub(super) fn check(
    kind: &Kind,
    value: &mut Value,
    options: &WriteOptions,
) -> ApiResult<Vec<String>> {
    let Findings { unknown, mismatch } = findings(kind, value);
    if let Some(mismatch) = mismatch {
        return Err(match options.sent {
            Sent::Apply => not_typed(kind, value, &[(mismatch.path, mismatch.message)]),
            _ => refused(kind, value, options, &mismatch.message),
        });
    }
    if options.sent == Sent::Apply && !unknown.is_empty() {
        let unknown = unknown.into_iter();
        let errors: Vec<_> = unknown
            .map(|path| (path, "field not declared in schema".to_owned()))
            .collect();
        return Err(not_typed(kind, value, &errors));
    }
    let duplicate = options.duplicates.iter().map(|path| ("duplicate", path));
    let all: Vec<String> = duplicate
        .chain(unknown.iter().map(|path| ("unknown", path)))
        .map(|(what, path)| format!("{what} field {path:?}"))
        .collect();
    match options.validation {
        _ if all.is_empty() => Ok(all),
        FieldValidation::Ignore => Ok(Vec::new()),
        FieldValidation::Warn => Ok(all),
        FieldValidation::Strict if options.sent == Sent::Apply => Err(Status::bad_request(
            format!("error strict decoding YAML: {}", all.join(", ")),
        )),
        FieldValidation::Strict => {
            let why = format!("strict decoding error: {}", all.join(", "));
            Err(refused(kind, value, options, &why))
        }
    }
}

fn findings(kind: &Kind, value: &mut Value) -> Findings {
    let mut findings = Findings::default();
    match &kind.rules {
        Rules::Builtin(b) => {
            if let Some(of) = types::of_kind(b.group, b.version, b.kind) {
                of.conform(value, &mut findings);
            }
        }
        Rules::Custom(custom) => {
            if let Some(metadata) = value.get_mut("metadata") {
                types::object_meta().conform_member("metadata", metadata, &mut findings);
            }
            // Types are checked with all else that the schema says, and told together.
            findings.mismatch = None;
            findings.unknown.extend(custom.prune(value));
        }
    }
    findings
}

fn refused(kind: &Kind, value: &Value, options: &WriteOptions, why: &str) -> Status {
    let patch = match &options.sent {
        Sent::Object | Sent::Apply => {
            return Status::bad_request(format!(
                "{} in version {:?} cannot be handled as a {}: {why}",
                kind.kind, kind.version, kind.kind
            ));
        }
        Sent::Patch => value.to_string(),
        Sent::Strategic(shown) => shown.clone(),
    };
    let nothing = About {
        group: "",
        what: "",
        name: "",
    };
    let error = FieldError::invalid("patch", &Value::from(patch), why);
    Status::invalid(nothing, &[error])
}

/// What server-side apply says of a configuration that does not fit the kind.
fn not_typed(kind: &Kind, value: &Value, errors: &[(String, String)]) -> Status {
    let listed: Vec<String> = errors
        .iter()
        .map(|(path, why)| format!(".{path}: {why}"))
        .collect();
    let listed = match listed.as_slice() {
        [one] => one.clone(),
        many => format!("errors:\n  {}", many.join("\n  ")),
    };
    let (namespace, name) = (object::namespace(value), object::name(value));
    let whose = if namespace.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}/{name}")
    };
    let message = format!(
        "failed to create typed patch object ({whose}; {}, Kind={}): {listed}",
        kind.api_version(),
        kind.kind
    );
    Status::new(500, "", message)
}

/// A value as Go prints it, which is how a strategic merge patch is shown.
pub(crate) fn in_go(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(in_go).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(map) => {
            let mut fields: Vec<_> = map.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            let fields: Vec<String> = fields
                .into_iter()
                .map(|(name, value)| format!("{name}:{}", in_go(value)))
                .collect();
            format!("map[{}]", fields.join(" "))
        }
    }
}
