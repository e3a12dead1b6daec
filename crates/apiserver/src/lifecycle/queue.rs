//! A set that is also a queue.

use crate::store::Key;
use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// Something that may need attention.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Work {
    /// An object with owners was written.
    Dependent(Key),
    /// An object is gone: its dependents may be garbage.
    OwnerGone(String),
    /// A dependent is gone: its owner may wait for that.
    DependentGone(String),
    /// An object is marked as deleting.
    Deleting(Key),
    /// An object of the namespace is gone.
    NamespaceShrank(String),
    /// An object of the resource is gone.
    ResourceShrank(String),
}

/// Work in the order of arrival, each item once.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    inner: Mutex<(VecDeque<Work>, HashSet<Work>)>,
    ready: Notify,
}

impl Queues {
    /// Adds an item unless it waits already.
    pub(crate) fn push(&self, work: Work) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.1.insert(work.clone()) {
            inner.0.push_back(work);
            self.ready.notify_one();
        }
    }

    /// Takes the next item, waiting for one.
    pub(crate) async fn next(&self) -> Work {
        loop {
            {
                let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(work) = inner.0.pop_front() {
                    inner.1.remove(&work);
                    return work;
                }
            }
            self.ready.notified().await;
        }
    }
}
