//! The in-memory copy: objects, indexes and the bounded history of each resource.

use super::Loaded;
use crate::object;
use bytes::Bytes;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, OnceLock};
use tokio::sync::watch;

/// Events kept for each resource. A client that reconnects within this many changes goes on where it
/// was; kube-apiserver keeps 100 to 100,000 by load. With [`HISTORY_BYTES`] it bounds memory.
const HISTORY_EVENTS: usize = 4096;

/// Bytes of JSON kept in the history of one resource.
const HISTORY_BYTES: usize = 8 << 20;

/// Which object: `resource` is `plural.group` (`pods`, `deployments.apps`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) resource: Arc<str>,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// An immutable stored object.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) value: Value,
    pub(crate) revision: u64,
    json: OnceLock<Bytes>,
}

impl Object {
    /// An object whose value carries its resourceVersion already.
    pub(crate) fn new(value: Value, revision: u64) -> Self {
        Object {
            value,
            revision,
            json: OnceLock::new(),
        }
    }

    /// Writes `revision` into the value.
    pub(crate) fn stamped(mut value: Value, revision: u64) -> Self {
        object::set_meta(
            &mut value,
            "resourceVersion",
            Some(Value::from(revision.to_string())),
        );
        Object::new(value, revision)
    }

    /// Its JSON, made once.
    pub(crate) fn json(&self) -> Bytes {
        self.json
            .get_or_init(|| Bytes::from(self.value.to_string()))
            .clone()
    }
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventKind {
    Added,
    Modified,
    Deleted,
}

/// One change, in the order of revisions.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) revision: u64,
    pub(crate) kind: EventKind,
    pub(crate) key: Key,
    /// The new state; for a deletion the last one, stamped with the deletion's revision.
    pub(crate) object: Arc<Object>,
    pub(crate) previous: Option<Arc<Object>>,
}

/// The version asked for is no longer in the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expired {
    /// The oldest version that is.
    pub(crate) oldest: u64,
}

type Names = BTreeMap<(String, String), Arc<Object>>;

#[derive(Debug)]
struct Table {
    objects: Names,
    history: VecDeque<Arc<Event>>,
    history_bytes: usize,
    /// Everything after this revision is in `history`.
    floor: u64,
    wake: watch::Sender<u64>,
}

impl Table {
    fn new(floor: u64) -> Self {
        Table {
            objects: BTreeMap::new(),
            history: VecDeque::new(),
            history_bytes: 0,
            floor,
            wake: watch::Sender::new(floor),
        }
    }

    fn remember(&mut self, event: &Arc<Event>) {
        self.history_bytes += event.object.json().len();
        self.history.push_back(Arc::clone(event));
        while self.history.len() > HISTORY_EVENTS
            || (self.history_bytes > HISTORY_BYTES && self.history.len() > 1)
        {
            if let Some(old) = self.history.pop_front() {
                self.history_bytes -= old.object.json().len();
                self.floor = old.revision;
            }
        }
    }
}

/// Objects by resource, with indexes by uid and by owner.
#[derive(Debug)]
pub(crate) struct State {
    revision: u64,
    /// The revision at start: nothing before it is in any history.
    loaded: u64,
    tables: HashMap<Arc<str>, Table>,
    by_uid: HashMap<String, Key>,
    dependents: HashMap<String, BTreeSet<Key>>,
}

impl State {
    pub(super) fn new(loaded: Loaded) -> Self {
        // Revision 0 means "any" to clients, so a new store starts at 1.
        let revision = loaded.revision.max(1);
        let mut state = State {
            revision,
            loaded: revision,
            tables: HashMap::new(),
            by_uid: HashMap::new(),
            dependents: HashMap::new(),
        };
        for (key, object) in loaded.objects {
            state.index(&key, None, Some(&object.value));
            let place = (key.namespace.clone(), key.name.clone());
            state
                .table_mut(&key.resource)
                .objects
                .insert(place, Arc::new(object));
        }
        state
    }

    /// The last revision that is visible.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// One object.
    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Object>> {
        // The map is keyed by owned strings; a lookup pays for one small allocation.
        self.tables
            .get(&key.resource)?
            .objects
            .get(&(key.namespace.clone(), key.name.clone()))
            .cloned()
    }

