//! Owner references: background, foreground and orphaning deletion.

use crate::object;
use crate::ops::{Api, DeleteOptions, FOREGROUND, ORPHAN, Part, Propagation, WriteOptions};
use crate::registry::Kind;
use crate::status::ApiResult;
use crate::store::Key;
use serde_json::Value;
use std::sync::Arc;

fn options() -> WriteOptions {
    WriteOptions {
        manager: "garbage-collector".to_owned(),
        ..WriteOptions::default()
    }
}

fn kind_of(api: &Api, key: &Key) -> Option<Arc<Kind>> {
    api.registry
        .catalog()
        .by_storage(&key.resource)
        .map(Arc::clone)
}

/// A vanished object is what garbage collection wants.
fn gone_is_fine<T>(result: ApiResult<T>) -> ApiResult<()> {
    match result {
        Ok(_) => Ok(()),
        Err(status) if status.code == 404 => Ok(()),
        Err(status) => Err(status),
    }
}

/// Looks at every object that named a vanished one as its owner.
pub(super) async fn owner_gone(api: &Api, uid: &str) -> ApiResult<()> {
    let dependents: Vec<Key> = api.store.read().dependents(uid).cloned().collect();
    for key in dependents {
        check_dependent(api, &key).await?;
    }
    Ok(())
}

/// Deletes an object none of whose owners exists; drops the dangling references of one that has others.
pub(super) async fn check_dependent(api: &Api, key: &Key) -> ApiResult<()> {
    let Some(kind) = kind_of(api, key) else {
        return Ok(());
    };
    let Ok(current) = api.get(&kind, &key.namespace, &key.name) else {
        return Ok(());
    };
    if object::is_deleting(&current.value) {
        return Ok(());
    }
    let owners = object::items(current.value.pointer("/metadata/ownerReferences"));
    let (solid, dangling): (Vec<&Value>, Vec<&Value>) =
        owners.iter().partition(|o| exists(api, key, o));
    let uids = |refs: &[&Value]| {
        refs.iter()
            .map(|r| object::text(r, "/uid").to_owned())
            .collect::<Vec<_>>()
    };
    if dangling.is_empty() {
        return Ok(());
    }
    if solid.is_empty() {
        let delete = DeleteOptions {
            uid: Some(object::uid(&current.value).to_owned()),
            propagation: own_propagation(&current.value),
            ..DeleteOptions::default()
        };
        return match api.delete(&kind, &key.namespace, &key.name, &delete).await {
            // Another object of the same name took its place.
            Err(status) if status.code == 409 => Ok(()),
            other => gone_is_fine(other),
        };
    }
    drop_references(api, &kind, key, &uids(&dangling)).await
}

fn own_propagation(value: &Value) -> Option<Propagation> {
    let finalizers = object::finalizers(value);
    if finalizers.contains(&ORPHAN) {
        Some(Propagation::Orphan)
    } else if finalizers.contains(&FOREGROUND) {
        Some(Propagation::Foreground)
    } else {
        Some(Propagation::Background)
    }
}

/// An owner is the object with the uid, cluster-wide or in the dependent's namespace.
fn exists(api: &Api, dependent: &Key, owner: &Value) -> bool {
    let state = api.store.read();
    state
        .by_uid(object::text(owner, "/uid"))
        .is_some_and(|key| key.namespace.is_empty() || key.namespace == dependent.namespace)
}

async fn drop_references(api: &Api, kind: &Kind, key: &Key, uids: &[String]) -> ApiResult<()> {
    let change = |current: &Value| {
        let mut new = current.clone();
        let kept: Vec<Value> = object::items(current.pointer("/metadata/ownerReferences"))
            .iter()
            .filter(|r| !uids.iter().any(|uid| uid == object::text(r, "/uid")))
            .cloned()
            .collect();
        object::set_meta(&mut new, "ownerReferences", Some(Value::from(kept)));
        Ok(new)
    };
    gone_is_fine(
        api.update(
            kind,
            &key.namespace,
            &key.name,
            Part::Main,
            &options(),
            change,
        )
        .await,
    )
}

/// A dependent went: its owner may have waited for that in foreground deletion.
pub(super) async fn dependent_gone(api: &Api, owner: &str) -> ApiResult<()> {
    let key = api.store.read().by_uid(owner).cloned();
    match key {
        Some(key) => deleting(api, &key).await,
        None => Ok(()),
    }
}

/// Carries on a foreground or orphaning deletion.
pub(super) async fn deleting(api: &Api, key: &Key) -> ApiResult<()> {
    let Some(kind) = kind_of(api, key) else {
        return Ok(());
    };
    let Ok(current) = api.get(&kind, &key.namespace, &key.name) else {
        return Ok(());
    };
    if !object::is_deleting(&current.value) {
        return Ok(());
    }
    let finalizers = object::finalizers(&current.value);
    let uid = object::uid(&current.value);
    if finalizers.contains(&ORPHAN) {
        for dependent in dependents(api, uid) {
            if let Some(kind) = kind_of(api, &dependent) {
                drop_references(api, &kind, &dependent, &[uid.to_owned()]).await?;
            }
        }
        return let_go(api, &kind, key, ORPHAN).await;
    }
    if finalizers.contains(&FOREGROUND) {
        let mut blocking = 0;
        for dependent in dependents(api, uid) {
            let Some(kind) = kind_of(api, &dependent) else {
                continue;
            };
            let Ok(found) = api.get(&kind, &dependent.namespace, &dependent.name) else {
                continue;
            };
            let owners = object::items(found.value.pointer("/metadata/ownerReferences"));
            let others = owners
                .iter()
                .any(|o| object::text(o, "/uid") != uid && exists(api, &dependent, o));
            if others {
                drop_references(api, &kind, &dependent, &[uid.to_owned()]).await?;
                continue;
            }
            let blocks = owners
                .iter()
                .any(|o| object::text(o, "/uid") == uid && o["blockOwnerDeletion"] == true);
            if !object::is_deleting(&found.value) {
                // Foreground goes down the tree only where somebody waits for it.
                let propagation = if blocks {
                    Propagation::Foreground
                } else {
                    Propagation::Background
                };
                let delete = DeleteOptions {
                    propagation: Some(propagation),
                    ..DeleteOptions::default()
                };
                gone_is_fine(
                    api.delete(&kind, &dependent.namespace, &dependent.name, &delete)
                        .await,
                )?;
            }
            if blocks
                && api
                    .get(&kind, &dependent.namespace, &dependent.name)
                    .is_ok()
            {
                blocking += 1;
            }
        }
        if blocking == 0 {
            return let_go(api, &kind, key, FOREGROUND).await;
        }
    }
    Ok(())
}

fn dependents(api: &Api, uid: &str) -> Vec<Key> {
    api.store.read().dependents(uid).cloned().collect()
}

async fn let_go(api: &Api, kind: &Kind, key: &Key, finalizer: &str) -> ApiResult<()> {
    let change = |current: &Value| {
        let mut new = current.clone();
        object::remove_finalizer(&mut new, finalizer);
        Ok(new)
    };
    gone_is_fine(
        api.update(
            kind,
            &key.namespace,
            &key.name,
            Part::Main,
            &options(),
            change,
        )
        .await,
    )
}
