//! The snapshots a receiver can start from when nobody answers.

use crate::disk;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tidegate_model::{InvalidSnapshot, SNAPSHOT_FORMAT, Snapshot};

const CURRENT: &str = "snapshot.json";
const PREVIOUS: &str = "snapshot.previous.json";
/// Names the layout of the file: this line, a line `format=… length=… blake3=…`, the snapshot as JSON. The hash
/// covers everything but itself.
const MAGIC: &str = "tidegate-snapshot";

/// The newest accepted snapshot and the one before it, in a folder.
///
/// Saving is done by a thread of its own, and only the latest of those that wait is written; while they keep coming,
/// it writes a fifth of the time, for a large one costs more to write than to serve. So a crash may lose what
/// was accepted in the last milliseconds, and in the last second of many changes: the receiver then starts some snapshots
/// back and gets the newer one from the publisher again. Dropping the store writes what still waits.
#[derive(Debug)]
pub struct LastKnownGood {
    dir: PathBuf,
    queue: Arc<Queue>,
    writer: Option<JoinHandle<()>>,
}

/// What there was to load.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The newest snapshot that can be used.
    pub snapshot: Option<Arc<Snapshot>>,
    /// Files that could not be used, and why. They are kept: before the first save into their place they are
    /// moved aside to `NAME.refused-HASH`.
    pub refused: Vec<RefusedFile>,
}

/// A file that holds no snapshot we can use.
#[derive(Debug)]
pub struct RefusedFile {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub error: StoreError,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is none.
    #[error("there is no file")]
    Missing,
    /// It has no content.
    #[error("the file is empty")]
    Empty,
    /// It ends too early.
    #[error("the file is truncated: it ends after {length} bytes")]
    Truncated {
        /// Its length.
        length: usize,
    },
    /// It is no snapshot file, or its content is not what was written.
    #[error("the file is damaged: {reason}")]
    Damaged {
        /// How that shows.
        reason: &'static str,
    },
    /// A newer release wrote it.
    #[error("the file has format {found}, this release reads up to {SNAPSHOT_FORMAT}")]
    NewerFormat {
        /// Its format.
        found: u32,
    },
    /// It is whole, but cannot be served.
    #[error("the snapshot is not valid: {field}")]
    Invalid {
        /// The field, and what is wrong with it.
        field: String,
    },
    /// The disk refused.
    #[error("{path} cannot be accessed", path = path.display())]
    Disk {
        /// What was accessed.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct QueueState {
    waiting: Option<Arc<Snapshot>>,
    writing: bool,
    /// Somebody waits for it to be written.
    hurried: bool,
    closed: bool,
}

/// After a write the writer rests so many times as long as that took ...
const REST: u32 = 4;
/// ... but no longer than this.
const REST_MAX: Duration = Duration::from_secs(1);

// === impl LastKnownGood ===

impl LastKnownGood {
    /// Opens the store in `dir`, which is created if need be, for the owner only.
    ///
    /// # Errors
    /// [`StoreError::Disk`] when the folder cannot be had.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let dir = dir.into();
        let disk = |source| StoreError::Disk {
            path: dir.clone(),
            source,
        };
        disk::create_dir(&dir).map_err(disk)?;
        let queue = Arc::new(Queue::default());
        let writer = std::thread::Builder::new()
            .name("snapshot-writer".to_owned())
            .spawn({
                let (dir, queue) = (dir.clone(), Arc::clone(&queue));
                move || write_all(&dir, &queue)
            })
            .map_err(disk)?;
        Ok(Self {
            dir,
            queue,
            writer: Some(writer),
        })
    }

    /// Reads the newest snapshot that can be used: the current, else the previous one. Changes nothing.
    pub fn load(&self) -> Loaded {
        let mut loaded = Loaded::default();
        for name in [CURRENT, PREVIOUS] {
            let path = self.dir.join(name);
            match read(&path) {
                Ok(snapshot) => {
                    loaded.snapshot = Some(Arc::new(snapshot));
                    return loaded;
                }
                Err(error) => loaded.refused.push(RefusedFile { path, error }),
            }
        }
        loaded
    }

    /// Has `snapshot` written soon, in place of any other that waits. Does not block.
    pub fn save(&self, snapshot: Arc<Snapshot>) {
        self.queue.lock().waiting = Some(snapshot);
        self.queue.changed.notify_all();
    }

    /// Blocks until nothing waits to be written.
    pub fn flush(&self) {
        let mut state = self.queue.lock();
        state.hurried = true;
        self.queue.changed.notify_all();
        let busy = |state: &mut QueueState| state.waiting.is_some() || state.writing;
        let mut state = self
            .queue
            .changed
            .wait_while(state, busy)
            .unwrap_or_else(PoisonError::into_inner);
        state.hurried = false;
    }
}

impl Drop for LastKnownGood {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.changed.notify_all();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the snapshot writer has panicked");
        }
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next snapshot to write; `None` when the store is closed and nothing waits.
    fn next(&self) -> Option<Arc<Snapshot>> {
        let idle = |state: &mut QueueState| state.waiting.is_none() && !state.closed;
        let mut state = self
            .changed
            .wait_while(self.lock(), idle)
            .unwrap_or_else(PoisonError::into_inner);
        let next = state.waiting.take();
        state.writing = next.is_some();
        next
    }

    /// Lets more come, unless somebody waits.
    fn rest(&self, long: Duration) {
        let calm = |state: &mut QueueState| !state.hurried && !state.closed;
        drop(
            self.changed
                .wait_timeout_while(self.lock(), long, calm)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }
}