    /// All objects of a resource in the order of namespace and name, of one namespace if given.
    pub(crate) fn list<'a>(
        &'a self,
        resource: &str,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Arc<Object>> + 'a {
        let table = self.tables.get(resource);
        let start = (namespace.unwrap_or("").to_owned(), String::new());
        table
            .into_iter()
            .flat_map(move |t| t.objects.range(start.clone()..))
            .take_while(move |((ns, _), _)| namespace.is_none_or(|wanted| ns == wanted))
            .map(|(_, object)| object)
    }

    /// The objects of a resource as they were at `revision`, rebuilt from the history.
    pub(crate) fn list_at(
        &self,
        resource: &str,
        namespace: Option<&str>,
        revision: u64,
    ) -> Result<Vec<Arc<Object>>, Expired> {
        let Some(table) = self.tables.get(resource) else {
            return Ok(Vec::new());
        };
        if revision < table.floor {
            return Err(Expired {
                oldest: table.floor,
            });
        }
        let newer = table
            .history
            .iter()
            .rev()
            .take_while(|e| e.revision > revision);
        let mut undo: HashMap<&Key, Option<&Arc<Object>>> = HashMap::new();
        for event in newer {
            undo.insert(&event.key, event.previous.as_ref());
        }
        if undo.is_empty() {
            return Ok(self.list(resource, namespace).map(Arc::clone).collect());
        }
        let mut objects = table.objects.clone();
        for (key, previous) in undo {
            let place = (key.namespace.clone(), key.name.clone());
            match previous {
                Some(object) => objects.insert(place, Arc::clone(object)),
                None => objects.remove(&place),
            };
        }
        Ok(objects
            .into_iter()
            .filter(|((ns, _), _)| namespace.is_none_or(|wanted| ns == wanted))
            .map(|(_, object)| object)
            .collect())
    }

    /// Up to `limit` events of a resource after a revision, and the revision up to which they are complete.
    pub(crate) fn events_after(
        &self,
        resource: &str,
        after: u64,
        limit: usize,
    ) -> Result<(Vec<Arc<Event>>, u64), Expired> {
        let Some(table) = self.tables.get(resource) else {
            return if after < self.loaded {
                Err(Expired {
                    oldest: self.loaded,
                })
            } else {
                Ok((Vec::new(), self.revision))
            };
        };
        if after < table.floor {
            return Err(Expired {
                oldest: table.floor,
            });
        }
        let start = table.history.partition_point(|e| e.revision <= after);
        let events: Vec<_> = table.history.range(start..).take(limit).cloned().collect();
        let complete = match events.last() {
            Some(last) if start + events.len() < table.history.len() => last.revision,
            _ => self.revision,
        };
        Ok((events, complete))
    }

    /// Where the object with a uid is.
    pub(crate) fn by_uid(&self, uid: &str) -> Option<&Key> {
        self.by_uid.get(uid)
    }

    /// Objects that name `uid` as an owner.
    pub(crate) fn dependents(&self, uid: &str) -> impl Iterator<Item = &Key> {
        self.dependents.get(uid).into_iter().flatten()
    }

    /// Resources that hold or held objects.
    pub(crate) fn resources(&self) -> impl Iterator<Item = &Arc<str>> {
        self.tables.keys()
    }

    pub(super) fn subscribe(&self, resource: &str) -> Option<watch::Receiver<u64>> {
        self.tables.get(resource).map(|t| t.wake.subscribe())
    }

    pub(super) fn subscribe_or_create(&mut self, resource: &Arc<str>) -> watch::Receiver<u64> {
        self.table_mut(resource).wake.subscribe()
    }

    /// Makes one committed event visible.
    pub(super) fn apply(&mut self, event: &Arc<Event>) {
        let gone = event.kind == EventKind::Deleted;
        self.index(
            &event.key,
            event.previous.as_ref().map(|o| &o.value),
            (!gone).then_some(&event.object.value),
        );
        self.revision = event.revision;
        let place = (event.key.namespace.clone(), event.key.name.clone());
        let table = self.table_mut(&event.key.resource);
        if gone {
            table.objects.remove(&place);
        } else {
            table.objects.insert(place, Arc::clone(&event.object));
        }
        table.remember(event);
        table.wake.send_replace(event.revision);
    }

    fn table_mut(&mut self, resource: &Arc<str>) -> &mut Table {
        let floor = self.loaded;
        self.tables
            .entry(Arc::clone(resource))
            .or_insert_with(|| Table::new(floor))
    }

    fn index(&mut self, key: &Key, before: Option<&Value>, after: Option<&Value>) {
        if let Some(before) = before {
            if self.by_uid.get(object::uid(before)) == Some(key) {
                self.by_uid.remove(object::uid(before));
            }
            for owner in owner_uids(before) {
                if let Some(keys) = self.dependents.get_mut(owner) {
                    keys.remove(key);
                    if keys.is_empty() {
                        self.dependents.remove(owner);
                    }
                }
            }
        }
        if let Some(after) = after {
            self.by_uid
                .insert(object::uid(after).to_owned(), key.clone());
            for owner in owner_uids(after) {
                self.dependents
                    .entry(owner.to_owned())
                    .or_default()
                    .insert(key.clone());
            }
        }
    }
}

/// The uids in `metadata.ownerReferences`.
pub(crate) fn owner_uids(value: &Value) -> impl Iterator<Item = &str> {
    object::items(value.pointer("/metadata/ownerReferences"))
        .iter()
        .filter_map(|r| r.get("uid").and_then(Value::as_str))
}
