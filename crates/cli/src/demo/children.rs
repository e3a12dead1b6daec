//! The demo's processes: started together, told to die with the demo, ready when they say so.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::Signal;
use tokio::process::Command;

use crate::process::PARENT_ENV;
use crate::process::ready::{self, Ready};
use crate::process::tree::Process;

/// A process that has not said it is ready by then never will.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How often its log is looked at while it starts.
const READY_POLL: Duration = Duration::from_millis(5);

/// How a process starts, again and again.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    /// Name of the log file, and in messages.
    pub(crate) name: String,
    /// Arguments to this binary.
    pub(crate) args: Vec<OsString>,
    /// What it gets when the demo dies. A stopped process only hears `KILL`; `TERM` lets it clean up.
    pub(crate) die_by: DieBy,
}

/// The signal that the death of the demo sends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum DieBy {
    /// At once.
    Kill,
    /// With time to end its own children.
    Term,
}

/// A running process of the demo.
#[derive(Debug)]
pub(crate) struct Child {
    name: String,
    child: tokio::process::Child,
    process: Process,
    log: PathBuf,
    log_from: u64,
}

impl Recipe {
    /// Starts it, in a process group of its own, so that Ctrl-C reaches the demo alone.
    ///
    /// The kernel watches the *thread* that starts a child: this must be the demo's main thread.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(&self, logs: &Path) -> anyhow::Result<Child> {
        let path = logs.join(format!("{}.log", self.name));
        let log = File::options().create(true).append(true).open(&path);
        let log = log.with_context(|| format!("opening {}", path.display()))?;
        let log_from = log.metadata()?.len();
        let by = match self.die_by {
            DieBy::Kill => "KILL",
            DieBy::Term => "TERM",
        };
        let child = Command::new(std::env::current_exe()?)
            .args(&self.args)
            .env(PARENT_ENV, format!("{}:{by}", std::process::id()))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {}", self.name))?;
        let process = child
            .id()
            .and_then(|pid| Process::find(i32::try_from(pid).ok()?))
            .with_context(|| format!("{} ended at once; see {}", self.name, path.display()))?;
        Ok(Child {
            name: self.name.clone(),
            child,
            process,
            log: path,
            log_from,
        })
    }
}

impl Child {
    /// Waits for its ready line.
    ///
    /// # Errors
    /// When it ends, or takes longer than 30 seconds.
    pub(crate) async fn ready(&mut self) -> anyhow::Result<Ready> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            // Looked at before the log, so that the last words of a process that ends are read.
            let ended = self.child.try_wait()?;
            let log = self.log_since_start()?;
            if let Some(ready) = ready::find(&log) {
                return Ok(ready);
            }
            let (name, path) = (&self.name, self.log.display());
            let last = log.lines().next_back().unwrap_or("it said nothing");
            if let Some(status) = ended {
                bail!("{name} ended ({status}) before it was ready: {last} (log: {path})");
            }
            if Instant::now() > deadline {
                bail!(
                    "{name} was not ready within {} s: {last} (log: {path})",
                    READY_WITHIN.as_secs()
                );
            }
            tokio::time::sleep(READY_POLL).await;
        }
    }

    /// Which process it is.
    pub(crate) fn process(&self) -> Process {
        self.process
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        self.process.signal(Signal::TERM);
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// When the operating system cannot say.
    pub(crate) async fn ended(&mut self) -> anyhow::Result<std::process::ExitStatus> {
        self.child
            .wait()
            .await
            .with_context(|| format!("waiting for {}", self.name))
    }

    /// `Some` with the last line it logged, if it ended without being asked to.
    pub(crate) fn has_died(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok()??;
        let log = self.log_since_start().unwrap_or_default();
        let last = log.lines().next_back().unwrap_or("it said nothing");
        Some(format!(
            "{} ended ({status}): {last} (log: {})",
            self.name,
            self.log.display()
        ))
    }

    fn log_since_start(&self) -> anyhow::Result<String> {
        let mut file =
            File::open(&self.log).with_context(|| format!("opening {}", self.log.display()))?;
        file.seek(SeekFrom::Start(self.log_from))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}
