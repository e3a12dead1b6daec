//! Replace and everything that ends in replacing: patches, status, scale.

use super::create::place_in;
use super::{
    Api, DryRun, Outcome, RETRIES, WriteOptions, Written, check_type, fields, key, write_failed,
};
use crate::object;
use crate::patch::managed;
use crate::registry::{Kind, StatusMode, validate_metadata};
use crate::status::{ApiResult, FieldError, Status};
use crate::store::{Change, Expect, Object, Write, WriteError};
use serde_json::Value;
use std::sync::Arc;

/// Which part of the object a request may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Main,
    Status,
    /// `spec.finalizers` of a Namespace.
    Finalize,
}

impl Api {
    /// Replaces an object with the body of a PUT.
    pub(crate) async fn replace(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        part: Part,
        mut body: Value,
        options: &WriteOptions,
    ) -> ApiResult<Written> {
        check_type(kind, &mut body)?;
        place_in(kind, &mut body, namespace)?;
        if object::name(&body) != name {
            return Err(Status::bad_request(format!(
                "the name of the object ({}) does not match the name on the URL ({name})",
                object::name(&body)
            )));
        }
        self.update(kind, namespace, name, part, options, |_| Ok(body.clone()))
            .await
    }

    /// Computes a new state from the current one and stores it, again if another writer came between.
    ///
    /// `change` sees and returns the version the client speaks. If its result names a resourceVersion
    /// that is not the current one, the answer is 409.
    pub(crate) async fn update(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        part: Part,
        options: &WriteOptions,
        change: impl Fn(&Value) -> ApiResult<Value>,
    ) -> ApiResult<Written> {
        for _ in 0..RETRIES {
            let current = self.get(kind, namespace, name)?;
            let old = kind.in_served_version(&current.value);
            let mut new = change(&old)?;
            check_type(kind, &mut new)?;
            let warnings = fields::check(kind, &mut new, options)?;
            let version = object::meta(&new, "resourceVersion");
            let pinned = !version.is_empty() && version != object::meta(&old, "resourceVersion");
            if pinned {
                return Err(Status::modified(kind.about(name)));
            }
            let new = self.prepare_update(kind, part, &old, new, options)?;
            match self
                .commit_update(kind, namespace, name, &current, &old, new, options)
                .await
            {
                Ok((object, outcome)) => {
                    return Ok(Written {
                        object,
                        outcome,
                        warnings,
                    });
                }
                Err(WriteError::Changed) => {}
                Err(error) => return Err(write_failed(kind, name, error)),
            }
        }
        Err(Status::modified(kind.about(name)))
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the one place where all of an update's facts meet"
    )]
    async fn commit_update(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        current: &Arc<Object>,
        old: &Value,
        new: Value,
        options: &WriteOptions,
    ) -> Result<(Arc<Object>, Outcome), WriteError> {
        let ready_to_go = object::is_deleting(&new)
            && object::finalizers(&new).is_empty()
            && object::int(&new, "/metadata/deletionGracePeriodSeconds").unwrap_or(0) == 0
            && object::items(
                new.pointer("/spec/finalizers")
                    .filter(|_| kind.is("namespaces")),
            )
            .is_empty();
        if new == *old && !ready_to_go {
            return Ok((Arc::clone(current), Outcome::Unchanged));
        }
        let outcome = if ready_to_go {
            Outcome::Removed
        } else {
            Outcome::Updated
        };
        let value = kind.in_stored_version(new);
        if options.dry_run == DryRun::All {
            return Ok((Arc::new(Object::new(value, current.revision)), outcome));
        }
        let change = if ready_to_go {
            Change::Delete(value)
        } else {
            Change::Put(value)
        };
        let write = Write {
            key: key(kind, namespace, name),
            expect: Expect::Revision(current.revision),
            change,
        };
        Ok((self.store.write(write).await?, outcome))
    }

    /// Keeps what the client may not change, fills in defaults, checks the rules.
    fn prepare_update(
        &self,
        kind: &Kind,
        part: Part,
        old: &Value,
        mut new: Value,
        options: &WriteOptions,
    ) -> ApiResult<Value> {
        let name = object::name(old);
        let uid = object::uid(&new);
        if !uid.is_empty() && uid != object::uid(old) {
            let why = format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                object::uid(old)
            );
            return Err(Status::conflict(kind.about(name), &why));
        }
        let mut errors: Vec<FieldError> = Vec::new();
        for field in ["name", "namespace"] {
            if !object::meta(&new, field).is_empty()
                && object::meta(&new, field) != object::meta(old, field)
            {
                let value = Value::from(object::meta(&new, field));
                errors.push(FieldError::invalid(
                    format!("metadata.{field}"),
                    &value,
                    "field is immutable",
                ));
            }
        }
        new = restrict_to(part, kind, old, new);
        keep_server_metadata(old, &mut new);
        if object::is_deleting(old) {
            let before = object::finalizers(old);
            let added: Vec<_> = object::finalizers(&new)
                .into_iter()
                .filter(|f| !before.contains(f))
                .collect();
            if !added.is_empty() {
                let detail = format!(
                    "no new finalizers can be added if the object is being deleted, found new finalizers {added:?}"
                );
                errors.push(FieldError::forbidden("metadata.finalizers", &detail));
            }
        }
        kind.default(&mut new);
        if kind.is("services") {
            self.service_ips.keep(&self.store, old, &mut new)?;
        }
        validate_metadata(kind, &new, &mut errors);
        kind.validate(&new, Some(old), &mut errors);
        if !errors.is_empty() {
            return Err(Status::invalid(kind.about_kind(name), &errors));
        }
        if kind.tracks_generation() && kind.content(old) != kind.content(&new) {
            let generation = object::int(old, "/metadata/generation").unwrap_or(0) + 1;
            object::set_meta(&mut new, "generation", Some(Value::from(generation)));
        }
        managed::on_update(kind, part, old, &mut new, options);
        Ok(new)
    }
}

