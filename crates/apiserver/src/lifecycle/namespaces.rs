//! A deleted namespace: its contents go, then its `kubernetes` finalizer, then itself.

use crate::object;
use crate::ops::{Api, DeleteOptions, Part, WriteOptions};
use crate::registry::Scope;
use crate::status::{ApiResult, Status};
use serde_json::{Value, json};
use std::sync::Arc;

/// Brings a terminating namespace closer to its end; others are left alone.
pub(super) async fn settle(api: &Api, name: &str) -> ApiResult<()> {
    let catalog = api.registry.catalog();
    let namespaces = catalog
        .find("", "v1", "namespaces")
        .ok_or_else(Status::no_such_resource)?;
    let Ok(namespace) = api.get(namespaces, "", name) else {
        return Ok(());
    };
    if !object::is_deleting(&namespace.value)
        || !object::strings(namespace.value.pointer("/spec/finalizers")).contains(&"kubernetes")
    {
        return Ok(());
    }
    let mut left = 0;
    let resources: Vec<Arc<str>> = api.store.read().resources().map(Arc::clone).collect();
    for resource in resources {
        let Some(kind) = catalog
            .by_storage(&resource)
            .filter(|k| k.scope == Scope::Namespaced)
        else {
            continue;
        };
        let names: Vec<(String, bool)> = {
            let state = api.store.read();
            state
                .list(&resource, Some(name))
                .map(|o| {
                    (
                        object::name(&o.value).to_owned(),
                        object::is_deleting(&o.value),
                    )
                })
                .collect()
        };
        for (object_name, deleting) in names {
            if deleting {
                left += 1;
                continue;
            }
            match api
                .delete(kind, name, &object_name, &DeleteOptions::default())
                .await
            {
                Ok(crate::ops::Deleted::Gone(_)) => {}
                Ok(crate::ops::Deleted::Pending(_)) => left += 1,
                Err(status) if status.code == 404 => {}
                Err(status) => return Err(status),
            }
        }
    }
    // The rest reports when it goes: every deletion in the namespace queues it again.
    if left > 0 {
        return Ok(());
    }
    let options = WriteOptions {
        manager: "namespace-controller".to_owned(),
        ..WriteOptions::default()
    };
    let finish = |current: &Value| {
        let mut new = current.clone();
        let rest: Vec<&str> = object::strings(current.pointer("/spec/finalizers"))
            .into_iter()
            .filter(|f| *f != "kubernetes")
            .collect();
        new["spec"]["finalizers"] = json!(rest);
        Ok(new)
    };
    match api
        .update(namespaces, "", name, Part::Finalize, &options, finish)
        .await
    {
        Ok(_) => Ok(()),
        Err(status) if status.code == 404 => Ok(()),
        Err(status) => Err(status),
    }
}
