//! Kubernetes Events: equal ones are counted up, and a noisy object cannot flood the API.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource, ResourceExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::hash::{fnv32, suffixed};

/// Notes waiting to be written. More are dropped: events are a courtesy, memory is not.
const WAITING_MAX: usize = 512;
/// Different notes remembered for counting; the least recent go first.
const REMEMBERED_MAX: usize = 1024;
/// An object may write this many events at once ...
const BURST: f64 = 25.0;
/// ... and then one each ten seconds.
const REFILL_PER_SECOND: f64 = 0.1;
/// A repeated note is written at most this often; the repetitions in between are counted.
const REPEAT_EVERY: Duration = Duration::from_secs(1);

/// How an event is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Severity {
    Normal,
    Warning,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// Something to say about an object.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    pub(crate) about: ObjectReference,
    pub(crate) severity: Severity,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// A reference to `object` as events carry it.
pub(crate) fn reference<K: Resource<DynamicType = ()>>(object: &K) -> ObjectReference {
    ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(K::kind(&()).into_owned()),
        namespace: object.namespace(),
        name: Some(object.name_any()),
        uid: object.uid(),
        resource_version: object.resource_version(),
        field_path: None,
    }
}

/// Takes notes without waiting; a task writes them.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    notes: mpsc::Sender<Note>,
}

impl Recorder {
    /// A recorder for `component`, and the task that must be run for it.
    pub(crate) fn new(
        client: Client,
        component: &'static str,
        host: String,
        cancel: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (notes, waiting) = mpsc::channel(WAITING_MAX);
        (
            Self { notes },
            write_notes(client, component, host, waiting, cancel),
        )
    }

    pub(crate) fn note(&self, note: Note) {
        if self.notes.try_send(note).is_err() {
            debug!("event dropped: too many are waiting");
        }
    }
}

async fn write_notes(
    client: Client,
    component: &'static str,
    host: String,
    mut waiting: mpsc::Receiver<Note>,
    cancel: CancellationToken,
) {
    let mut book = EventBook::default();
    loop {
        let note = tokio::select! {
            () = cancel.cancelled() => return,
            note = waiting.recv() => match note { Some(note) => note, None => return },
        };
        let Some(entry) = book.enter(&note, Instant::now(), Timestamp::now()) else {
            continue;
        };
        let api: Api<Event> = Api::namespaced(
            client.clone(),
            note.about.namespace.as_deref().unwrap_or("default"),
        );
        let written = if entry.count > 1 {
            let patch =
                serde_json::json!({"count": entry.count, "lastTimestamp": Time(entry.last)});
            api.patch(&entry.name, &PatchParams::default(), &Patch::Merge(patch))
                .await
                .map(drop)
        } else {
            let event = event(&note, &entry, component, &host);
            api.create(&PostParams::default(), &event).await.map(drop)
        };
        if let Err(error) = written {
            // For example the namespace is going away. The next equal note starts afresh.
            debug!(%error, "event not written");
            book.forget(&note);
        }
    }
}

fn event(note: &Note, entry: &Entry, component: &str, host: &str) -> Event {
    Event {
        metadata: ObjectMeta {
            name: Some(entry.name.clone()),
            namespace: Some(
                note.about
                    .namespace
                    .clone()
                    .unwrap_or_else(|| "default".to_owned()),
            ),
            ..ObjectMeta::default()
        },
        involved_object: note.about.clone(),
        type_: Some(note.severity.as_str().to_owned()),
        reason: Some(note.reason.to_owned()),
        message: Some(note.message.clone()),
        count: Some(entry.count),
        first_timestamp: Some(Time(entry.last)),
        last_timestamp: Some(Time(entry.last)),
        source: Some(EventSource {
            component: Some(component.to_owned()),
            host: Some(host.to_owned()),
        }),
        reporting_component: Some(component.to_owned()),
        reporting_instance: Some(host.to_owned()),
        ..Event::default()
    }
}

/// What is to be written for a note.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    name: String,
    count: i32,
    last: Timestamp,
}

