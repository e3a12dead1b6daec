//! Create.

use super::{
    Api, DryRun, Outcome, WriteOptions, Written, admission, check_type, fields, key, write_failed,
};
use crate::object;
use crate::patch::managed;
use crate::random;
use crate::registry::{Kind, Scope, StatusMode, validate_metadata};
use crate::status::{ApiResult, FieldError, Status};
use crate::store::{Change, Expect, Object, Write, WriteError};
use serde_json::Value;
use std::sync::Arc;

/// Tries with different random suffixes before a `generateName` clash is reported.
const NAME_TRIES: usize = 8;

/// Longest base that leaves room for the suffix in a 63-character label.
const GENERATED_BASE: usize = 58;

impl Api {
    /// Stores a new object.
    pub(crate) async fn create(
        &self,
        kind: &Kind,
        namespace: &str,
        mut body: Value,
        options: &WriteOptions,
    ) -> ApiResult<Written> {
        check_type(kind, &mut body)?;
        let warnings = fields::check(kind, &mut body, options)?;
        place_in(kind, &mut body, namespace)?;
        self.check_namespace(kind, namespace, &body)?;
        let prefix = object::meta(&body, "generateName").to_owned();
        let generated = object::name(&body).is_empty() && !prefix.is_empty();
        let _ip = self.service_ips.hold(kind).await;
        for attempt in 1.. {
            if generated {
                let base: String = prefix.chars().take(GENERATED_BASE).collect();
                object::set_meta(
                    &mut body,
                    "name",
                    Some(Value::from(format!("{base}{}", random::suffix()))),
                );
            }
            let value = self.prepare_create(kind, body.clone(), options)?;
            let name = object::name(&value).to_owned();
            if options.dry_run == DryRun::All {
                if self.get(kind, namespace, &name).is_ok() {
                    return Err(Status::already_exists(kind.about(&name)));
                }
                let object = Arc::new(Object::new(value, 0));
                return Ok(Written {
                    object,
                    outcome: Outcome::Created,
                    warnings,
                });
            }
            let write = Write {
                key: key(kind, namespace, &name),
                expect: Expect::Absent,
                change: Change::Put(value),
            };
            match self.store.write(write).await {
                Ok(object) => {
                    return Ok(Written {
                        object,
                        outcome: Outcome::Created,
                        warnings,
                    });
                }
                Err(WriteError::Exists) if generated && attempt < NAME_TRIES => {}
                Err(error) => return Err(write_failed(kind, &name, error)),
            }
        }
        unreachable!("the loop returns after its last try")
    }

    /// Everything between decoding and the store: server-set metadata, defaults, rules.
    fn prepare_create(
        &self,
        kind: &Kind,
        mut body: Value,
        options: &WriteOptions,
    ) -> ApiResult<Value> {
        if !object::meta(&body, "resourceVersion").is_empty() {
            return Err(Status::bad_request(
                "resourceVersion should not be set on objects to be created",
            ));
        }
        let meta = object::meta_mut(&mut body);
        for field in [
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "selfLink",
            "generation",
            "resourceVersion",
        ] {
            meta.shift_remove(field);
        }
        meta.retain(|_, v| !v.is_null());
        meta.insert("uid".to_owned(), Value::from(random::uuid()));
        meta.insert("creationTimestamp".to_owned(), Value::from(object::now()));
        if kind.tracks_generation() {
            meta.insert("generation".to_owned(), Value::from(1));
        }
        if kind.status == StatusMode::Subresource
            && !kind.is("nodes")
            && let Some(map) = body.as_object_mut()
        {
            map.shift_remove("status");
        }
        kind.default(&mut body);
        admission::default_ingress_class(kind, &self.store.read(), &mut body);
        if kind.is("services") {
            self.service_ips.assign(&self.store, &mut body)?;
        }
        let mut errors: Vec<FieldError> = Vec::new();
        validate_metadata(kind, &body, &mut errors);
        kind.validate(&body, None, &mut errors);
        if !errors.is_empty() {
            return Err(Status::invalid(
                kind.about_kind(object::name(&body)),
                &errors,
            ));
        }
        managed::on_create(kind, &mut body, options);
        Ok(kind.in_stored_version(body))
    }

    /// The namespace must exist and not be going away.
    fn check_namespace(&self, kind: &Kind, namespace: &str, body: &Value) -> ApiResult<()> {
        if kind.scope == Scope::Cluster {
            return Ok(());
        }
        let catalog = self.registry.catalog();
        let namespaces = catalog
            .find("", "v1", "namespaces")
            .ok_or_else(Status::no_such_resource)?;
        let found = self.get(namespaces, "", namespace)?;
        if object::is_deleting(&found.value) {
            let name = object::name(body);
            let why = format!(
                "unable to create new content in namespace {namespace} because it is being terminated"
            );
            let mut status = Status::forbidden(kind.about(name), &why);
            status.details["causes"] = serde_json::json!([{
                "reason": "NamespaceTerminating",
                "message": format!("namespace {namespace} is being terminated"),
                "field": "metadata.namespace",
            }]);
            return Err(status);
        }
        Ok(())
    }
}

/// Sets the namespace of the request; another one in the body is an error.
pub(super) fn place_in(kind: &Kind, body: &mut Value, namespace: &str) -> ApiResult<()> {
    let found = object::namespace(body);
    match kind.scope {
        Scope::Cluster => object::set_meta(body, "namespace", None),
        Scope::Namespaced if found.is_empty() => {
            object::set_meta(body, "namespace", Some(Value::from(namespace)));
        }
        Scope::Namespaced if found != namespace => {
            return Err(Status::bad_request(format!(
                "the namespace of the provided object does not match the namespace sent on the request ({found} and {namespace})"
            )));
        }
        Scope::Namespaced => {}
    }
    Ok(())
}
