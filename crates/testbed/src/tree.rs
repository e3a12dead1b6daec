//! Processes as `/proc` shows them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

/// One process, told apart from a later one with the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProcessId {
    pid: i32,
    /// In clock ticks since boot.
    started: u64,
}

struct Stat {
    parent: i32,
    state: char,
    started: u64,
}

impl ProcessId {
    /// The process that has this id now.
    #[must_use]
    pub fn find(pid: i32) -> Option<Self> {
        stat(pid).map(|stat| Self {
            pid,
            started: stat.started,
        })
    }

    /// The number.
    #[must_use]
    pub fn pid(self) -> i32 {
        self.pid
    }

    /// Whether it still runs; one that ended but was not waited for does not.
    #[must_use]
    pub fn is_alive(self) -> bool {
        stat(self.pid)
            .is_some_and(|stat| stat.started == self.started && !matches!(stat.state, 'Z' | 'X'))
    }

    /// Sends `signal`, unless the process is gone.
    pub fn signal(self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid).filter(|_| self.is_alive()) {
            // It may end between the two, which callers see by themselves.
            let _ = kill_process(pid, signal);
        }
    }

    /// It and all that descends from it.
    #[must_use]
    pub fn with_descendants(self) -> BTreeSet<Self> {
        let mut children: BTreeMap<i32, Vec<Self>> = BTreeMap::new();
        for (pid, stat) in all() {
            let child = Self {
                pid,
                started: stat.started,
            };
            children.entry(stat.parent).or_default().push(child);
        }
        let mut tree = vec![self];
        let mut next = 0;
        while let Some(process) = tree.get(next) {
            tree.extend(children.remove(&process.pid).unwrap_or_default());
            next += 1;
        }
        tree.into_iter().collect()
    }

    /// All whose command line names `dir` or something in it.
    #[must_use]
    pub fn mentioning(dir: &Path) -> BTreeSet<Self> {
        let dir = dir.to_string_lossy().into_owned();
        let own = std::process::id().to_string();
        all()
            .filter(|(pid, stat)| pid.to_string() != own && !matches!(stat.state, 'Z' | 'X'))
            .filter(|(pid, _)| command_line(*pid).contains(&dir))
            .map(|(pid, stat)| Self {
                pid,
                started: stat.started,
            })
            .collect()
    }

    /// Its command line, for messages; empty when it is gone.
    #[must_use]
    pub fn command_line(self) -> String {
        command_line(self.pid)
    }
}

fn command_line(pid: i32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes)
        .replace('\0', " ")
        .trim_end()
        .to_owned()
}

fn all() -> impl Iterator<Item = (i32, Stat)> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat(pid)?)))
}

/// The name in parentheses may hold spaces and parentheses itself: fields count from the last one.
fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    // proc(5): state is field 3, ppid 4, starttime 22.
    let started = fields.nth(17)?.parse().ok()?;
    Some(Stat {
        parent,
        state,
        started,
    })
}
