//! Delete and deletecollection.

use super::{Api, DryRun, RETRIES, key, write_failed};
use crate::crd;
use crate::object;
use crate::registry::Kind;
use crate::selector::Selector;
use crate::status::{ApiResult, Status};
use crate::store::{Change, Expect, Object, Write, WriteError};
use serde_json::Value;
use std::sync::Arc;

/// The finalizer of foreground deletion.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";
/// The finalizer of orphaning deletion.
pub(crate) const ORPHAN: &str = "orphan";

/// What happens to dependents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Propagation {
    #[default]
    Background,
    Foreground,
    Orphan,
}

/// `DeleteOptions`.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) grace_seconds: Option<i64>,
    pub(crate) propagation: Option<Propagation>,
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
    pub(crate) dry_run: DryRun,
}

/// How far a deletion got.
#[derive(Debug)]
pub(crate) enum Deleted {
    /// Gone; its last state.
    Gone(Arc<Object>),
    /// Marked; something still has to let go of it.
    Pending(Arc<Object>),
}

impl DeleteOptions {
    /// Reads a `DeleteOptions` body.
    pub(crate) fn from_body(body: &Value) -> ApiResult<Self> {
        let orphan = body.get("orphanDependents").and_then(Value::as_bool);
        let propagation = match body.get("propagationPolicy").and_then(Value::as_str) {
            None | Some("") => orphan.map(|o| {
                if o {
                    Propagation::Orphan
                } else {
                    Propagation::Background
                }
            }),
            Some("Background") => Some(Propagation::Background),
            Some("Foreground") => Some(Propagation::Foreground),
            Some("Orphan") => Some(Propagation::Orphan),
            Some(other) => {
                return Err(Status::bad_request(format!(
                    "invalid propagationPolicy {other:?}: must be Foreground, Background or Orphan"
                )));
            }
        };
        let condition = |f: &str| {
            let text = object::text(body, &format!("/preconditions/{f}"));
            (!text.is_empty()).then(|| text.to_owned())
        };
        Ok(DeleteOptions {
            grace_seconds: body.get("gracePeriodSeconds").and_then(Value::as_i64),
            propagation,
            uid: condition("uid"),
            resource_version: condition("resourceVersion"),
            dry_run: match object::strings(body.get("dryRun"))[..] {
                [] => DryRun::No,
                ["All"] => DryRun::All,
                _ => return Err(Status::bad_request("dryRun must be [\"All\"] or absent")),
            },
        })
    }
}

impl Api {
    /// Deletes one object, or marks it when a finalizer, a grace period or its contents hold it.
    pub(crate) async fn delete(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        options: &DeleteOptions,
    ) -> ApiResult<Deleted> {
        for _ in 0..RETRIES {
            let current = self.get(kind, namespace, name)?;
            check_preconditions(kind, &current, options)?;
            let step = plan(kind, &current.value, options, jiff::Timestamp::now());
            let change = match step {
                Step::Nothing => return Ok(Deleted::Pending(current)),
                Step::Mark(value) if options.dry_run == DryRun::All => {
                    return Ok(Deleted::Pending(Arc::new(Object::new(
                        value,
                        current.revision,
                    ))));
                }
                Step::Remove if options.dry_run == DryRun::All => {
                    return Ok(Deleted::Gone(current));
                }
                Step::Mark(value) => Change::Put(value),
                Step::Remove => Change::Delete(current.value.clone()),
            };
            let gone = matches!(change, Change::Delete(_));
            let expect = Expect::Revision(current.revision);
            match self
                .store
                .write(Write {
                    key: key(kind, namespace, name),
                    expect,
                    change,
                })
                .await
            {
                Ok(object) if gone => return Ok(Deleted::Gone(object)),
                Ok(object) => return Ok(Deleted::Pending(object)),
                Err(WriteError::Changed) => {}
                Err(error) => return Err(write_failed(kind, name, error)),
            }
        }
        Err(Status::modified(kind.about(name)))
    }

