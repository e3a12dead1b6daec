//! The publishing side: numbers snapshots and keeps every receiver at the latest.

mod numbering;
mod session;

use crate::{Delta, Digest, FeedAddress, disk};
use numbering::Numbering;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tidegate_model::{Generation, SNAPSHOT_FORMAT, Snapshot};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Gateways and DNS servers of one hub are few; more connections than this are a mistake.
const SESSIONS_MAX: usize = 256;
/// Names are remembered after their receivers have gone, up to so many.
const NAMES_MAX: usize = 1024;

/// Sends the latest snapshot to all receivers.
///
/// The publisher owns the numbering: a snapshot gets a generation above everything this state folder ever saw
/// and everything a receiver says it has. Numbers are reserved on disk, in blocks, before they are used, so
/// after a restart some are skipped and none is used twice. Dropping it closes all connections.
#[derive(Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
    address: FeedAddress,
    accepting: JoinHandle<()>,
}

/// What a receiver has made of what it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiverStatus {
    /// The name it gave.
    pub name: String,
    /// Whether it is there now.
    pub connected: bool,
    /// The newest generation it serves.
    pub accepted: Option<Generation>,
    /// The newest generation it refused, with its reason; gone when it accepts a later one.
    pub refused: Option<(Generation, String)>,
}

