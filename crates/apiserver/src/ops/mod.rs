//! What can be done with objects, independent of HTTP.
//!
//! Every change is read, compute, compare-and-swap; a lost race is retried unless the client named
//! the version it had read.

mod admission;
mod apply;
mod convert;
mod create;
mod delete;
mod fields;
mod list;
mod subresource;
mod update;
mod watch;

pub(crate) use delete::{DeleteOptions, Deleted, FOREGROUND, ORPHAN, Propagation};
pub(crate) use fields::{FieldValidation, Sent, in_go};
pub(crate) use list::{ListOptions, Page, VersionMatch};
pub(crate) use subresource::scale_of;
pub(crate) use update::Part;
pub(crate) use watch::{
    Bookmarks, InitialEvents, WatchEvent, WatchKind, WatchOptions, bookmark_object,
};

use crate::lifecycle::Queues;
use crate::logs::LogSource;
use crate::registry::{Kind, Registry};
use crate::service_ip::ServiceIps;
use crate::status::{ApiResult, Status};
use crate::store::{Key, Object, Store, WriteError};
use serde_json::Value;
use std::sync::Arc;

/// The whole server minus sockets.
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) registry: Arc<Registry>,
    pub(crate) queues: Arc<Queues>,
    pub(crate) service_ips: ServiceIps,
    pub(crate) logs: Option<Arc<dyn LogSource>>,
}

/// Whether a write is only tried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum DryRun {
    #[default]
    No,
    All,
}

/// How a write is recorded in managed fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Operation {
    /// What changed belongs to the manager.
    #[default]
    Update,
    /// The new state carries its managed fields already.
    Apply,
}

/// Query parameters common to all writes.
#[derive(Debug, Clone, Default)]
pub(crate) struct WriteOptions {
    pub(crate) manager: String,
    pub(crate) dry_run: DryRun,
    pub(crate) validation: FieldValidation,
    /// Fields that the body gives more than once.
    pub(crate) duplicates: Vec<String>,
    pub(crate) sent: Sent,
    pub(crate) operation: Operation,
}

/// What a write left behind.
#[derive(Debug)]
pub(crate) struct Written {
    /// In the stored version.
    pub(crate) object: Arc<Object>,
    pub(crate) outcome: Outcome,
    pub(crate) warnings: Vec<String>,
}

/// How a write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Created,
    Updated,
    Unchanged,
    /// The last finalizer went and the object with it.
    Removed,
}

/// Lost races retried before giving up: enough for any real contention, and an end to a livelock.
const RETRIES: usize = 32;

impl Api {
    /// One object in its stored form.
    pub(crate) fn get(&self, kind: &Kind, namespace: &str, name: &str) -> ApiResult<Arc<Object>> {
        let key = key(kind, namespace, name);
        self.store
            .read()
            .get(&key)
            .ok_or_else(|| Status::not_found(kind.about(name)))
    }
}

/// Where a kind's object is in the store.
pub(crate) fn key(kind: &Kind, namespace: &str, name: &str) -> Key {
    Key {
        resource: Arc::clone(&kind.storage),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

/// Fields may be missing, but `apiVersion` and `kind` may not say something else.
fn check_type(kind: &Kind, object: &mut Value) -> ApiResult<()> {
    let wanted = kind.api_version();
    let Some(map) = object.as_object_mut() else {
        return Err(Status::bad_request("the body must be a JSON object"));
    };
    for (field, wanted) in [
        ("apiVersion", wanted.as_str()),
        ("kind", kind.kind.as_str()),
    ] {
        match map.get(field).and_then(Value::as_str) {
            Some(found) if found == wanted => {}
            None | Some("") => {
                map.insert(field.to_owned(), Value::from(wanted));
            }
            Some(found) => {
                return Err(Status::bad_request(format!(
                    "{field} in the data ({found}) does not match the expected {field} ({wanted})"
                )));
            }
        }
    }
    // Clients and people read apiVersion and kind first.
    if map.keys().take(2).ne(["apiVersion", "kind"]) {
        let mut ordered = serde_json::Map::with_capacity(map.len());
        for field in ["apiVersion", "kind", "metadata"] {
            if let Some(value) = map.shift_remove(field) {
                ordered.insert(field.to_owned(), value);
            }
        }
        ordered.append(map);
        *map = ordered;
    }
    match map.get("metadata") {
        None | Some(Value::Null) => {
            map.insert("metadata".to_owned(), Value::Object(serde_json::Map::new()));
            Ok(())
        }
        Some(Value::Object(_)) => Ok(()),
        Some(_) => Err(Status::bad_request("metadata must be an object")),
    }
}

fn write_failed(kind: &Kind, name: &str, error: WriteError) -> Status {
    match error {
        WriteError::Exists => Status::already_exists(kind.about(name)),
        WriteError::Changed => Status::modified(kind.about(name)),
        WriteError::Storage(why) => Status::internal(why),
        WriteError::Closed => Status::new(503, "ServiceUnavailable", "the server is shutting down"),
    }
}