type NoteKey = (String, &'static str, String);

/// Decides which notes are written. A value: time is an argument.
#[derive(Debug, Default)]
struct EventBook {
    known: HashMap<NoteKey, Known>,
    budgets: HashMap<String, (f64, Instant)>,
}

#[derive(Debug)]
struct Known {
    name: String,
    count: i32,
    written: Instant,
}

impl EventBook {
    fn enter(&mut self, note: &Note, now: Instant, wall: Timestamp) -> Option<Entry> {
        let key = key(note);
        let object = key.0.clone();
        if let Some(known) = self.known.get_mut(&key) {
            known.count = known.count.saturating_add(1);
            if now.duration_since(known.written) < REPEAT_EVERY
                || !spend(&mut self.budgets, &object, now)
            {
                return None;
            }
            known.written = now;
            return Some(Entry {
                name: known.name.clone(),
                count: known.count,
                last: wall,
            });
        }
        if !spend(&mut self.budgets, &object, now) {
            return None;
        }
        self.make_room();
        let about = note.about.name.as_deref().unwrap_or("unknown");
        let text = format!("{}{}{}{}", key.0, key.1, key.2, wall.as_nanosecond());
        let suffix = format!("{:x}{:08x}", wall.as_microsecond(), fnv32(text.as_bytes()));
        let name = suffixed(about, &suffix, 253);
        self.known.insert(
            key,
            Known {
                name: name.clone(),
                count: 1,
                written: now,
            },
        );
        Some(Entry {
            name,
            count: 1,
            last: wall,
        })
    }

    fn forget(&mut self, note: &Note) {
        self.known.remove(&key(note));
    }

    fn make_room(&mut self) {
        if self.known.len() < REMEMBERED_MAX {
            return;
        }
        let oldest = self
            .known
            .iter()
            .min_by_key(|(_, known)| known.written)
            .map(|(key, _)| key.clone());
        if let Some(oldest) = oldest {
            self.known.remove(&oldest);
            if !self.known.keys().any(|key| key.0 == oldest.0) {
                self.budgets.remove(&oldest.0);
            }
        }
    }
}

fn key(note: &Note) -> NoteKey {
    let about = &note.about;
    let object = format!(
        "{}/{}/{}/{}",
        about.kind.as_deref().unwrap_or_default(),
        about.namespace.as_deref().unwrap_or_default(),
        about.name.as_deref().unwrap_or_default(),
        about.uid.as_deref().unwrap_or_default(),
    );
    (object, note.reason, note.message.clone())
}

/// Takes one token from the object's bucket.
fn spend(budgets: &mut HashMap<String, (f64, Instant)>, object: &str, now: Instant) -> bool {
    let (tokens, at) = budgets.entry(object.to_owned()).or_insert((BURST, now));
    *tokens = (*tokens + now.duration_since(*at).as_secs_f64() * REFILL_PER_SECOND).min(BURST);
    *at = now;
    if *tokens < 1.0 {
        return false;
    }
    *tokens -= 1.0;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(name: &str, message: &str) -> Note {
        Note {
            about: ObjectReference {
                name: Some(name.to_owned()),
                ..ObjectReference::default()
            },
            severity: Severity::Warning,
            reason: "Unhealthy",
            message: message.to_owned(),
        }
    }

    #[test]
    fn equal_notes_are_counted_into_one_event() {
        let mut book = EventBook::default();
        let now = Instant::now();
        let first = book
            .enter(&note("a", "x"), now, Timestamp::UNIX_EPOCH)
            .expect("written");
        assert_eq!(
            book.enter(&note("a", "x"), now, Timestamp::UNIX_EPOCH),
            None,
            "too soon"
        );
        let later = book
            .enter(&note("a", "x"), now + REPEAT_EVERY, Timestamp::UNIX_EPOCH)
            .expect("written");
        assert_eq!(
            (first.count, later.count),
            (1, 3),
            "the unwritten one is counted"
        );
        assert_eq!(first.name, later.name);
    }

    #[test]
    fn a_noisy_object_runs_out_and_others_do_not() {
        let mut book = EventBook::default();
        let now = Instant::now();
        let written = (0..100)
            .filter(|i| {
                book.enter(&note("noisy", &i.to_string()), now, Timestamp::UNIX_EPOCH)
                    .is_some()
            })
            .count();
        assert_eq!(written, BURST as usize);
        assert!(
            book.enter(&note("quiet", "x"), now, Timestamp::UNIX_EPOCH)
                .is_some()
        );
    }

    #[test]
    fn memory_is_bounded() {
        let mut book = EventBook::default();
        for i in 0..REMEMBERED_MAX * 2 {
            book.enter(
                &note(&i.to_string(), "x"),
                Instant::now(),
                Timestamp::UNIX_EPOCH,
            );
        }
        assert!(book.known.len() <= REMEMBERED_MAX && book.budgets.len() <= REMEMBERED_MAX);
    }
}
