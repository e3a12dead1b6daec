//! The demo's directory: one demo at a time, fresh at each start, and no stranger's files touched.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::Signal;

use crate::process::tree::Process;

/// Its presence says that the directory is a demo's; its lock, that the demo runs.
const LOCK: &str = "demo.lock";

/// What ran, for the next start: whatever outlived its demo is ended then.
const PROCESSES: &str = "processes.json";

/// The directory of a running demo. The lock ends with the process, however it ends.
#[derive(Debug)]
pub(crate) struct DemoDir {
    path: PathBuf,
    _lock: File,
}

impl DemoDir {
    /// Takes `path` for this run: locks it, ends what an earlier run left, removes what it kept.
    ///
    /// # Errors
    /// When another demo runs there, when the directory holds something else, or cannot be written.
    pub(crate) fn take(path: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(path).with_context(|| format!("creating {}", path.display()))?;
        let lock_path = path.join(LOCK);
        if !lock_path.exists() && !is_empty(path)? {
            bail!(
                "{} holds files that are not a demo's; give --data-dir a new or an empty directory",
                path.display()
            );
        }
        let mut lock = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&lock_path)
            .with_context(|| format!("opening {}", lock_path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let owner = fs::read_to_string(&lock_path).unwrap_or_default();
                bail!(
                    "another demo (process {}) runs in {}; end it, or give this one its own --data-dir",
                    owner.trim(),
                    path.display()
                );
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("locking {}", lock_path.display()));
            }
        }
        lock.set_len(0)
            .and_then(|()| write!(lock, "{}", std::process::id()))
            .with_context(|| format!("writing {}", lock_path.display()))?;
        end_leftovers(&path.join(PROCESSES));
        for name in ["server", "az1", "az2", "logs"] {
            remove(&path.join(name))?;
        }
        fs::create_dir_all(path.join("logs"))?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Notes what runs now, so that the next start can end it if this one cannot.
    pub(crate) fn record(&self, processes: &[Process]) -> anyhow::Result<()> {
        let path = self.path.join(PROCESSES);
        let json = serde_json::to_vec(processes)?;
        fs::write(&path, json).with_context(|| format!("writing {}", path.display()))
    }
}

/// Ends the recorded processes that still are the same ones.
fn end_leftovers(record: &Path) {
    let left: Vec<Process> = fs::read(record)
        .ok()
        .and_then(|json| serde_json::from_slice(&json).ok())
        .unwrap_or_default();
    end(&left);
    // Without it nothing is known to be left; an old one would only be read again.
    let _ = fs::remove_file(record);
}

/// SIGKILL for all of `processes` and their descendants; waits until they are gone, two seconds at most.
pub(crate) fn end(processes: &[Process]) {
    let tree: Vec<Process> = processes
        .iter()
        .filter(|process| process.is_alive())
        .flat_map(|process| process.with_descendants())
        .collect();
    for process in &tree {
        process.signal(Signal::KILL);
    }
    let deadline = Instant::now() + Duration::from_secs(2);
    while tree.iter().any(|process| process.is_alive()) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn is_empty(path: &Path) -> anyhow::Result<bool> {
    let mut entries = fs::read_dir(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(entries.next().is_none())
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {} of an earlier demo", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_demo_at_a_time() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = DemoDir::take(dir.path()).expect("free");
        let error = DemoDir::take(dir.path()).expect_err("taken").to_string();
        assert!(error.contains(&std::process::id().to_string()), "{error}");
        drop(first);
        DemoDir::take(dir.path()).expect("free again");
    }

    #[test]
    fn a_strangers_directory_is_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("server")).expect("writable");
        fs::write(dir.path().join("server/thesis.txt"), "ten years").expect("writable");
        let error = DemoDir::take(dir.path()).expect_err("not ours").to_string();
        assert!(error.contains("--data-dir"), "{error}");
        assert!(dir.path().join("server/thesis.txt").exists());
    }

    #[test]
    fn what_an_earlier_demo_left_is_ended_and_removed() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("sleep runs");
        let process = Process::find(i32::try_from(child.id()).expect("fits")).expect("it runs");
        let first = DemoDir::take(dir.path()).expect("free");
        first.record(&[process]).expect("writable");
        fs::create_dir(dir.path().join("az1")).expect("writable");
        drop(first);
        let _second = DemoDir::take(dir.path()).expect("free");
        assert!(!process.is_alive());
        assert!(!dir.path().join("az1").exists());
        child.wait().expect("it ended");
    }
}
