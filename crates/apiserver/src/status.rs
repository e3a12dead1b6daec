//! `metav1.Status`: every answer that is not the object asked for.
//!
//! Messages follow kube-apiserver word for word where people or clients read them.

use serde_json::{Value, json};
use std::fmt;

/// An error that becomes an HTTP answer with a `Status` body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Status {
    /// HTTP status code.
    pub(crate) code: u16,
    /// Machine-readable reason, as clients match on it.
    pub(crate) reason: &'static str,
    /// What people read.
    pub(crate) message: String,
    /// The `details` member, absent when null.
    pub(crate) details: Value,
}

/// Result of everything that answers a request.
pub(crate) type ApiResult<T> = Result<T, Status>;

/// The object a message is about: resource or kind, API group, name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    /// API group, empty for the core group.
    pub(crate) group: &'a str,
    /// Plural resource name or kind, as the message needs.
    pub(crate) what: &'a str,
    /// Object name.
    pub(crate) name: &'a str,
}

impl About<'_> {
    fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.what.to_owned()
        } else {
            format!("{}.{}", self.what, self.group)
        }
    }

    fn details(&self) -> Value {
        json!({"name": self.name, "group": self.group, "kind": self.what})
    }
}

impl Status {
    /// A status without details.
    pub(crate) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Status {
            code,
            reason,
            message: message.into(),
            details: Value::Null,
        }
    }

    /// 404 for a named object.
    pub(crate) fn not_found(about: About<'_>) -> Self {
        let message = format!("{} {:?} not found", about.qualified(), about.name);
        Status {
            details: about.details(),
            ..Status::new(404, "NotFound", message)
        }
    }

    /// 404 for a path or a resource that is not served.
    pub(crate) fn no_such_resource() -> Self {
        Status::new(
            404,
            "NotFound",
            "the server could not find the requested resource",
        )
    }

    /// 409: the name is taken.
    pub(crate) fn already_exists(about: About<'_>) -> Self {
        let message = format!("{} {:?} already exists", about.qualified(), about.name);
        Status {
            details: about.details(),
            ..Status::new(409, "AlreadyExists", message)
        }
    }

    /// 409: a precondition or the resourceVersion did not hold.
    pub(crate) fn conflict(about: About<'_>, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} {:?}: {why}",
            about.qualified(),
            about.name
        );
        Status {
            details: about.details(),
            ..Status::new(409, "Conflict", message)
        }
    }

    /// 409 after losing a race on resourceVersion.
    pub(crate) fn modified(about: About<'_>) -> Self {
        Status::conflict(
            about,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// 400.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Status::new(400, "BadRequest", message)
    }

    /// 401.
    pub(crate) fn unauthorized() -> Self {
        Status::new(401, "Unauthorized", "Unauthorized")
    }

    /// 403.
    pub(crate) fn forbidden(about: About<'_>, why: &str) -> Self {
        let message = if about.name.is_empty() {
            format!("{} is forbidden: {why}", about.qualified())
        } else {
            format!("{} {:?} is forbidden: {why}", about.qualified(), about.name)
        };
        Status {
            details: about.details(),
            ..Status::new(403, "Forbidden", message)
        }
    }

    /// 405.
    pub(crate) fn method_not_allowed() -> Self {
        Status::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )
    }

    /// 410: the version asked for is no longer kept.
    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Status::new(410, "Expired", message)
    }

    /// 413.
    pub(crate) fn too_large(limit: usize) -> Self {
        Status::new(
            413,
            "RequestEntityTooLarge",
            format!("Request entity too large: limit is {limit}"),
        )
    }

    /// 415.
    pub(crate) fn unsupported_media_type(accepted: &str) -> Self {
        Status::new(
            415,
            "UnsupportedMediaType",
            format!(
                "the body of the request was in an unknown format - accepted media types include: {accepted}"
            ),
        )
    }

    /// 406.
    pub(crate) fn not_acceptable(offered: &str) -> Self {
        Status::new(
            406,
            "NotAcceptable",
            format!("only the following media types are accepted: {offered}"),
        )
    }

    /// 429.
    pub(crate) fn too_many_requests() -> Self {
        Status {
            details: json!({"retryAfterSeconds": 1}),
            ..Status::new(
                429,
                "TooManyRequests",
                "Too many requests, please try again later.",
            )
        }
    }

    /// 500.
    pub(crate) fn internal(message: impl fmt::Display) -> Self {
        Status::new(
            500,
            "InternalError",
            format!("Internal error occurred: {message}"),
        )
    }

    /// 501-like answer for a subresource the embedding program does not provide.
    pub(crate) fn not_implemented(what: &str) -> Self {
        Status::new(
            501,
            "NotImplemented",
            format!("{what} is not provided by this server"),
        )
    }

    /// 422 with one cause for each field error.
    pub(crate) fn invalid(about: About<'_>, errors: &[FieldError]) -> Self {
        let listed = match errors {
            [one] => one.to_string(),
            many => {
                let all: Vec<_> = many.iter().map(ToString::to_string).collect();
                format!("[{}]", all.join(", "))
            }
        };
        let causes: Vec<Value> = errors
            .iter()
            .map(|e| json!({"reason": e.kind.reason(), "message": e.without_field(), "field": e.field}))
            .collect();
        let mut details = about.details();
        details["causes"] = Value::Array(causes);
        Status {
            details,
            ..Status::new(
                422,
                "Invalid",
                format!(
                    "{} {:?} is invalid: {listed}",
                    about.qualified(),
                    about.name
                ),
            )
        }
    }

    /// The wire form.
    pub(crate) fn to_value(&self) -> Value {
        let mut out = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        });
        if !self.details.is_null() {
            out["details"] = self.details.clone();
        }
        out
    }

    /// The `Success` body that answers a completed deletion.
    pub(crate) fn success(about: About<'_>, uid: &str) -> Value {
        let mut details = about.details();
        details["uid"] = Value::from(uid);
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} {})", self.message, self.code, self.reason)
    }
}

