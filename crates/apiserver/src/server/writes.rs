//! The verbs that change objects.

use super::negotiate;
use super::objects::ResourceRequest;
use super::reply::{self, Reply};
use super::request::Query;
use super::strict::Decoded;
use crate::object;
use crate::ops::{
    DryRun, FieldValidation, Outcome, Part, Sent, WriteOptions, Written, in_go, scale_of,
};
use crate::patch::{self, Conflicts};
use crate::registry::{Kind, Rules};
use crate::status::{About, ApiResult, FieldError, Status};
use http::header::USER_AGENT;
use serde_json::Value;

/// Longest field manager name, as kube-apiserver limits it.
const MANAGER_CHARS: usize = 128;

/// Reads `dryRun`.
pub(super) fn dry_run(query: &Query) -> ApiResult<DryRun> {
    match query.get("dryRun") {
        None => Ok(DryRun::No),
        Some("All") => Ok(DryRun::All),
        Some(other) => Err(Status::bad_request(format!(
            "dryRun must be All, not {other:?}"
        ))),
    }
}

fn options(request: &ResourceRequest<'_>) -> ApiResult<WriteOptions> {
    let validation = match request.query.get("fieldValidation") {
        None | Some("Warn") => FieldValidation::Warn,
        Some("Ignore") => FieldValidation::Ignore,
        Some("Strict") => FieldValidation::Strict,
        Some(other) => {
            return Err(Status::bad_request(format!(
                "fieldValidation must be Ignore, Warn or Strict, not {other:?}"
            )));
        }
    };
    let manager = match request.query.get("fieldManager") {
        Some(name) if name.chars().count() > MANAGER_CHARS => {
            return Err(Status::bad_request(format!(
                "fieldManager is longer than {MANAGER_CHARS} characters"
            )));
        }
        Some(name) => name.to_owned(),
        // The program's name, which is how kube-apiserver names a manager that does not name itself.
        None => {
            let agent = request
                .head
                .headers
                .get(USER_AGENT)
                .and_then(|v| v.to_str().ok())
                .unwrap_or("unknown");
            agent
                .split('/')
                .next()
                .unwrap_or("unknown")
                .chars()
                .take(MANAGER_CHARS)
                .collect()
        }
    };
    Ok(WriteOptions {
        manager,
        dry_run: dry_run(&request.query)?,
        validation,
        ..WriteOptions::default()
    })
}

fn part(request: &ResourceRequest<'_>) -> Part {
    match request.path.subresource.as_deref() {
        Some("status") => Part::Status,
        Some("finalize") => Part::Finalize,
        _ => Part::Main,
    }
}

fn body(request: &ResourceRequest<'_>) -> ApiResult<Decoded> {
    negotiate::decode(
        &negotiate::content_type(&request.head.headers),
        &request.body,
    )
}

/// The body, and the options with what was found while it was decoded.
fn body_and_options(request: &ResourceRequest<'_>) -> ApiResult<(Value, WriteOptions)> {
    let options = options(request)?;
    let Decoded { value, duplicates } = body(request)?;
    let options = WriteOptions {
        duplicates,
        ..options
    };
    Ok((value, options))
}

fn written(request: &ResourceRequest<'_>, written: &Written) -> Reply {
    let code = match written.outcome {
        Outcome::Created => 201,
        Outcome::Updated | Outcome::Unchanged | Outcome::Removed => 200,
    };
    let bytes = request.rendering.object(&request.kind, &written.object);
    reply::with_warnings(reply::json_bytes(code, bytes), &written.warnings)
}

pub(super) async fn create(request: &ResourceRequest<'_>) -> ApiResult<Reply> {
    if request.kind.scope == crate::registry::Scope::Namespaced && request.path.namespace.is_none()
    {
        return Err(Status::method_not_allowed());
    }
    let (body, options) = body_and_options(request)?;
    let done = request
        .api
        .create(&request.kind, request.namespace(), body, &options)
        .await?;
    Ok(written(request, &done))
}

pub(super) async fn replace(request: &ResourceRequest<'_>, name: &str) -> ApiResult<Reply> {
    let (body, options) = body_and_options(request)?;
    let (kind, namespace) = (&request.kind, request.namespace());
    let done = request
        .api
        .replace(kind, namespace, name, part(request), body, &options)
        .await?;
    Ok(written(request, &done))
}

/// A decoded patch.
enum Patch {
    Json(Value),
    Merge(Value),
    Strategic(Value),
}

