//! A deleted CRD: its objects go first.

use crate::crd;
use crate::object;
use crate::ops::{Api, DeleteOptions, Deleted, Part, WriteOptions};
use crate::status::{ApiResult, Status};
use serde_json::Value;

/// The CRD of a resource, if that is being deleted, may be able to go now.
pub(super) async fn settle_resource(api: &Api, resource: &str) -> ApiResult<()> {
    // A CRD is named exactly as its resource is stored.
    settle(api, resource).await
}

/// Brings a deleted CRD closer to its end; others are left alone.
pub(super) async fn settle(api: &Api, name: &str) -> ApiResult<()> {
    let catalog = api.registry.catalog();
    let definitions = catalog
        .find("apiextensions.k8s.io", "v1", "customresourcedefinitions")
        .ok_or_else(Status::no_such_resource)?;
    let Ok(definition) = api.get(definitions, "", name) else {
        return Ok(());
    };
    if !object::is_deleting(&definition.value)
        || !object::finalizers(&definition.value).contains(&crd::CLEANUP_FINALIZER)
    {
        return Ok(());
    }
    if let Some(kind) = catalog.by_storage(name) {
        let all: Vec<(String, String)> = {
            let state = api.store.read();
            let place = |o: &std::sync::Arc<crate::store::Object>| {
                (
                    object::namespace(&o.value).to_owned(),
                    object::name(&o.value).to_owned(),
                )
            };
            state.list(name, None).map(place).collect()
        };
        let mut left = 0;
        for (namespace, object_name) in all {
            match api
                .delete(kind, &namespace, &object_name, &DeleteOptions::default())
                .await
            {
                Ok(Deleted::Gone(_)) => {}
                Ok(Deleted::Pending(_)) => left += 1,
                Err(status) if status.code == 404 => {}
                Err(status) => return Err(status),
            }
        }
        if left > 0 {
            return Ok(());
        }
    }
    let options = WriteOptions {
        manager: "crd-controller".to_owned(),
        ..WriteOptions::default()
    };
    let finish = |current: &Value| {
        let mut new = current.clone();
        object::remove_finalizer(&mut new, crd::CLEANUP_FINALIZER);
        Ok(new)
    };
    match api
        .update(definitions, "", name, Part::Main, &options, finish)
        .await
    {
        Ok(_) => Ok(()),
        Err(status) if status.code == 404 => Ok(()),
        Err(status) => Err(status),
    }
}