/// Takes from `new` only what the part covers.
fn restrict_to(part: Part, kind: &Kind, old: &Value, mut new: Value) -> Value {
    match part {
        Part::Main => {
            if kind.status == StatusMode::Subresource
                && let Some(map) = new.as_object_mut()
            {
                match old.get("status") {
                    Some(status) => {
                        map.insert("status".to_owned(), status.clone());
                    }
                    None => {
                        map.shift_remove("status");
                    }
                }
            }
            if kind.is("namespaces") {
                // Only the finalize subresource changes these.
                new["spec"]["finalizers"] = old["spec"]["finalizers"].clone();
            }
            new
        }
        Part::Status => {
            let mut kept = old.clone();
            let managed = new.pointer("/metadata/managedFields").cloned();
            if let Some(map) = kept.as_object_mut() {
                match new.as_object_mut().and_then(|m| m.shift_remove("status")) {
                    Some(status) => {
                        map.insert("status".to_owned(), status);
                    }
                    None => {
                        map.shift_remove("status");
                    }
                }
            }
            object::set_meta(&mut kept, "managedFields", managed);
            kept
        }
        Part::Finalize => {
            let mut kept = old.clone();
            let finalizers = new
                .pointer("/spec/finalizers")
                .cloned()
                .unwrap_or_else(|| serde_json::json!([]));
            object::child_mut(&mut kept, "spec").insert("finalizers".to_owned(), finalizers);
            kept
        }
    }
}

/// What only the server sets.
fn keep_server_metadata(old: &Value, new: &mut Value) {
    let empty = serde_json::Map::new();
    let before = old
        .get("metadata")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    let meta = object::meta_mut(new);
    meta.retain(|_, v| !v.is_null());
    for field in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "resourceVersion",
        "generateName",
    ] {
        match before.get(field) {
            Some(value) => {
                meta.insert(field.to_owned(), value.clone());
            }
            None => {
                meta.shift_remove(field);
            }
        }
    }
    for field in ["labels", "annotations", "finalizers", "ownerReferences"] {
        let empty = meta.get(field).is_some_and(|v| {
            v.as_object().is_some_and(serde_json::Map::is_empty)
                || v.as_array().is_some_and(Vec::is_empty)
        });
        if empty {
            meta.shift_remove(field);
        }
    }
}

impl Kind {
    /// Whether `metadata.generation` counts changes of the object's content.
    pub(crate) fn tracks_generation(&self) -> bool {
        const WITHOUT: &[&str] = &[
            "configmaps",
            "endpoints",
            "events",
            "namespaces",
            "nodes",
            "persistentvolumeclaims",
            "persistentvolumes",
            "secrets",
            "serviceaccounts",
            "services",
            "leases.coordination.k8s.io",
            "storageclasses.storage.k8s.io",
            "horizontalpodautoscalers.autoscaling",
            "roles.rbac.authorization.k8s.io",
            "clusterroles.rbac.authorization.k8s.io",
            "rolebindings.rbac.authorization.k8s.io",
            "clusterrolebindings.rbac.authorization.k8s.io",
        ];
        !WITHOUT.contains(&&*self.storage)
    }

    /// What counts as content: all but metadata, and all but status where status has its own subresource.
    fn content<'a>(&self, object: &'a Value) -> Vec<(&'a String, &'a Value)> {
        let skip_status = self.status == StatusMode::Subresource;
        let map = object.as_object().into_iter().flatten();
        let mut all: Vec<_> = map
            .filter(|(k, _)| *k != "metadata" && !(skip_status && *k == "status"))
            .collect();
        all.sort_by_key(|(k, _)| *k);
        all
    }
}