impl Patch {
    /// The patch, and the options with what was found while it was decoded.
    fn of(request: &ResourceRequest<'_>) -> ApiResult<(Patch, WriteOptions)> {
        let content_type = negotiate::content_type(&request.head.headers);
        let (patch, duplicates) = match content_type.as_str() {
            "application/json-patch+json" => {
                let decoded = negotiate::decode_json(&request.body)?;
                (Patch::Json(decoded.value), decoded.duplicates)
            }
            "application/merge-patch+json" => {
                let decoded = negotiate::decode_json(&request.body)?;
                (
                    Patch::Merge(object_only(decoded.value)?),
                    decoded.duplicates,
                )
            }
            "application/strategic-merge-patch+json" => match &request.kind.rules {
                Rules::Builtin(_) => {
                    let decoded = negotiate::decode_json(&request.body)?;
                    let patch = object_only(decoded.value)?;
                    (Patch::Strategic(patch), decoded.duplicates)
                }
                Rules::Custom(_) => {
                    return Err(Status::unsupported_media_type(
                        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
                    ));
                }
            },
            _ => {
                return Err(Status::unsupported_media_type(
                    "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml",
                ));
            }
        };
        let sent = match &patch {
            Patch::Json(_) | Patch::Merge(_) => Sent::Patch,
            Patch::Strategic(patch) => Sent::Strategic(in_go(patch)),
        };
        let options = WriteOptions {
            duplicates,
            sent,
            ..options(request)?
        };
        Ok((patch, options))
    }

    fn apply(&self, kind: &Kind, current: &Value) -> ApiResult<Value> {
        match self {
            Patch::Strategic(patch) => patch::strategic_merge(kind, current, patch),
            Patch::Json(patch) => patch::json_patch(current, patch),
            Patch::Merge(patch) => Ok(patch::merge_patch(current, patch)),
        }
    }
}

fn object_only(patch: Value) -> ApiResult<Value> {
    if patch.is_object() {
        Ok(patch)
    } else {
        Err(Status::bad_request("the patch must be a JSON object"))
    }
}

pub(super) async fn patch(request: &ResourceRequest<'_>, name: &str) -> ApiResult<Reply> {
    if negotiate::content_type(&request.head.headers) == "application/apply-patch+yaml" {
        return apply(request, name).await;
    }
    let (patch, options) = Patch::of(request)?;
    let (kind, namespace) = (&request.kind, request.namespace());
    let done = request
        .api
        .update(kind, namespace, name, part(request), &options, |current| {
            patch.apply(kind, current)
        })
        .await?;
    Ok(written(request, &done))
}

async fn apply(request: &ResourceRequest<'_>, name: &str) -> ApiResult<Reply> {
    if request.query.get("fieldManager").is_none() {
        let error = FieldError::required("fieldManager", "is required for apply patch");
        let about = About {
            group: "meta.k8s.io",
            what: "PatchOptions",
            name: "",
        };
        return Err(Status::invalid(about, &[error]));
    }
    let Decoded { value, duplicates } = negotiate::decode_yaml(&request.body)?;
    let config = object_only(value)?;
    let options = WriteOptions {
        duplicates,
        ..options(request)?
    };
    let conflicts = if request.query.flag("force")? {
        Conflicts::Force
    } else {
        Conflicts::Refuse
    };
    let done = request
        .api
        .apply(
            &request.kind,
            request.namespace(),
            name,
            part(request),
            config,
            conflicts,
            &options,
        )
        .await?;
    Ok(written(request, &done))
}

pub(super) async fn scale(request: &ResourceRequest<'_>, name: &str) -> ApiResult<Reply> {
    let (kind, namespace) = (&request.kind, request.namespace());
    let done = if request.head.method == http::Method::PUT {
        let (wanted, options) = body_and_options(request)?;
        request
            .api
            .rescale(kind, namespace, name, &options, |_| Ok(wanted.clone()))
            .await?
    } else {
        let (patch, options) = Patch::of(request)?;
        request
            .api
            .rescale(kind, namespace, name, &options, |current| {
                patch.apply(kind, current)
            })
            .await?
    };
    let paths = kind.scale.as_ref().ok_or_else(Status::no_such_resource)?;
    Ok(reply::json(
        200,
        &scale_of(paths, &kind.in_served_version(&done.object.value)),
    ))
}

pub(super) async fn bind(request: &ResourceRequest<'_>, name: &str) -> ApiResult<Reply> {
    let options = options(request)?;
    request
        .api
        .bind(
            &request.kind,
            request.namespace(),
            name,
            &body(request)?.value,
            &options,
        )
        .await?;
    Ok(reply::json(201, &succeeded()))
}

pub(super) async fn evict(request: &ResourceRequest<'_>, name: &str) -> ApiResult<Reply> {
    let body = body(request)?.value;
    let named = object::name(&body);
    if !named.is_empty() && named != name {
        return Err(Status::bad_request(format!(
            "name in URL ({name}) does not match name in Eviction object ({named})"
        )));
    }
    request
        .api
        .evict(&request.kind, request.namespace(), name, &body)
        .await?;
    Ok(reply::json(201, &succeeded()))
}

fn succeeded() -> Value {
    serde_json::json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})
}