/// The writer's whole life.
fn write_all(dir: &Path, queue: &Queue) {
    let mut ours = false;
    while let Some(snapshot) = queue.next() {
        let begun = Instant::now();
        let written = match ours {
            true => Ok(()),
            false => keep_aside(dir),
        }
        .and_then(|()| write(dir, &snapshot));
        match written {
            Ok(()) => ours = true,
            Err(error) => tracing::error!(
                error = &error as &dyn std::error::Error,
                generation = snapshot.generation.0,
                "accepted snapshot could not be saved; a restart would begin with an older one"
            ),
        }
        queue.lock().writing = false;
        queue.changed.notify_all();
        queue.rest((begun.elapsed() * REST).min(REST_MAX));
    }
}

/// Moves files that cannot be used out of the way of those that can, named by their content, so that a file is
/// kept once however often we start.
fn keep_aside(dir: &Path) -> Result<(), StoreError> {
    for name in [CURRENT, PREVIOUS] {
        let path = dir.join(name);
        let error = match read(&path) {
            Ok(_) | Err(StoreError::Missing) => continue,
            Err(error) => error,
        };
        let hash = match fs::read(&path) {
            Ok(bytes) => blake3::hash(&bytes).to_hex()[..12].to_owned(),
            Err(_) => "unreadable".to_owned(),
        };
        let aside = dir.join(format!("{name}.refused-{hash}"));
        fs::rename(&path, &aside).map_err(|source| StoreError::Disk { path, source })?;
        tracing::warn!(%error, kept = %aside.display(), "snapshot file cannot be used, kept aside");
    }
    Ok(())
}

fn write(dir: &Path, snapshot: &Snapshot) -> Result<(), StoreError> {
    let disk = |name: &'static str| {
        move |source| StoreError::Disk {
            path: dir.join(name),
            source,
        }
    };
    let rotated = fs::rename(dir.join(CURRENT), dir.join(PREVIOUS));
    match rotated {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(disk(PREVIOUS)(error)),
        // A crash here leaves the previous one to start from, which is what it is for.
        Ok(()) | Err(_) => {}
    }
    disk::replace(dir, CURRENT, &encode(snapshot)).map_err(disk(CURRENT))
}

fn encode(snapshot: &Snapshot) -> Vec<u8> {
    let body = serde_json::to_vec(snapshot).expect("plain values always have a JSON form");
    let head = format!("{MAGIC}\nformat={} length={} ", snapshot.format, body.len());
    let hash = hash(head.as_bytes(), &body);
    let mut file = format!("{head}blake3={hash}\n").into_bytes();
    file.extend_from_slice(&body);
    file
}

fn hash(head: &[u8], body: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(head).update(body);
    hasher.finalize().to_hex().to_string()
}

fn read(path: &Path) -> Result<Snapshot, StoreError> {
    match fs::read(path) {
        Ok(bytes) => decode(&bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(StoreError::Missing),
        Err(source) => Err(StoreError::Disk {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Reads the content of a snapshot file, whatever it is.
pub(crate) fn decode(bytes: &[u8]) -> Result<Snapshot, StoreError> {
    if bytes.is_empty() {
        return Err(StoreError::Empty);
    }
    let damaged = |reason| StoreError::Damaged { reason };
    let truncated = StoreError::Truncated {
        length: bytes.len(),
    };
    let magic = format!("{MAGIC}\n");
    let common = magic.len().min(bytes.len());
    if bytes[..common] != magic.as_bytes()[..common] {
        return Err(damaged("it does not begin as snapshot files do"));
    }
    let Some(end) = bytes[common..].iter().position(|b| *b == b'\n') else {
        return Err(truncated);
    };
    let (head, body) = bytes.split_at(common + end + 1);
    let line = std::str::from_utf8(&head[common..head.len() - 1]);
    let fields = line.ok().and_then(parse_head);
    let Some((format, length, expected)) = fields else {
        return Err(damaged("its second line cannot be read"));
    };
    if body.len() < length {
        return Err(truncated);
    }
    let signed = head.len() - 1 - "blake3=".len() - expected.len();
    if body.len() > length || hash(&head[..signed], body) != expected {
        return Err(damaged(
            "its content does not have the hash that was written",
        ));
    }
    if format > SNAPSHOT_FORMAT {
        return Err(StoreError::NewerFormat { found: format });
    }
    let invalid = |error: String| StoreError::Invalid { field: error };
    let snapshot: Snapshot =
        serde_json::from_slice(body).map_err(|error| invalid(error.to_string()))?;
    match snapshot.validate() {
        Ok(()) => Ok(snapshot),
        Err(InvalidSnapshot::NewerFormat { found }) => Err(StoreError::NewerFormat { found }),
        Err(error @ InvalidSnapshot::Field { .. }) => Err(invalid(error.to_string())),
    }
}

fn parse_head(line: &str) -> Option<(u32, usize, &str)> {
    let mut fields = line.split(' ');
    let format = fields.next()?.strip_prefix("format=")?.parse().ok()?;
    let length = fields.next()?.strip_prefix("length=")?.parse().ok()?;
    let hash = fields.next()?.strip_prefix("blake3=")?;
    fields.next().is_none().then_some((format, length, hash))
}

#[cfg(test)]
mod tests;
