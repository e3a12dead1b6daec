//! Following one kind of object on one API.

use crate::client::WATCH_SECONDS;
use futures::StreamExt;
use kube::Resource;
use kube::api::Api;
use kube::core::DeserializeGuard;
use kube::runtime::utils::{Backoff, StreamBackoff};
use kube::runtime::watcher::{self, Event, watcher};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tidegate_translate::{ObjectName, Objects, name_of};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// A watch that failed comes back or fails again within this time; quiet for longer, it is back.
const FAILURE_HOLDS: Duration = Duration::from_secs(25);

/// Objects of one kind, as last seen and as far as they can be read.
pub(crate) struct Followed<K> {
    objects: Arc<Mutex<Seen<K>>>,
    state: watch::Receiver<FollowState>,
}

/// Those that can be read, and the errors of the others.
struct Seen<K> {
    readable: Objects<K>,
    unreadable: BTreeMap<ObjectName, String>,
}

impl<K> Seen<K> {
    fn new() -> Self {
        Self {
            readable: Objects::new(),
            unreadable: BTreeMap::new(),
        }
    }

    fn put(&mut self, name: ObjectName, object: Result<Arc<K>, String>) {
        self.remove(&name);
        match object {
            Ok(object) => self.readable.insert(name, object),
            Err(error) => {
                self.unreadable.insert(name, error);
            }
        }
    }

    fn remove(&mut self, name: &ObjectName) {
        self.readable.remove(name);
        self.unreadable.remove(name);
    }
}

/// How following goes.
#[derive(Clone, Debug, Default)]
pub(crate) struct FollowState {
    /// All objects were listed once.
    pub(crate) synced: bool,
    /// The last failure, until the watch is known to be back.
    pub(crate) failed: Option<(Instant, String)>,
}

impl FollowState {
    /// What is wrong now.
    pub(crate) fn failure(&self) -> Option<&str> {
        let (at, text) = self.failed.as_ref()?;
        (!self.synced || at.elapsed() < FAILURE_HOLDS).then_some(text)
    }
}

impl<K> Followed<K> {
    pub(crate) fn state(&self) -> FollowState {
        self.state.borrow().clone()
    }

    /// All objects that can be read.
    pub(crate) fn readable(&self) -> Vec<Arc<K>> {
        self.objects().iter().cloned().collect()
    }

    /// The same by name. Costs nothing, however many there are.
    pub(crate) fn objects(&self) -> Objects<K> {
        lock(&self.objects).readable.clone()
    }

    /// Namespaces, names and errors of the others.
    pub(crate) fn unreadable(&self) -> Vec<(String, String, String)> {
        let objects = lock(&self.objects);
        let bad = objects.unreadable.iter().map(|(name, error)| {
            let (namespace, name) = &**name;
            (namespace.clone(), name.clone(), error.clone())
        });
        bad.collect()
    }
}

/// Nothing that holds the lock can panic halfway through a change that matters.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts following. `trim` drops what is not needed before an object is kept; `changed` is notified of
/// every change and of every change of state.
pub(crate) fn follow<K>(
    api: Api<DeserializeGuard<K>>,
    config: watcher::Config,
    trim: fn(&mut K),
    changed: Arc<Notify>,
    shutdown: CancellationToken,
) -> Followed<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let objects = Arc::new(Mutex::new(Seen::new()));
    let writer = Arc::clone(&objects);
    let (state_tx, state) = watch::channel(FollowState::default());
    tokio::spawn(async move {
        let stream = watcher(api, config.timeout(WATCH_SECONDS));
        let mut listing = Seen::new();
        let mut stream = std::pin::pin!(StreamBackoff::new(stream, Jittered::default()));
        while let Some(item) = tokio::select! {
            () = shutdown.cancelled() => None,
            item = stream.next() => item,
        } {
            match item {
                Ok(event) => {
                    match event {
                        Event::Init => {
                            listing = Seen::new();
                            continue;
                        }
                        Event::InitApply(object) => {
                            let (name, object) = entry(object, trim);
                            listing.put(name, object);
                            continue;
                        }
                        // A list replaces everything at once: what it lacks is gone.
                        Event::InitDone => {
                            *lock(&writer) = std::mem::replace(&mut listing, Seen::new());
                        }
                        Event::Apply(object) => {
                            let (name, object) = entry(object, trim);
                            lock(&writer).put(name, object);
                        }
                        Event::Delete(object) => {
                            lock(&writer).remove(&name_of(object.meta()));
                        }
                    }
                    state_tx.send_if_modified(|state| {
                        let news = !state.synced || state.failed.is_some();
                        state.synced = true;
                        state.failed = None;
                        news
                    });
                }
                Err(error) => {
                    let text = crate::client::chain(&error);
                    tracing::debug!(kind = %K::kind(&()), error = %text, "watch failed and will be resumed");
                    state_tx.send_modify(|state| state.failed = Some((Instant::now(), text)));
                }
            }
            changed.notify_one();
        }
    });
    Followed { objects, state }
}

fn entry<K>(guard: DeserializeGuard<K>, trim: fn(&mut K)) -> (ObjectName, Result<Arc<K>, String>)
where
    K: Resource<DynamicType = ()>,
{
    let name = name_of(guard.meta());
    let object = match guard.0 {
        Ok(mut object) => {
            object.meta_mut().managed_fields = None;
            trim(&mut object);
            Ok(Arc::new(object))
        }
        Err(invalid) => Err(invalid.error),
    };
    (name, object)
}

/// 200 ms, doubling to 5 s, each between half and all of it; a good item starts over.
#[derive(Default)]
struct Jittered {
    attempt: u32,
}

impl Iterator for Jittered {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let full =
            Duration::from_millis(200 * (1 << self.attempt.min(5))).min(Duration::from_secs(5));
        self.attempt += 1;
        // The clock's last digits are random enough to spread clients apart.
        let nanos = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.subsec_nanos());
        Some(full / 2 + full.mul_f64(f64::from(nanos % 1000) / 2000.0))
    }
}

impl Backoff for Jittered {
    fn reset(&mut self) {
        self.attempt = 0;
    }
}