    /// Deletes everything the selector matches; returns what was there.
    pub(crate) async fn delete_collection(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        selector: &Selector,
        options: &DeleteOptions,
    ) -> ApiResult<Vec<Arc<Object>>> {
        let all: Vec<Arc<Object>> = {
            let state = self.store.read();
            state
                .list(&kind.storage, namespace)
                .filter(|o| {
                    selector.is_empty() || selector.matches(&kind.in_served_version(&o.value))
                })
                .cloned()
                .collect()
        };
        for object in &all {
            match self
                .delete(
                    kind,
                    object::namespace(&object.value),
                    object::name(&object.value),
                    options,
                )
                .await
            {
                Ok(_) => {}
                Err(status) if status.code == 404 => {}
                Err(status) => return Err(status),
            }
        }
        Ok(all)
    }
}

fn check_preconditions(kind: &Kind, current: &Object, options: &DeleteOptions) -> ApiResult<()> {
    let value = &current.value;
    let failed = |what: &str, wanted: &str, found: &str| {
        let why = format!(
            "Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
        );
        Err(Status::conflict(kind.about(object::name(value)), &why))
    };
    if let Some(uid) = options.uid.as_deref().filter(|u| *u != object::uid(value)) {
        return failed("UID", uid, object::uid(value));
    }
    let version = object::meta(value, "resourceVersion");
    if let Some(wanted) = options
        .resource_version
        .as_deref()
        .filter(|v| *v != version)
    {
        return failed("ResourceVersion", wanted, version);
    }
    Ok(())
}

enum Step {
    Nothing,
    Mark(Value),
    Remove,
}

/// What a delete request does to an object; pure, so that the rules can be read and tested in one place.
fn plan(kind: &Kind, current: &Value, options: &DeleteOptions, now: jiff::Timestamp) -> Step {
    let mut value = current.clone();
    match options.propagation {
        Some(Propagation::Foreground) => {
            object::remove_finalizer(&mut value, ORPHAN);
            object::add_finalizer(&mut value, FOREGROUND);
        }
        Some(Propagation::Orphan) => {
            object::remove_finalizer(&mut value, FOREGROUND);
            object::add_finalizer(&mut value, ORPHAN);
        }
        Some(Propagation::Background) => {
            object::remove_finalizer(&mut value, ORPHAN);
            object::remove_finalizer(&mut value, FOREGROUND);
        }
        None => {}
    }
    if kind.is(crd::STORAGE) && !object::is_deleting(current) {
        object::add_finalizer(&mut value, crd::CLEANUP_FINALIZER);
    }
    let grace = grace_seconds(kind, current, options);
    let content_left =
        kind.is("namespaces") && !object::items(current.pointer("/spec/finalizers")).is_empty();
    let held = !object::finalizers(&value).is_empty() || content_left;
    if object::is_deleting(current) {
        let pending = object::int(current, "/metadata/deletionGracePeriodSeconds").unwrap_or(0);
        if grace == 0 && !held {
            return Step::Remove;
        }
        if grace < pending {
            mark(&mut value, grace, now);
        }
        return if value == *current {
            Step::Nothing
        } else {
            Step::Mark(value)
        };
    }
    if grace == 0 && !held {
        return Step::Remove;
    }
    mark(&mut value, grace, now);
    if kind.tracks_generation() {
        let generation = object::int(current, "/metadata/generation").unwrap_or(0) + 1;
        object::set_meta(&mut value, "generation", Some(Value::from(generation)));
    }
    if kind.is("namespaces") {
        object::child_mut(&mut value, "status")
            .insert("phase".to_owned(), Value::from("Terminating"));
    }
    Step::Mark(value)
}

fn mark(value: &mut Value, grace: i64, now: jiff::Timestamp) {
    let when = now
        .checked_add(jiff::SignedDuration::from_secs(grace))
        .unwrap_or(now);
    object::set_meta(
        value,
        "deletionTimestamp",
        Some(Value::from(object::at(when))),
    );
    object::set_meta(
        value,
        "deletionGracePeriodSeconds",
        Some(Value::from(grace)),
    );
}

/// Only a Pod on a node that has not ended is given time: its kubelet deletes it with grace 0 when its processes are gone.
fn grace_seconds(kind: &Kind, current: &Value, options: &DeleteOptions) -> i64 {
    let running = kind.is("pods")
        && !object::text(current, "/spec/nodeName").is_empty()
        && !matches!(
            object::text(current, "/status/phase"),
            "Succeeded" | "Failed"
        );
    if !running {
        return 0;
    }
    let own = object::int(current, "/spec/terminationGracePeriodSeconds").unwrap_or(30);
    options.grace_seconds.unwrap_or(own).max(0)
}
