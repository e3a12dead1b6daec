//! The work queue of a controller: every object at most once, failures backed off one by one.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::ReconcileError;
use crate::backoff::{Backoff, jitter};

/// Objects of one controller worked on at the same time. One slow answer must not hold up the rest;
/// more than this only queues inside the client.
const CONCURRENT_MAX: usize = 16;

const RETRY: Backoff = Backoff {
    base: Duration::from_millis(20),
    cap: Duration::from_secs(30),
};

/// What a successful pass over an object asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing until the object changes.
    Settled,
    /// Look again after this time, changed or not.
    After(Duration),
}

/// A queue shared between those who add and the one loop that works it off.
#[derive(Debug)]
pub(crate) struct Queue<K> {
    shared: Arc<Shared<K>>,
}

#[derive(Debug)]
struct Shared<K> {
    state: Mutex<QueueState<K>>,
    added: Notify,
}

impl<K> Clone for Queue<K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<K: Ord + Hash + Clone + fmt::Debug> Queue<K> {
    pub(crate) fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(QueueState::default()),
                added: Notify::new(),
            }),
        }
    }

    /// Asks for a pass over `key`. Cheap, and idempotent until the pass starts.
    pub(crate) fn add(&self, key: K) {
        self.with(|state| state.add(key));
        self.shared.added.notify_one();
    }

    fn with<T>(&self, f: impl FnOnce(&mut QueueState<K>) -> T) -> T {
        f(&mut self
            .shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner))
    }

    /// Works the queue off until `cancel`. `reconcile` runs for different keys at the same time, never twice for one.
    pub(crate) async fn drive<F, Fut>(
        self,
        controller: &'static str,
        cancel: CancellationToken,
        reconcile: F,
    ) where
        F: Fn(K) -> Fut,
        Fut: Future<Output = Result<Outcome, ReconcileError>>,
    {
        let mut running = FuturesUnordered::new();
        loop {
            let now = Instant::now();
            while running.len() < CONCURRENT_MAX
                && let Some(key) = self.with(|state| state.next(now))
            {
                let work = reconcile(key.clone());
                running.push(async move { (key, work.await) });
            }
            let deadline = self.with(|state| state.deadline());
            tokio::select! {
                () = cancel.cancelled() => return,
                () = self.shared.added.notified() => {}
                () = sleep_until(deadline), if running.len() < CONCURRENT_MAX => {}
                Some((key, result)) = running.next() => {
                    let now = Instant::now();
                    match result {
                        Ok(outcome) => self.with(|state| state.succeeded(key, outcome, now)),
                        Err(error) => {
                            if error.is_expected() {
                                debug!(controller, ?key, %error, "reconcile lost a race, retrying");
                            } else {
                                warn!(controller, ?key, %error, "reconcile failed, retrying");
                            }
                            self.with(|state| state.failed(key, now, jitter()));
                        }
                    }
                }
            }
        }
    }
}

/// Sleeps until `deadline`, or for ever when there is none.
pub(crate) async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// The queue as a value: no clock, no lock. A key is in at most one of `ready` and `running`.
#[derive(Debug)]
struct QueueState<K> {
    ready: VecDeque<K>,
    queued: HashSet<K>,
    /// Keys being worked on; `true` when they were added again meanwhile.
    running: HashMap<K, bool>,
    later: BTreeSet<(Instant, K)>,
    later_at: HashMap<K, Instant>,
    failures: HashMap<K, u32>,
}

impl<K> Default for QueueState<K> {
    fn default() -> Self {
        Self {
            ready: VecDeque::new(),
            queued: HashSet::new(),
            running: HashMap::new(),
            later: BTreeSet::new(),
            later_at: HashMap::new(),
            failures: HashMap::new(),
        }
    }
}

impl<K: Ord + Hash + Clone> QueueState<K> {
    fn add(&mut self, key: K) {
        if let Some(again) = self.running.get_mut(&key) {
            *again = true;
        } else if self.queued.insert(key.clone()) {
            self.ready.push_back(key);
        }
    }

    fn next(&mut self, now: Instant) -> Option<K> {
        while let Some((at, key)) = self.later.first().cloned()
            && at <= now
        {
            self.forget_later(&key);
            self.add(key);
        }
        let key = self.ready.pop_front()?;
        self.queued.remove(&key);
        // This pass sees everything a later one would have been for.
        self.forget_later(&key);
        self.running.insert(key.clone(), false);
        Some(key)
    }

    fn succeeded(&mut self, key: K, outcome: Outcome, now: Instant) {
        self.failures.remove(&key);
        let again = self.running.remove(&key).unwrap_or(false);
        match outcome {
            _ if again => self.add(key),
            Outcome::Settled => {}
            Outcome::After(delay) => self.add_later(key, now + delay),
        }
    }

    fn failed(&mut self, key: K, now: Instant, jitter: f64) {
        self.running.remove(&key);
        let failures = self.failures.entry(key.clone()).or_insert(0);
        *failures = failures.saturating_add(1);
        // Even when it changed meanwhile: a broken object that changes often must not spin.
        let delay = RETRY.jittered(*failures, jitter);
        self.add_later(key, now + delay);
    }

    fn add_later(&mut self, key: K, at: Instant) {
        let at = self.later_at.get(&key).map_or(at, |known| at.min(*known));
        self.forget_later(&key);
        self.later.insert((at, key.clone()));
        self.later_at.insert(key, at);
    }

    fn forget_later(&mut self, key: &K) {
        if let Some(at) = self.later_at.remove(key) {
            self.later.remove(&(at, key.clone()));
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.later.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests;