impl std::error::Error for Status {}

/// One thing wrong with one field, as `field.Error` in Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldError {
    /// Path such as `spec.rules[0].host`.
    pub(crate) field: String,
    kind: FieldErrorKind,
    message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FieldErrorKind {
    Required,
    Invalid,
    TypeInvalid,
    NotSupported,
    Duplicate,
    Forbidden,
    TooLong,
    TooMany,
}

impl FieldErrorKind {
    fn reason(self) -> &'static str {
        match self {
            FieldErrorKind::Required => "FieldValueRequired",
            FieldErrorKind::Invalid => "FieldValueInvalid",
            FieldErrorKind::TypeInvalid => "FieldValueTypeInvalid",
            FieldErrorKind::NotSupported => "FieldValueNotSupported",
            FieldErrorKind::Duplicate => "FieldValueDuplicate",
            FieldErrorKind::Forbidden => "FieldValueForbidden",
            FieldErrorKind::TooLong => "FieldValueTooLong",
            FieldErrorKind::TooMany => "FieldValueTooMany",
        }
    }
}

impl FieldError {
    fn new(kind: FieldErrorKind, field: impl Into<String>, message: String) -> Self {
        FieldError {
            field: field.into(),
            kind,
            message,
        }
    }

    /// A value that must be there is not.
    pub(crate) fn required(field: impl Into<String>, detail: &str) -> Self {
        let message = if detail.is_empty() {
            "Required value".to_owned()
        } else {
            format!("Required value: {detail}")
        };
        FieldError::new(FieldErrorKind::Required, field, message)
    }

    /// A value that breaks a rule.
    pub(crate) fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        FieldError::new(
            FieldErrorKind::Invalid,
            field,
            format!("Invalid value: {}: {detail}", shown(value)),
        )
    }

    /// A value of the wrong JSON type.
    pub(crate) fn type_invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        FieldError::new(
            FieldErrorKind::TypeInvalid,
            field,
            format!("Invalid value: {}: {detail}", shown_type(value)),
        )
    }

    /// A value outside a closed list.
    pub(crate) fn not_supported(
        field: impl Into<String>,
        value: &Value,
        supported: &[&str],
    ) -> Self {
        let list: Vec<_> = supported.iter().map(|s| format!("{s:?}")).collect();
        FieldError::new(
            FieldErrorKind::NotSupported,
            field,
            format!(
                "Unsupported value: {}: supported values: {}",
                shown(value),
                list.join(", ")
            ),
        )
    }

    /// A value that may appear only once.
    pub(crate) fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        FieldError::new(
            FieldErrorKind::Duplicate,
            field,
            format!("Duplicate value: {}", shown(value)),
        )
    }

    /// A field that may not be set here.
    pub(crate) fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        FieldError::new(
            FieldErrorKind::Forbidden,
            field,
            format!("Forbidden: {detail}"),
        )
    }

    /// A string that is too long.
    pub(crate) fn too_long(field: impl Into<String>, max: usize) -> Self {
        FieldError::new(
            FieldErrorKind::TooLong,
            field,
            format!("Too long: may not be more than {max} bytes"),
        )
    }

    /// A list or map with too many members.
    pub(crate) fn too_many(field: impl Into<String>, actual: usize, max: usize) -> Self {
        FieldError::new(
            FieldErrorKind::TooMany,
            field,
            format!("Too many: {actual}: must have at most {max} items"),
        )
    }

    fn without_field(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// A value as messages show it; large ones are cut so that a message stays readable.
fn shown(value: &Value) -> String {
    const LIMIT: usize = 300;
    let mut text = value.to_string();
    if text.len() > LIMIT {
        let cut = (0..=LIMIT)
            .rev()
            .find(|i| text.is_char_boundary(*i))
            .unwrap_or(0);
        text.truncate(cut);
        text.push_str("...");
    }
    text
}

fn shown_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "\"null\"",
        Value::Bool(_) => "\"boolean\"",
        Value::Number(n) if n.is_f64() => "\"number\"",
        Value::Number(_) => "\"integer\"",
        Value::String(_) => "\"string\"",
        Value::Array(_) => "\"array\"",
        Value::Object(_) => "\"object\"",
    }
}
