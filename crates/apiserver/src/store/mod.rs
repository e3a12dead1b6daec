//! All objects in memory, every change on disk first.
//!
//! One writer thread takes compare-and-swap writes, gives each the next revision, commits as many as
//! are waiting in one durable transaction, and only then shows them to readers and watchers and
//! answers the writers. So nothing is seen or acknowledged that a crash could take back, revisions
//! never repeat, and the order of events is the order of revisions.
//!
//! ```text
//! writers --Write--> [queue] --batch--> Backend::commit --> State (objects, history) --wake--> watchers
//! ```
//!
//! A watcher is a cursor into the history of its resource, which is bounded; one that falls behind
//! the history gets [`Expired`]. There is no queue per watcher that could grow.

mod memory;
mod redb;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use memory::MemoryBackend;
pub(crate) use redb::RedbBackend;
pub(crate) use state::{Event, EventKind, Expired, Key, Object, State, owner_uids};

use serde_json::Value;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::{mpsc, oneshot, watch};

/// Most writes in one transaction. Far more than clients have in flight; it bounds the time a batch
/// keeps the first writer waiting.
const BATCH: usize = 256;

/// Durable storage under the in-memory state.
pub(crate) trait Backend: Send + 'static {
    /// Everything that was committed.
    fn load(&mut self) -> Result<Loaded, StoreError>;

    /// Makes all changes durable, atomically, before returning.
    fn commit(&mut self, revision: u64, changes: &[Persist<'_>]) -> Result<(), StoreError>;
}

/// What a backend had stored.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// The last revision given out.
    pub(crate) revision: u64,
    /// All live objects.
    pub(crate) objects: Vec<(Key, Object)>,
}

/// One change for the backend.
#[derive(Debug)]
pub(crate) struct Persist<'a> {
    /// Which object.
    pub(crate) key: &'a Key,
    /// Its new JSON, or `None` when it is gone.
    pub(crate) json: Option<bytes::Bytes>,
}

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the data directory.
    #[error("{path} is in use by another process; stop that one or choose another data directory")]
    InUse {
        /// The store file.
        path: String,
    },
    /// The file cannot be opened, read or written.
    #[error("{doing} {path}: {why}")]
    Io {
        /// What we were doing.
        doing: &'static str,
        /// The store file.
        path: String,
        /// The cause, as text.
        why: String,
    },
    /// A stored object cannot be read back.
    #[error("{path} holds an object that cannot be read ({key}): {why}")]
    Damaged {
        /// The store file.
        path: String,
        /// Which object.
        key: String,
        /// The cause, as text.
        why: String,
    },
}

/// What an object must be for a write to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// It does not exist.
    Absent,
    /// It has exactly this revision.
    Revision(u64),
}

/// What a write does.
#[derive(Debug)]
pub(crate) enum Change {
    /// Stores this value.
    Put(Value),
    /// Removes the object; the value is its last state, shown to watchers.
    Delete(Value),
}

/// A compare-and-swap write.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) key: Key,
    pub(crate) expect: Expect,
    pub(crate) change: Change,
}

/// Why a write did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("the object exists already")]
    Exists,
    #[error("the object was changed or removed meanwhile")]
    Changed,
    #[error("the store could not commit: {0}")]
    Storage(String),
    #[error("the server is shutting down")]
    Closed,
}

/// Told about every event by the writer thread.
pub(crate) trait Observer: Send + Sync + 'static {
    /// After the event is durable, before anyone can see it.
    fn before_visible(&self, event: &Event);
    /// Once readers see it.
    fn after_visible(&self, event: &Event);
}

struct Pending {
    write: Write,
    reply: oneshot::Sender<Result<Arc<Object>, WriteError>>,
}

/// Handle to the store; cheap to clone.
#[derive(Clone)]
pub(crate) struct Store {
    state: Arc<RwLock<State>>,
    queue: mpsc::Sender<Pending>,
}

impl Store {
    /// Loads everything and starts the writer thread, which ends when the last handle is gone.
    pub(crate) fn open(
        mut backend: impl Backend,
        observer: Arc<dyn Observer>,
    ) -> Result<(Store, std::thread::JoinHandle<()>), StoreError> {
        let loaded = backend.load()?;
        let state = Arc::new(RwLock::new(State::new(loaded)));
        let (queue, inbox) = mpsc::channel(4 * BATCH);
        let shared = Arc::clone(&state);
        let writer = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || write_loop(&mut backend, &shared, observer.as_ref(), inbox))
            .map_err(|e| StoreError::Io {
                doing: "starting the writer of",
                path: "store".into(),
                why: e.to_string(),
            })?;
        Ok((Store { state, queue }, writer))
    }

    /// A consistent view; do not hold it across an await.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Performs one write and returns what is stored now (for a deletion: the last state).
    pub(crate) async fn write(&self, write: Write) -> Result<Arc<Object>, WriteError> {
        let (reply, answer) = oneshot::channel();
        self.queue
            .send(Pending { write, reply })
            .await
            .map_err(|_| WriteError::Closed)?;
        answer.await.map_err(|_| WriteError::Closed)?
    }

    /// Wakes on every change of a resource.
    pub(crate) fn subscribe(&self, resource: &Arc<str>) -> watch::Receiver<u64> {
        if let Some(receiver) = self.read().subscribe(resource) {
            return receiver;
        }
        write_lock(&self.state).subscribe_or_create(resource)
    }
}

