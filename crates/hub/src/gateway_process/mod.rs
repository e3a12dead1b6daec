//! The gateway as a process of its own: started, watched and re-attached to.
//!
//! ```text
//! ensure ── gateway.pid.json + /proc ── decide ──> adopt | replace | start
//!                                                          │
//!                        supervise: wait for its end ── back off ── start again
//! ```
//!
//! The gateway must outlive the hub: it gets a process group, a log file and a note of its own, and
//! nothing of this process holds it. The next hub finds the note and adopts the process it names,
//! after making sure that it is that process and not a later one with the same number.

mod backoff;
mod decide;
mod process;
mod record;
mod start;
mod supervise;

use decide::Decision;
use process::Process;
use record::Record;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use supervise::Supervisor;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Name of the note in [`GatewaySpec::dir`]; its JSON has the process id as `pid`.
pub const GATEWAY_PID_FILE: &str = "gateway.pid.json";

/// Name of the log in [`GatewaySpec::dir`].
pub const GATEWAY_LOG_FILE: &str = "gateway.log";

/// How long a gateway with other arguments may take to drain before it is killed.
const REPLACE_GRACE: Duration = Duration::from_secs(60);

/// Which process is wanted.
#[derive(Clone, Debug)]
pub struct GatewaySpec {
    /// The program.
    pub exec: PathBuf,
    /// Its arguments, without the program's name.
    pub args: Vec<OsString>,
    /// Where its note and its log are kept. Created if missing.
    pub dir: PathBuf,
}

/// How the process came to be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It ran already.
    Adopted,
    /// It was started here.
    Started,
}

/// What is known of the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayStatus {
    /// Its process id; `None` while it does not run.
    pub pid: Option<u32>,
    /// How the present (or last) process came to be watched.
    pub origin: Origin,
    /// How often it was started again after it ended by itself.
    pub restarts: u32,
    /// How it last ended, such as `exit status: 1`, or why it could not be started.
    pub last_exit: Option<String>,
}

/// Leaves a note in `dir` that this process is the gateway, unless its hub did: a gateway that an operator started
/// by hand while the hub was dead is then found by the next hub, instead of getting a second one beside it. The note
/// of another gateway that still runs stays: it is that one the hub must find. Blocks for the disk.
///
/// # Errors
/// When /proc cannot be read or the note cannot be written.
pub fn note_this_process(dir: &Path) -> io::Result<()> {
    let note = dir.join(GATEWAY_PID_FILE);
    let unknown = || io::Error::other("this process is not in /proc");
    let this = Process::find(std::process::id())?.ok_or_else(unknown)?;
    if let Some(noted) = Record::read(&note) {
        let running = Process::find(noted.pid)?;
        // This process, or another one.
        if running.is_some_and(|running| running.identity == noted.identity) {
            return Ok(());
        }
    }
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let record = Record {
        pid: this.pid(),
        identity: this.identity.clone(),
        command: record::command_line(&std::env::current_exe()?, &args),
    };
    record.write(&note)
}

/// Namespace of [`GatewayProcess::ensure`].
#[derive(Debug)]
pub struct GatewayProcess;

impl GatewayProcess {
    /// Makes sure that the gateway runs, and starts it again whenever it ends.
    ///
    /// One that runs with the same program and arguments is adopted. One with others is told to drain
    /// (SIGTERM) as soon as its successor is started; both may listen, with SO_REUSEPORT. Must be called
    /// inside a tokio runtime, and by one process for a directory at a time.
    ///
    /// Once `shutdown` is cancelled a gateway that ends is not started again; it is ended only by
    /// [`GatewayHandle::stop`].
    ///
    /// # Errors
    /// When the directory cannot be used or the program cannot be started. A note that cannot be
    /// written is only logged: serving comes first.
    pub async fn ensure(
        spec: GatewaySpec,
        shutdown: CancellationToken,
    ) -> io::Result<GatewayHandle> {
        start::create_dir(&spec.dir)?;
        let wanted = record::command_line(&spec.exec, &spec.args);
        let note = spec.dir.join(GATEWAY_PID_FILE);
        let recorded = Record::read(&note);
        let found = match &recorded {
            Some(record) => Process::find(record.pid)?,
            None => None,
        };
        let observed = found.as_ref().map(|process| process.identity.clone());
        let decision = decide::decide(recorded.as_ref(), observed.as_ref(), &wanted);
        let (process, origin) = match (decision, found) {
            (Decision::Adopt, Some(process)) => {
                tracing::info!(pid = process.pid(), "adopted the running gateway");
                (process, Origin::Adopted)
            }
            (Decision::Replace, Some(old)) => {
                let new = start::start(&spec).await?;
                tracing::info!(
                    old = old.pid(),
                    new = new.pid(),
                    "replacing a gateway that has other arguments"
                );
                tokio::spawn(async move { old.end(REPLACE_GRACE).await });
                (new, Origin::Started)
            }
            _ => (start::start(&spec).await?, Origin::Started),
        };
        let (publish, status) = watch::channel(GatewayStatus {
            pid: Some(process.pid()),
            origin,
            restarts: 0,
            last_exit: None,
        });
        let (stop, stopped) = oneshot::channel();
        let supervisor = Supervisor {
            spec,
            shutdown,
            publish,
        };
        let task = tokio::spawn(supervisor.run(process, stopped));
        Ok(GatewayHandle { status, stop, task })
    }
}

/// Watches over the gateway. Dropping it ends that and leaves the gateway serving.
#[derive(Debug)]
#[must_use = "dropping the handle ends the supervision"]
pub struct GatewayHandle {
    status: watch::Receiver<GatewayStatus>,
    stop: oneshot::Sender<Duration>,
    task: JoinHandle<io::Result<()>>,
}

impl GatewayHandle {
    /// What is known of the gateway, now and on every change.
    pub fn status(&self) -> watch::Receiver<GatewayStatus> {
        self.status.clone()
    }

    /// Ends the gateway: SIGTERM, then SIGKILL if it has not ended within `grace`; then its note is removed.
    ///
    /// # Errors
    /// When the process cannot be signalled or its note cannot be removed.
    pub async fn stop(self, grace: Duration) -> io::Result<()> {
        // The task ends only by this message or by the drop of this handle.
        let _ = self.stop.send(grace);
        self.task.await.map_err(io::Error::other)?
    }
}
