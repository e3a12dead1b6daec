//! Taking a changed file while running.

use super::{ConfigError, read, read_noting_files};
use crate::state::Shared;
use serde_json::{Value, json};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tidegate_model::Generation;
use tidegate_runtime::prometheus_client::metrics::gauge::Gauge;
use tidegate_runtime::prometheus_client::registry::Registry;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How often the file is looked at. Its content counts, not its times: editors and mounted ConfigMaps replace
/// files in ways that watches and time stamps miss.
const LOOK: Duration = Duration::from_secs(1);

/// A file that is served. Clones are the same file.
#[derive(Clone, Debug)]
pub(crate) struct ConfigFile {
    path: PathBuf,
    state: Arc<State>,
}

/// What became of the file as it is now.
#[derive(Debug, Default)]
struct State {
    /// Why it is not served; the one before it is.
    refused: Mutex<Option<String>>,
    metric: Gauge,
    seen: Mutex<Seen>,
}

/// What was read last.
#[derive(Debug, Default)]
struct Seen {
    /// Of the file and of those it names; `None` when it is not certain that this was what was read.
    digest: Option<u64>,
    /// The files that it names.
    files: Vec<PathBuf>,
}

impl ConfigFile {
    /// Serves the file at `path`.
    ///
    /// # Errors
    /// It cannot be used; nothing has changed.
    pub(crate) fn open(path: PathBuf, shared: &Shared) -> Result<Self, ConfigError> {
        let snapshot = read(&path, Generation(1))?;
        let applied = shared.apply(&Arc::new(snapshot));
        applied.map_err(|reason| ConfigError::whole(&path, reason))?;
        Ok(Self {
            path,
            state: Arc::default(),
        })
    }

    /// Makes its metric known.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "gateway_config_refused",
            "1 while the configuration file as it is now is not served",
            self.state.metric.clone(),
        );
    }

    /// For the status page: which file, and why it is not served as it is now.
    pub(crate) fn to_json(&self) -> Value {
        json!({ "file": self.path, "refused": *self.state.lock() })
    }

    /// Applies it whenever it changes, at once on SIGHUP, until `end`.
    pub(crate) async fn follow(self, shared: Arc<Shared>, end: CancellationToken) {
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => Some(hangup),
            Err(error) => {
                tracing::warn!(%error, "SIGHUP will end this process");
                None
            }
        };
        loop {
            let hung_up = async {
                match &mut hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = end.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
                _ = hung_up => tracing::info!("SIGHUP: looking at the configuration"),
            }
            let (file, shared) = (self.clone(), Arc::clone(&shared));
            let looked = tokio::task::spawn_blocking(move || file.look(&shared)).await;
            if let Err(error) = looked {
                tracing::error!(%error, "reading the configuration panicked");
            }
        }
    }

    /// Reads it if it has changed, and applies what is new.
    fn look(&self, shared: &Shared) {
        let mut seen = self
            .state
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let digest = digest(&self.path, &seen.files);
        if seen.digest == Some(digest) {
            return;
        }
        let served = Arc::clone(shared.table.load().snapshot());
        let mut files = Vec::new();
        let read = read_noting_files(&self.path, served.generation, &mut files);
        // With other files the digest is of something else: then it is read once more.
        seen.digest = (files == seen.files).then_some(digest);
        seen.files = files;
        let read = read.map_err(|error| error.to_string());
        let applied = read.and_then(|mut snapshot| {
            if snapshot == *served {
                return Ok(None);
            }
            snapshot.generation = served.generation.next();
            shared.apply(&Arc::new(snapshot)).map(Some)
        });
        let file = self.path.display();
        match applied {
            Ok(report) => {
                let mended = self.state.set(None);
                if let Some(report) = report {
                    tracing::info!(?report, %file, "configuration applied");
                } else if mended {
                    tracing::info!(%file, "configuration is again what is served");
                }
            }
            Err(reason) => {
                if self.state.set(Some(reason.clone())) {
                    tracing::error!("configuration refused, serving the one before:\n{reason}");
                }
            }
        }
    }
}

/// Of the contents of `path` and `files`; what cannot be read counts as something, too.
fn digest(path: &Path, files: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in [path].into_iter().chain(files.iter().map(PathBuf::as_path)) {
        std::fs::read(file)
            .map_err(|error| error.kind())
            .hash(&mut hasher);
    }
    hasher.finish()
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True when that is news.
    fn set(&self, reason: Option<String>) -> bool {
        self.metric.set(i64::from(reason.is_some()));
        let mut refused = self.lock();
        let news = *refused != reason;
        *refused = reason;
        news
    }
}