fn write_lock(state: &RwLock<State>) -> RwLockWriteGuard<'_, State> {
    state.write().unwrap_or_else(PoisonError::into_inner)
}

fn write_loop(
    backend: &mut impl Backend,
    state: &RwLock<State>,
    observer: &dyn Observer,
    mut inbox: mpsc::Receiver<Pending>,
) {
    let mut batch = Vec::new();
    while let Some(first) = inbox.blocking_recv() {
        batch.push(first);
        while batch.len() < BATCH {
            match inbox.try_recv() {
                Ok(next) => batch.push(next),
                Err(_) => break,
            }
        }
        run_batch(backend, state, observer, &mut batch);
    }
}

type Reply = oneshot::Sender<Result<Arc<Object>, WriteError>>;

/// Checks, commits, publishes and answers one batch.
fn run_batch(
    backend: &mut impl Backend,
    state: &RwLock<State>,
    observer: &dyn Observer,
    batch: &mut Vec<Pending>,
) {
    let mut events: Vec<(Event, Reply)> = Vec::with_capacity(batch.len());
    // Told only with the batch: who is told that an object exists must find it when he looks.
    let mut refused: Vec<(WriteError, Reply)> = Vec::new();
    {
        let current = state.read().unwrap_or_else(PoisonError::into_inner);
        let mut revision = current.revision();
        for Pending { write, reply } in batch.drain(..) {
            // Writes earlier in this batch count as done.
            let before = events
                .iter()
                .rev()
                .find(|(e, _)| e.key == write.key)
                .map_or_else(
                    || current.get(&write.key),
                    |(e, _)| (e.kind != EventKind::Deleted).then(|| Arc::clone(&e.object)),
                );
            match check(write, before, revision + 1) {
                Ok(event) => {
                    revision += 1;
                    events.push((event, reply));
                }
                Err(error) => refused.push((error, reply)),
            }
        }
    }
    // Who has asked may have gone away; nobody needs an answer then, here and below.
    let refuse = |refused: Vec<(WriteError, Reply)>| {
        for (error, reply) in refused {
            let _ = reply.send(Err(error));
        }
    };
    let Some(last) = events.last().map(|(e, _)| e.revision) else {
        return refuse(refused);
    };
    let changes: Vec<Persist<'_>> = events
        .iter()
        .map(|(e, _)| Persist {
            key: &e.key,
            json: (e.kind != EventKind::Deleted).then(|| e.object.json()),
        })
        .collect();
    if let Err(error) = backend.commit(last, &changes) {
        tracing::error!(%error, writes = changes.len(), "store commit failed");
        let replies = events.into_iter().map(|(_, reply)| reply);
        // What they were refused for may not be so.
        for reply in replies.chain(refused.into_iter().map(|(_, reply)| reply)) {
            let _ = reply.send(Err(WriteError::Storage(error.to_string())));
        }
        return;
    }
    drop(changes);
    let (events, replies): (Vec<_>, Vec<_>) =
        events.into_iter().map(|(e, r)| (Arc::new(e), r)).unzip();
    for event in &events {
        observer.before_visible(event);
    }
    {
        let mut state = write_lock(state);
        for event in &events {
            state.apply(event);
        }
    }
    for (event, reply) in events.into_iter().zip(replies) {
        observer.after_visible(&event);
        let _ = reply.send(Ok(Arc::clone(&event.object)));
    }
    refuse(refused);
}

fn check(write: Write, before: Option<Arc<Object>>, revision: u64) -> Result<Event, WriteError> {
    match (write.expect, &before) {
        (Expect::Absent, Some(_)) => return Err(WriteError::Exists),
        (Expect::Revision(wanted), Some(object)) if object.revision == wanted => {}
        (Expect::Revision(_), _) => return Err(WriteError::Changed),
        (Expect::Absent, None) => {}
    }
    let (kind, value) = match write.change {
        Change::Put(value) if before.is_some() => (EventKind::Modified, value),
        Change::Put(value) => (EventKind::Added, value),
        Change::Delete(value) => (EventKind::Deleted, value),
    };
    Ok(Event {
        revision,
        kind,
        key: write.key,
        object: Arc::new(Object::stamped(value, revision)),
        previous: before,
    })
}
