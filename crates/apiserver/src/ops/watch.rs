//! Watch: a cursor into the store's history, turned into events for one client.

use super::list::{not_from_the_future, too_old};
use super::{Api, ListOptions, VersionMatch};
use crate::object;
use crate::registry::Kind;
use crate::selector::Selector;
use crate::status::{ApiResult, Status};
use crate::store::{Event, EventKind, Object, Store};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Time between bookmarks on a quiet watch.
const BOOKMARK_EVERY: Duration = Duration::from_secs(10);

/// Events taken from the history at once: bounds what a watch holds while its client reads slowly.
const CHUNK: usize = 256;

/// Parameters of a watch.
#[derive(Debug)]
pub(crate) struct WatchOptions {
    pub(crate) selector: Selector,
    /// `None`: start with the current objects.
    pub(crate) after: Option<u64>,
    pub(crate) initial_events: InitialEvents,
    pub(crate) bookmarks: Bookmarks,
    pub(crate) timeout: Duration,
}

/// Whether the current objects come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InitialEvents {
    /// Never: start after the given version.
    No,
    /// They come as ADDED events.
    Yes,
    /// The same, and their end is marked with a bookmark (`sendInitialEvents=true`).
    Marked,
}

/// `allowWatchBookmarks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bookmarks {
    Allowed,
    Unwanted,
}

/// What a client is told.
#[derive(Debug)]
pub(crate) enum WatchEvent {
    Object {
        kind: WatchKind,
        object: Arc<Object>,
    },
    Bookmark {
        revision: u64,
        end_of_initial: InitialEvents,
    },
    /// The last event of a watch that cannot go on.
    Error(Status),
}

/// Event types as the wire names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WatchKind {
    Added,
    Modified,
    Deleted,
}

/// A running watch.
pub(crate) struct WatchStream {
    store: Store,
    kind: Arc<Kind>,
    namespace: Option<String>,
    selector: Selector,
    cursor: u64,
    wake: tokio::sync::watch::Receiver<u64>,
    queue: VecDeque<WatchEvent>,
    bookmarks: Bookmarks,
    last_bookmark: u64,
    next_bookmark: Instant,
    deadline: Instant,
    shutdown: CancellationToken,
    ended: bool,
}

impl Api {
    /// Starts a watch.
    pub(crate) fn watch(
        &self,
        kind: &Arc<Kind>,
        namespace: Option<&str>,
        options: WatchOptions,
        shutdown: CancellationToken,
    ) -> ApiResult<WatchStream> {
        let wake = self.store.subscribe(&kind.storage);
        let mut queue = VecDeque::new();
        let mut ended = false;
        let cursor = match (options.initial_events, options.after) {
            (InitialEvents::No, Some(after)) => {
                let state = self.store.read();
                not_from_the_future(after, state.revision())?;
                // Told as an event, as kube-apiserver does: clients list anew on such an event, while some
                // (kube-rs among them) take a refused request for a passing failure and ask the same again.
                if let Err(expired) = state.events_after(&kind.storage, after, 1) {
                    queue.push_back(WatchEvent::Error(too_old(after, expired)));
                    ended = true;
                }
                after
            }
            (InitialEvents::No, None) => self.store.read().revision(),
            (initial, after) => {
                let version = after.map_or(VersionMatch::Latest, VersionMatch::NotOlderThan);
                let list = ListOptions {
                    selector: options.selector.clone(),
                    limit: 0,
                    continue_from: None,
                    version,
                };
                let page = self.list(kind, namespace, &list)?;
                queue.extend(page.objects.into_iter().map(|object| WatchEvent::Object {
                    kind: WatchKind::Added,
                    object,
                }));
                if initial == InitialEvents::Marked {
                    queue.push_back(WatchEvent::Bookmark {
                        revision: page.revision,
                        end_of_initial: initial,
                    });
                }
                page.revision
            }
        };
        let now = Instant::now();
        Ok(WatchStream {
            store: self.store.clone(),
            kind: Arc::clone(kind),
            namespace: namespace.map(str::to_owned),
            selector: options.selector,
            cursor,
            wake,
            queue,
            bookmarks: options.bookmarks,
            last_bookmark: cursor,
            next_bookmark: now + BOOKMARK_EVERY,
            deadline: now + options.timeout,
            shutdown,
            ended,
        })
    }
}

