//! One run of the binary.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::Signal;

use crate::{ProcessId, Ready, Result};

/// Tells a child to die with the process that started it (`tidegate demo` uses the same for its own).
const PARENT_ENV: &str = "TIDEGATE_DIE_WITH";

const POLL: Duration = Duration::from_millis(10);

/// A process that runs or ran. Dropping it kills it, but not what it started: the rig sees to that.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    id: ProcessId,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// What a process that has ended left behind.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

impl Process {
    /// Starts `binary` with `args`, in a process group of its own. Output goes to new files in `logs`.
    pub(crate) fn start(binary: &Path, name: &str, args: &[&str], logs: &Path) -> Result<Self> {
        let (stdout, stderr) = free_names(logs, name);
        let child = Command::new(binary)
            .args(args)
            .env(PARENT_ENV, format!("{}:TERM", std::process::id()))
            .env("NO_COLOR", "1")
            .env_remove("KUBECONFIG")
            .stdin(Stdio::null())
            .stdout(File::create(&stdout)?)
            .stderr(File::create(&stderr)?)
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {} {}", binary.display(), args.join(" ")))?;
        let id = i32::try_from(child.id()).ok().and_then(ProcessId::find);
        let id = id.with_context(|| format!("{name} is not in /proc"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            id,
            stdout,
            stderr,
        })
    }

    /// Which process it is.
    #[must_use]
    pub fn id(&self) -> ProcessId {
        self.id
    }

    /// What it wrote to standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// What it wrote to standard output so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// Waits for its ready line.
    ///
    /// # Errors
    /// When it ends before, or takes longer than `within`.
    pub async fn ready(&mut self, within: Duration) -> Result<Ready> {
        let begun = Instant::now();
        loop {
            // Looked at before the log, so that the last words of a process that ends are read.
            let ended = self.child.try_wait()?;
            if let Some(ready) = Ready::find(&self.stderr()) {
                return Ok(ready);
            }
            if let Some(status) = ended {
                bail!(
                    "{} ended ({status}) before it was ready: {}",
                    self.name,
                    last_line(&self.stderr())
                );
            }
            ensure!(
                begun.elapsed() < within,
                "{} was not ready within {} s",
                self.name,
                within.as_secs()
            );
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// When it still runs after `within`.
    pub async fn finished(&mut self, within: Duration) -> Result<Finished> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Finished {
                    status,
                    stdout: self.stdout(),
                    stderr: self.stderr(),
                });
            }
            ensure!(
                begun.elapsed() < within,
                "{} still runs after {} s; its last words: {}",
                self.name,
                within.as_secs(),
                last_line(&self.stderr())
            );
            tokio::time::sleep(POLL).await;
        }
    }

    /// Sends a signal to it alone.
    pub fn signal(&self, signal: Signal) {
        self.id.signal(signal);
    }

    /// SIGKILL, and waits for its end. What it started goes on, unless tied to its life.
    ///
    /// # Errors
    /// When the operating system cannot say how it ended.
    pub fn kill(&mut self) -> Result {
        self.id.signal(Signal::KILL);
        self.child
            .wait()
            .with_context(|| format!("waiting for the end of {}", self.name))?;
        Ok(())
    }

    /// Whether it runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.id.is_alive()
    }
}

impl Finished {
    /// The output of a process that succeeded.
    ///
    /// # Errors
    /// When its exit code is not 0; with all it wrote to standard error.
    pub fn success(self) -> Result<Self> {
        ensure!(
            self.status.success(),
            "it ended with {}:\n{}",
            self.status,
            self.stderr
        );
        Ok(self)
    }

    /// The last line of standard error of a process that refused what it was asked.
    ///
    /// # Errors
    /// When its exit code is 0, or it was ended by a signal (a crash is no refusal).
    pub fn refusal(&self) -> Result<String> {
        let code = self.status.code();
        let code = code.with_context(|| format!("it was ended by a signal:\n{}", self.stderr))?;
        ensure!(code != 0, "it succeeded:\n{}", self.stderr);
        ensure!(
            !self.stderr.contains("panicked"),
            "it panicked:\n{}",
            self.stderr
        );
        Ok(last_line(&self.stderr).to_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only for a process that was waited for already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_names(logs: &Path, name: &str) -> (PathBuf, PathBuf) {
    let mut run = 1;
    loop {
        let stem = if run == 1 {
            name.to_owned()
        } else {
            format!("{name}.{run}")
        };
        let stderr = logs.join(format!("{stem}.log"));
        if !stderr.exists() {
            return (logs.join(format!("{stem}.out")), stderr);
        }
        run += 1;
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

fn last_line(text: &str) -> &str {
    text.trim_end()
        .lines()
        .next_back()
        .unwrap_or("it said nothing")
}
