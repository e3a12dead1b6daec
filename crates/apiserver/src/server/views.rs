//! Objects, lists and watch events as bytes, in the shape the client asked for.

use super::negotiate::View;
use crate::ops::{Page, WatchEvent, WatchKind, bookmark_object};
use crate::printing::{self, IncludeObject};
use crate::registry::Kind;
use crate::store::Object;
use bytes::{BufMut as _, Bytes, BytesMut};
use serde_json::{Value, json};

/// How to render for one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rendering {
    pub(super) view: View,
    /// What each table row carries.
    pub(super) include: IncludeObject,
}

impl Rendering {
    /// One object.
    pub(super) fn object(self, kind: &Kind, object: &Object) -> Bytes {
        match self.view {
            View::Whole => whole(kind, object),
            View::Table => {
                let value = kind.in_served_version(&object.value);
                let table = printing::table(
                    kind,
                    &[&value],
                    self.include,
                    &list_meta(Some(object.revision), None),
                );
                Bytes::from(table.to_string())
            }
            View::Partial => Bytes::from(partial(&object.value).to_string()),
        }
    }

    /// A list.
    pub(super) fn list(self, kind: &Kind, page: &Page) -> Bytes {
        let meta = list_meta(Some(page.revision), Some(page));
        match self.view {
            View::Whole => {
                let head = json!({"kind": kind.list_kind, "apiVersion": kind.api_version(), "metadata": meta});
                join_list(&head, page.objects.iter().map(|o| whole(kind, o)))
            }
            View::Partial => {
                let head = json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": meta});
                join_list(
                    &head,
                    page.objects
                        .iter()
                        .map(|o| Bytes::from(partial(&o.value).to_string())),
                )
            }
            View::Table => {
                let values: Vec<Value> = page
                    .objects
                    .iter()
                    .map(|o| kind.in_served_version(&o.value))
                    .collect();
                let values: Vec<&Value> = values.iter().collect();
                Bytes::from(printing::table(kind, &values, self.include, &meta).to_string())
            }
        }
    }

    /// One line of a watch.
    pub(super) fn event(self, kind: &Kind, event: &WatchEvent) -> Bytes {
        match event {
            WatchEvent::Object { kind: what, object } => {
                let name = match what {
                    WatchKind::Added => "ADDED",
                    WatchKind::Modified => "MODIFIED",
                    WatchKind::Deleted => "DELETED",
                };
                line(name, &self.object(kind, object))
            }
            WatchEvent::Bookmark {
                revision,
                end_of_initial,
            } => {
                let mut value = bookmark_object(kind, *revision, *end_of_initial);
                match self.view {
                    View::Whole => {}
                    View::Partial => {
                        value["kind"] = Value::from("PartialObjectMetadata");
                        value["apiVersion"] = Value::from("meta.k8s.io/v1");
                    }
                    View::Table => {
                        value = printing::table(
                            kind,
                            &[&value],
                            self.include,
                            &list_meta(Some(*revision), None),
                        )
                    }
                }
                line("BOOKMARK", &Bytes::from(value.to_string()))
            }
            WatchEvent::Error(status) => line("ERROR", &Bytes::from(status.to_value().to_string())),
        }
    }
}

fn line(name: &str, object: &Bytes) -> Bytes {
    let mut out = BytesMut::with_capacity(object.len() + 40);
    out.put_slice(b"{\"type\":\"");
    out.put_slice(name.as_bytes());
    out.put_slice(b"\",\"object\":");
    out.put_slice(object);
    out.put_slice(b"}\n");
    out.freeze()
}

fn whole(kind: &Kind, object: &Object) -> Bytes {
    if object.value.get("apiVersion").and_then(Value::as_str) == Some(&kind.api_version()) {
        object.json()
    } else {
        Bytes::from(kind.in_served_version(&object.value).to_string())
    }
}

fn partial(value: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": value.get("metadata").cloned().unwrap_or_default(),
    })
}

fn list_meta(revision: Option<u64>, page: Option<&Page>) -> Value {
    let mut meta = json!({});
    if let Some(revision) = revision {
        meta["resourceVersion"] = Value::from(revision.to_string());
    }
    if let Some(page) = page {
        if let Some(token) = &page.continue_token {
            meta["continue"] = Value::from(token.as_str());
        }
        if let Some(remaining) = page.remaining {
            meta["remainingItemCount"] = Value::from(remaining);
        }
    }
    meta
}

/// `head` with an `items` member, made of JSON that exists already.
fn join_list(head: &Value, items: impl Iterator<Item = Bytes>) -> Bytes {
    let head = head.to_string();
    let mut out = BytesMut::with_capacity(head.len() + 1024);
    out.put_slice(head.trim_end_matches('}').as_bytes());
    // `metadata` is the last member, so one brace of it was cut off too.
    out.put_slice(b"},\"items\":[");
    for (i, item) in items.enumerate() {
        if i > 0 {
            out.put_u8(b',');
        }
        out.put_slice(&item);
    }
    out.put_slice(b"]}");
    out.freeze()
}