impl WatchStream {
    /// The next event, or `None` at the end of the watch.
    pub(crate) async fn next(&mut self) -> Option<WatchEvent> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(event);
            }
            if self.ended {
                return None;
            }
            self.wake.mark_unchanged();
            if let Err(status) = self.read_more() {
                self.ended = true;
                return Some(WatchEvent::Error(status));
            }
            if self.queue.is_empty() {
                self.wait().await;
            }
        }
    }

    /// Up to this many events can be taken without waiting.
    pub(crate) fn ready(&self) -> usize {
        self.queue.len()
    }

    async fn wait(&mut self) {
        tokio::select! {
            changed = self.wake.changed() => {
                // The store is gone: so is the server.
                self.ended = changed.is_err();
            }
            () = self.shutdown.cancelled() => self.finish(),
            () = tokio::time::sleep_until(self.deadline) => self.finish(),
            () = tokio::time::sleep_until(self.next_bookmark), if self.bookmarks == Bookmarks::Allowed => {
                self.bookmark();
                self.next_bookmark = Instant::now() + BOOKMARK_EVERY;
            }
        }
    }

    fn finish(&mut self) {
        // A last bookmark lets the client go on exactly here.
        if self.bookmarks == Bookmarks::Allowed {
            self.bookmark();
        }
        self.ended = true;
    }

    fn bookmark(&mut self) {
        if self.cursor > self.last_bookmark {
            self.last_bookmark = self.cursor;
            self.queue.push_back(WatchEvent::Bookmark {
                revision: self.cursor,
                end_of_initial: InitialEvents::No,
            });
        }
    }

    fn read_more(&mut self) -> Result<(), Status> {
        loop {
            let (events, complete) = {
                let state = self.store.read();
                state
                    .events_after(&self.kind.storage, self.cursor, CHUNK)
                    .map_err(|e| too_old(self.cursor, e))?
            };
            let more = events.len() == CHUNK;
            for event in &events {
                if let Some(told) = self.translate(event) {
                    self.queue.push_back(told);
                }
            }
            self.cursor = complete;
            if !self.queue.is_empty() || !more {
                return Ok(());
            }
        }
    }

    /// What an event means to this client: an object may enter or leave what its selector matches.
    fn translate(&self, event: &Event) -> Option<WatchEvent> {
        if self
            .namespace
            .as_ref()
            .is_some_and(|ns| *ns != event.key.namespace)
        {
            return None;
        }
        let matches = |object: &Arc<Object>| {
            self.selector.is_empty()
                || if self.kind.is_converted() {
                    self.selector
                        .matches(&self.kind.in_served_version(&object.value))
                } else {
                    self.selector.matches(&object.value)
                }
        };
        let before = event.previous.as_ref().is_some_and(&matches);
        let after = event.kind != EventKind::Deleted && matches(&event.object);
        let told = |kind, object| Some(WatchEvent::Object { kind, object });
        match (before, after) {
            (false, false) => None,
            (false, true) => told(WatchKind::Added, Arc::clone(&event.object)),
            (true, true) => told(WatchKind::Modified, Arc::clone(&event.object)),
            (true, false) if event.kind == EventKind::Deleted => {
                told(WatchKind::Deleted, Arc::clone(&event.object))
            }
            (true, false) => {
                // It left the selection: the client gets the state it knew, at the new version.
                let known = event.previous.as_ref()?;
                let object = Arc::new(Object::stamped(known.value.clone(), event.revision));
                told(WatchKind::Deleted, object)
            }
        }
    }
}

impl std::fmt::Debug for WatchStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WatchStream")
            .field("resource", &self.kind.storage)
            .field("cursor", &self.cursor)
            .finish()
    }
}

/// A bookmark's object.
pub(crate) fn bookmark_object(
    kind: &Kind,
    revision: u64,
    end_of_initial: InitialEvents,
) -> serde_json::Value {
    let mut object = serde_json::json!({
        "kind": kind.kind,
        "apiVersion": kind.api_version(),
        "metadata": {"resourceVersion": revision.to_string(), "creationTimestamp": null},
    });
    if end_of_initial == InitialEvents::Marked {
        let annotations = serde_json::json!({"k8s.io/initial-events-end": "true"});
        object::set_meta(&mut object, "annotations", Some(annotations));
    }
    object
}
