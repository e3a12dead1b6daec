//! Container logs: one file for each run, `DIR/UID/CONTAINER/RUN.log`.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use tidegate_apiserver::{Follow, LogError, LogRequest, LogSource, LogStream, Run};
use tokio::io::{AsyncReadExt, AsyncSeekExt, SeekFrom};

/// A log larger than this is emptied: a talkative program must not fill the disk.
const SIZE_MAX: u64 = 16 << 20;
/// How often a followed log is looked at for more.
const FOLLOW_EVERY: Duration = Duration::from_millis(100);
/// Bytes read at once.
const PIECE: usize = 16 * 1024;

/// One run of a container.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RunId {
    pub(crate) uid: String,
    pub(crate) container: String,
    /// 0 for the first.
    pub(crate) run: u32,
}

/// The log files of a node. Clones share.
#[derive(Debug, Clone)]
pub(crate) struct Logs {
    dir: PathBuf,
    writing: Arc<Mutex<HashSet<RunId>>>,
}

impl Logs {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            writing: Arc::default(),
        }
    }

    fn path(&self, id: &RunId) -> PathBuf {
        self.dir
            .join(&id.uid)
            .join(&id.container)
            .join(format!("{}.log", id.run))
    }

    /// Opens the log of a run that begins; the runs before the previous one are removed.
    pub(crate) fn begin(&self, id: &RunId) -> io::Result<File> {
        let path = self.path(id);
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        if let Some(old) = id.run.checked_sub(2) {
            // Usually there; at the first runs after a change of the directory it is not.
            let _ = fs::remove_file(self.path(&RunId {
                run: old,
                ..id.clone()
            }));
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        self.lock().insert(id.clone());
        Ok(file)
    }

    /// Notes that nothing more will be written.
    pub(crate) fn end(&self, id: &RunId) {
        self.lock().remove(id);
    }

    /// Removes the logs of a pod that is gone.
    pub(crate) fn forget(&self, uid: &str) {
        self.lock().retain(|id| id.uid != uid);
        // A pod that never ran has none.
        let _ = fs::remove_dir_all(self.dir.join(uid));
    }

    /// Empties logs that have grown too large.
    pub(crate) fn trim(&self) {
        let writing: Vec<RunId> = self.lock().iter().cloned().collect();
        for id in writing {
            let path = self.path(&id);
            if fs::metadata(&path).is_ok_and(|meta| meta.len() > SIZE_MAX) {
                // The process appends, so it goes on at the new end.
                let _ = OpenOptions::new()
                    .write(true)
                    .open(&path)
                    .and_then(|file| file.set_len(0));
            }
        }
    }

    fn is_written(&self, id: &RunId) -> bool {
        self.lock().contains(id)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<RunId>> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The run that `request` means.
    fn find(&self, request: &LogRequest) -> Result<RunId, LogError> {
        let dir = self.dir.join(&request.uid).join(&request.container);
        let mut runs: Vec<u32> = fs::read_dir(&dir)
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                entry
                    .ok()?
                    .file_name()
                    .to_str()?
                    .strip_suffix(".log")?
                    .parse()
                    .ok()
            })
            .collect();
        runs.sort_unstable();
        let LogRequest { container, pod, .. } = request;
        let newest = runs.pop();
        let (run, none) = match request.run {
            Run::Current => (
                newest,
                format!("container {container:?} in pod {pod:?} is waiting to start"),
            ),
            Run::Previous => (
                runs.pop(),
                format!("previous terminated container {container:?} in pod {pod:?} not found"),
            ),
        };
        let run = run.ok_or(LogError::NotAvailable(none))?;
        Ok(RunId {
            uid: request.uid.clone(),
            container: container.clone(),
            run,
        })
    }
}

impl LogSource for Logs {
    fn open(&self, request: LogRequest) -> BoxFuture<'static, Result<LogStream, LogError>> {
        let logs = self.clone();
        async move {
            let id = logs.find(&request)?;
            let failed =
                |error: io::Error| LogError::Failed(format!("the log cannot be read: {error}"));
            let mut file = tokio::fs::File::open(logs.path(&id))
                .await
                .map_err(failed)?;
            let start = match request.tail_lines {
                Some(lines) => tail_start(&mut file, lines).await.map_err(failed)?,
                None => 0,
            };
            file.seek(SeekFrom::Start(start)).await.map_err(failed)?;
            let reader = Reader {
                logs,
                id,
                file,
                at: start,
                follow: request.follow,
                left: request.limit_bytes.unwrap_or(u64::MAX),
            };
            Ok(stream::unfold(reader, |mut reader| async {
                reader
                    .piece()
                    .await
                    .transpose()
                    .map(|piece| (piece, reader))
            })
            .boxed())
        }
        .boxed()
    }
}

/// Where the last `lines` lines begin.
async fn tail_start(file: &mut tokio::fs::File, lines: u64) -> io::Result<u64> {
    let len = file.metadata().await?.len();
    let mut end = len;
    let mut seen = 0;
    let mut buffer = vec![0; PIECE];
    if lines == 0 {
        return Ok(len);
    }
    while end > 0 {
        let begin = end.saturating_sub(PIECE as u64);
        let piece = &mut buffer[..usize::try_from(end - begin).unwrap_or(PIECE)];
        file.seek(SeekFrom::Start(begin)).await?;
        file.read_exact(piece).await?;
        for (offset, byte) in piece.iter().enumerate().rev() {
            let at = begin + offset as u64;
            // The newline that ends the last line begins nothing.
            if *byte == b'\n' && at + 1 != len {
                seen += 1;
                if seen == lines {
                    return Ok(at + 1);
                }
            }
        }
        end = begin;
    }
    Ok(0)
}

/// A log being read.
struct Reader {
    logs: Logs,
    id: RunId,
    file: tokio::fs::File,
    at: u64,
    follow: Follow,
    left: u64,
}

impl Reader {
    /// The next bytes; `None` at the end.
    async fn piece(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(PIECE);
            if room == 0 {
                return Ok(None);
            }
            // Asked before reading: what was written until then is read below.
            let written = self.logs.is_written(&self.id);
            let mut buffer = vec![0; room];
            let read = self.file.read(&mut buffer).await?;
            if read > 0 {
                buffer.truncate(read);
                self.at += read as u64;
                self.left -= read as u64;
                return Ok(Some(buffer.into()));
            }
            if self.follow == Follow::No || !written {
                return Ok(None);
            }
            if self.file.metadata().await?.len() < self.at {
                // It was emptied.
                self.file.seek(SeekFrom::Start(0)).await?;
                self.at = 0;
            } else {
                tokio::time::sleep(FOLLOW_EVERY).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
