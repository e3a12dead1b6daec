//! A local copy of one kind of object, kept up to date by a watch, that tells what changed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::StreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::backoff::{Backoff, jitter};

/// Delay before a broken watch is started again.
const REWATCH: Backoff = Backoff {
    base: Duration::from_millis(50),
    cap: Duration::from_secs(5),
};

/// Namespace and name; the namespace is empty for cluster-wide objects.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ObjectKey {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl ObjectKey {
    pub(crate) fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    pub(crate) fn of<K: Resource>(object: &K) -> Self {
        Self::new(object.namespace().unwrap_or_default(), object.name_any())
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// One object before and after; at least one side is there.
#[derive(Debug)]
pub(crate) struct Change<K> {
    pub(crate) key: ObjectKey,
    pub(crate) old: Option<Arc<K>>,
    pub(crate) new: Option<Arc<K>>,
}

impl<K> Change<K> {
    /// The sides that are there.
    pub(crate) fn sides(&self) -> impl Iterator<Item = &Arc<K>> {
        self.old.iter().chain(&self.new)
    }
}

/// The local copy. Until [`Cache::synced`] it is unknown, not empty.
#[derive(Debug)]
pub(crate) struct Cache<K> {
    objects: RwLock<BTreeMap<ObjectKey, Arc<K>>>,
    synced: watch::Sender<bool>,
}

impl<K> Cache<K> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            objects: RwLock::default(),
            synced: watch::Sender::new(false),
        })
    }

    pub(crate) fn get(&self, key: &ObjectKey) -> Option<Arc<K>> {
        self.read().get(key).cloned()
    }

    pub(crate) fn list(&self) -> Vec<Arc<K>> {
        self.read().values().cloned().collect()
    }

    pub(crate) fn list_in(&self, namespace: &str) -> Vec<Arc<K>> {
        self.read()
            .range(ObjectKey::new(namespace, "")..)
            .take_while(|(key, _)| key.namespace == namespace)
            .map(|(_, object)| Arc::clone(object))
            .collect()
    }

    /// Waits for the first complete list.
    pub(crate) async fn synced(&self) {
        // The sender lives in `self`, so the wait cannot fail.
        let _ = self.synced.subscribe().wait_for(|synced| *synced).await;
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<ObjectKey, Arc<K>>> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, key: ObjectKey, new: Option<Arc<K>>) -> Change<K> {
        let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
        let old = match &new {
            Some(object) => objects.insert(key.clone(), Arc::clone(object)),
            None => objects.remove(&key),
        };
        Change { key, old, new }
    }

    /// Replaces everything; what is gone is a change too, so a deletion missed by a broken watch is still told.
    fn replace(&self, fresh: BTreeMap<ObjectKey, Arc<K>>) -> Vec<Change<K>> {
        let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
        let mut old = std::mem::replace(&mut *objects, fresh.clone());
        drop(objects);
        let mut changes: Vec<Change<K>> = fresh
            .into_iter()
            .map(|(key, new)| Change {
                old: old.remove(&key),
                new: Some(new),
                key,
            })
            .collect();
        changes.extend(old.into_iter().map(|(key, gone)| Change {
            key,
            old: Some(gone),
            new: None,
        }));
        changes
    }
}

/// Keeps `cache` equal to what `api` serves until `cancel`, telling each change after it can be seen in the cache.
pub(crate) async fn observe<K>(
    api: Api<K>,
    config: watcher::Config,
    cache: Arc<Cache<K>>,
    cancel: CancellationToken,
    mut on_change: impl FnMut(Change<K>),
) where
    K: Resource + Clone + DeserializeOwned + fmt::Debug + Send + Sync + 'static,
{
    let mut stream = std::pin::pin!(watcher::watcher(api, config));
    let mut listing = BTreeMap::new();
    let mut failures = 0;
    loop {
        let event = tokio::select! {
            () = cancel.cancelled() => return,
            event = stream.next() => event,
        };
        match event {
            None => return,
            Some(Err(error)) => {
                failures += 1;
                if failures == 1 {
                    debug!(%error, "watch interrupted");
                } else {
                    warn!(%error, failures, "watch cannot be started again");
                }
                tokio::select! {
                    () = cancel.cancelled() => return,
                    () = tokio::time::sleep(REWATCH.jittered(failures, jitter())) => {}
                }
                continue;
            }
            Some(Ok(Event::Init)) => listing.clear(),
            Some(Ok(Event::InitApply(object))) => {
                listing.insert(ObjectKey::of(&object), Arc::new(object));
            }
            Some(Ok(Event::InitDone)) => {
                let changes = cache.replace(std::mem::take(&mut listing));
                cache.synced.send_replace(true);
                changes.into_iter().for_each(&mut on_change);
            }
            Some(Ok(Event::Apply(object))) => {
                on_change(cache.put(ObjectKey::of(&object), Some(Arc::new(object))));
            }
            Some(Ok(Event::Delete(object))) => on_change(cache.put(ObjectKey::of(&object), None)),
        }
        failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Told = (String, Option<&'static str>, Option<&'static str>);

    fn keys(changes: &[Change<&'static str>]) -> Vec<Told> {
        changes
            .iter()
            .map(|c| {
                (
                    c.key.name.clone(),
                    c.old.as_deref().copied(),
                    c.new.as_deref().copied(),
                )
            })
            .collect()
    }

    #[test]
    fn a_new_list_tells_what_came_changed_and_went() {
        let cache: Arc<Cache<&str>> = Cache::new();
        cache.put(ObjectKey::new("n", "stays"), Some(Arc::new("1")));
        cache.put(ObjectKey::new("n", "goes"), Some(Arc::new("2")));
        let fresh = [("stays", "1b"), ("comes", "3")]
            .map(|(name, value)| (ObjectKey::new("n", name), Arc::new(value)));
        let changes = cache.replace(fresh.into());
        assert_eq!(
            keys(&changes),
            [
                ("comes".to_owned(), None, Some("3")),
                ("stays".to_owned(), Some("1"), Some("1b")),
                ("goes".to_owned(), Some("2"), None),
            ]
        );
        assert_eq!(cache.list().len(), 2);
    }

    #[test]
    fn listing_a_namespace_stops_at_its_end() {
        let cache: Arc<Cache<u8>> = Cache::new();
        for (namespace, name) in [("a", "x"), ("b", "x"), ("b", "y"), ("b-c", "x")] {
            cache.put(ObjectKey::new(namespace, name), Some(Arc::new(0)));
        }
        assert_eq!(cache.list_in("b").len(), 2);
        assert_eq!(cache.list_in("z").len(), 0);
    }
}