/// Why nothing can be published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Somebody else serves this address.
    #[error("another process serves the feed at {address}; stop it or choose another address")]
    InUse {
        /// The address.
        address: FeedAddress,
    },
    /// The address cannot be had.
    #[error("the feed cannot be served at {address}")]
    Listen {
        /// The address.
        address: FeedAddress,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The numbers cannot be kept on disk.
    #[error("the generation cannot be kept in {path}", path = path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// What is sent, with its digest.
#[derive(Clone, Debug)]
struct Published {
    snapshot: Arc<Snapshot>,
    digest: Digest,
}

#[derive(Debug)]
struct Shared {
    numbering: Mutex<Numbering>,
    latest: watch::Sender<Option<Published>>,
    receivers: watch::Sender<Vec<ReceiverStatus>>,
    /// The newest session of each name: when a receiver comes back before its old connection is seen to end,
    /// that end does not count.
    sessions: Mutex<HashMap<String, u64>>,
    next_session: AtomicU64,
}

// === impl Publisher ===

impl Publisher {
    /// Serves the feed at `address` (a Unix socket gets mode 0600; one that a dead process left is replaced) and
    /// keeps its numbers in `state_dir`, which is created if need be. There is nothing to send until the first
    /// [`Publisher::publish`].
    ///
    /// # Errors
    /// [`PublishError`], with the address or the file.
    pub async fn bind(address: &FeedAddress, state_dir: &Path) -> Result<Self, PublishError> {
        let numbering = Numbering::open(state_dir)?;
        let shared = Arc::new(Shared {
            numbering: Mutex::new(numbering),
            latest: watch::Sender::new(None),
            receivers: watch::Sender::new(Vec::new()),
            sessions: Mutex::default(),
            next_session: AtomicU64::default(),
        });
        let (listener, address) = listen(address).await?;
        let accepting = tokio::spawn(accept_all(listener, Arc::clone(&shared)));
        Ok(Self {
            shared,
            address,
            accepting,
        })
    }

    /// Where the feed is served, with the port that was taken.
    pub fn address(&self) -> &FeedAddress {
        &self.address
    }

    /// Sends `content` to all receivers; its generation and format are set here. Content equal to the last
    /// is not sent again. Returns the generation it has. Does not wait for receivers; now and then it waits
    /// for the disk.
    ///
    /// # Errors
    /// [`PublishError::State`] when no number could be reserved; then nothing is sent.
    pub fn publish(&self, content: Snapshot) -> Result<Generation, PublishError> {
        self.shared.publish(content)
    }

    /// The generation that was published last; 0 before the first.
    pub fn published(&self) -> Generation {
        self.shared.published()
    }

    /// Ends, and gives the address free before it returns; dropping it does so soon.
    pub async fn close(mut self) {
        self.accepting.abort();
        // What it came to does not matter.
        let _ = (&mut self.accepting).await;
    }

    /// All receivers that have come since the start, by name.
    pub fn receivers(&self) -> watch::Receiver<Vec<ReceiverStatus>> {
        self.shared.receivers.subscribe()
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

// === impl Shared ===

impl Shared {
    fn published(&self) -> Generation {
        let latest = self.latest.borrow();
        latest
            .as_ref()
            .map_or(Generation(0), |p| p.snapshot.generation)
    }

    fn publish(&self, mut content: Snapshot) -> Result<Generation, PublishError> {
        let mut numbering = self
            .numbering
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        content.format = SNAPSHOT_FORMAT;
        let last = self.latest.borrow().clone();
        let digest = match &last {
            None => Digest::of(&content),
            Some(last) => {
                content.generation = last.snapshot.generation;
                let delta = Delta::between(&last.snapshot, last.digest, &content);
                if delta.is_empty() {
                    return Ok(last.snapshot.generation);
                }
                delta.digest
            }
        };
        content.generation = numbering.next()?;
        let generation = content.generation;
        self.latest.send_replace(Some(Published {
            snapshot: Arc::new(content),
            digest,
        }));
        Ok(generation)
    }

    /// A receiver has this generation: ours must come after it, unless it is ours.
    fn outrun(&self, have: Generation, digest: Digest) -> Result<(), PublishError> {
        let mut numbering = self
            .numbering
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        numbering.saw(have);
        let Some(last) = self.latest.borrow().clone() else {
            return Ok(());
        };
        let ours = last.snapshot.generation;
        if have < ours || (have == ours && digest == last.digest) {
            return Ok(());
        }
        let mut snapshot = Snapshot::clone(&last.snapshot);
        snapshot.generation = numbering.next()?;
        tracing::info!(
            have = have.0,
            published = snapshot.generation.0,
            "a receiver is ahead of us, numbering on after it"
        );
        self.latest.send_replace(Some(Published {
            snapshot: Arc::new(snapshot),
            digest: last.digest,
        }));
        Ok(())
    }

    /// The number of a new session of this receiver.
    fn enter(&self, name: &str) -> u64 {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let number = self.next_session.fetch_add(1, Relaxed);
        sessions.insert(name.to_owned(), number);
        number
    }

    /// Ends a session; whether it was the receiver's newest.
    fn leave(&self, name: &str, number: u64) -> bool {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = sessions.get(name) == Some(&number);
        if newest {
            sessions.remove(name);
        }
        newest
    }

    /// Changes the entry of a receiver, making it if need be.
    fn note(&self, name: &str, change: impl FnOnce(&mut ReceiverStatus)) {
        self.receivers.send_modify(|all| {
            if let Some(known) = all.iter_mut().find(|r| r.name == name) {
                return change(known);
            }
            if all.len() >= NAMES_MAX
                && let Some(gone) = all.iter().position(|r| !r.connected)
            {
                all.remove(gone);
            }
            let mut new = ReceiverStatus {
                name: name.to_owned(),
                ..ReceiverStatus::default()
            };
            change(&mut new);
            let place = all.partition_point(|r| *r.name < *name);
            all.insert(place, new);
        });
    }
}

enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

async fn listen(address: &FeedAddress) -> Result<(Listener, FeedAddress), PublishError> {
    let failed = |source| PublishError::Listen {
        address: address.clone(),
        source,
    };
    match address {
        FeedAddress::Unix(path) => {
            if UnixStream::connect(path).await.is_ok() {
                return Err(PublishError::InUse {
                    address: address.clone(),
                });
            }
            let listener = bind_unix(path).map_err(failed)?;
            Ok((Listener::Unix(listener), address.clone()))
        }
        FeedAddress::Tcp(wanted) if !wanted.ip().is_loopback() => Err(failed(io::Error::other(
            "only loopback addresses are allowed",
        ))),
        FeedAddress::Tcp(wanted) => match TcpListener::bind(wanted).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(PublishError::InUse {
                address: address.clone(),
            }),
            Err(error) => Err(failed(error)),
            Ok(listener) => {
                let taken = FeedAddress::Tcp(listener.local_addr().map_err(failed)?);
                Ok((Listener::Tcp(listener), taken))
            }
        },
    }
}

/// Nobody answers there: a socket in the way is a dead process's. Anything else is not ours to remove.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path)?,
        Ok(_) => return Err(io::Error::other("there is a file in its place")),
        Err(_) => {
            if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
                disk::create_dir(dir)?;
            }
        }
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn accept_all(listener: Listener, shared: Arc<Shared>) {
    let mut sessions = JoinSet::new();
    loop {
        while sessions.try_join_next().is_some() {}
        if sessions.len() >= SESSIONS_MAX {
            sessions.join_next().await;
        }
        let shared = Arc::clone(&shared);
        let accepted = match &listener {
            Listener::Unix(listener) => listener.accept().await.map(|(stream, _)| {
                let (from, to) = stream.into_split();
                sessions.spawn(session::run(from, to, shared));
            }),
            Listener::Tcp(listener) => listener.accept().await.and_then(|(stream, _)| {
                stream.set_nodelay(true)?;
                let (from, to) = stream.into_split();
                sessions.spawn(session::run(from, to, shared));
                Ok(())
            }),
        };
        if let Err(error) = accepted {
            tracing::warn!(%error, "the feed cannot accept a receiver");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
