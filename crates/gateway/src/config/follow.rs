//! Taking a changed file while running.

use super::read;
use crate::state::Shared;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tidegate_runtime::prometheus_client::metrics::gauge::Gauge;
use tokio_util::sync::CancellationToken;

/// How often the file is looked at. Its content counts, not its times: editors and mounted ConfigMaps replace
/// files in ways that watches and time stamps miss.
const LOOK: Duration = Duration::from_secs(1);

/// What became of the file as it is now.
#[derive(Debug, Default)]
pub(crate) struct ConfigState {
    file: Option<PathBuf>,
    refused: Mutex<Option<String>>,
    /// 1 while the file is refused.
    pub(crate) metric: Gauge,
}

impl ConfigState {
    pub(crate) fn new(file: Option<PathBuf>) -> Self {
        Self {
            file,
            ..Self::default()
        }
    }

    /// For the status page: which file, and why it is not served as it is now; then the one before is.
    pub(crate) fn to_json(&self) -> Value {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        json!({ "file": self.file, "refused": *refused })
    }

    /// True when that is news.
    fn set(&self, reason: Option<String>) -> bool {
        self.metric.set(i64::from(reason.is_some()));
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let news = *refused != reason;
        *refused = reason;
        news
    }
}

/// Applies the file at `path` whenever it changes, until `end`.
pub(crate) async fn follow(
    path: PathBuf,
    shared: Arc<Shared>,
    state: Arc<ConfigState>,
    end: CancellationToken,
) {
    loop {
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let (path, shared, state) = (path.clone(), Arc::clone(&shared), Arc::clone(&state));
        let looked = tokio::task::spawn_blocking(move || look(&path, &shared, &state)).await;
        if let Err(error) = looked {
            tracing::error!(%error, "reading the configuration panicked");
        }
    }
}

fn look(path: &Path, shared: &Shared, state: &ConfigState) {
    let served = Arc::clone(shared.table.load().snapshot());
    let applied = read(path, served.generation).map_err(|error| error.to_string());
    let applied = applied.and_then(|mut snapshot| {
        if snapshot == *served {
            return Ok(None);
        }
        snapshot.generation = served.generation.next();
        shared.apply(&Arc::new(snapshot)).map(Some)
    });
    match applied {
        Ok(report) => {
            let mended = state.set(None);
            if let Some(report) = report {
                tracing::info!(?report, file = %path.display(), "configuration applied");
            } else if mended {
                tracing::info!(file = %path.display(), "configuration is again what is served");
            }
        }
        Err(reason) => {
            if state.set(Some(reason.clone())) {
                tracing::error!("configuration refused, serving the one before:\n{reason}");
            }
        }
    }
}
