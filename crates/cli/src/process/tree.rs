//! Processes by id and start time, and what descends from them, as `/proc` shows it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

/// One process, told apart from a later one with the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    /// Its id.
    pub(crate) pid: i32,
    /// When it started, in clock ticks since boot.
    pub(crate) started: u64,
}

/// Memory in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Pages that several processes share count in part in each.
    pub(crate) pss: u64,
    /// They count whole in each.
    pub(crate) rss: u64,
}

/// What `/proc/PID/stat` says, as far as it matters here.
struct Stat {
    parent: i32,
    state: char,
    started: u64,
}

impl Process {
    /// The process that has this id now.
    pub(crate) fn find(pid: i32) -> Option<Self> {
        let stat = stat(pid)?;
        Some(Self {
            pid,
            started: stat.started,
        })
    }

    /// Whether it still runs; one that ended but was not waited for does not.
    pub(crate) fn is_alive(self) -> bool {
        stat(self.pid)
            .is_some_and(|stat| stat.started == self.started && !matches!(stat.state, 'Z' | 'X'))
    }

    /// Sends `signal`, unless the process is gone.
    pub(crate) fn signal(self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid).filter(|_| self.is_alive()) {
            // It may end between the two: that is what the caller wants or will see.
            let _ = kill_process(pid, signal);
        }
    }

    /// It and all that descends from it, parents before children.
    pub(crate) fn with_descendants(self) -> Vec<Self> {
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
        tree
    }

    /// What it holds of the machine's memory.
    pub(crate) fn memory(self) -> Option<Memory> {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid)).ok()?;
        let bytes = |field: &str| -> Option<u64> {
            let line = rollup.lines().find_map(|line| line.strip_prefix(field))?;
            Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
        };
        Some(Memory {
            pss: bytes("Pss:")?,
            rss: bytes("Rss:")?,
        })
    }
}

/// The process that a hub noted in a file, as `pid` of a JSON object, if that number still runs.
pub(crate) fn noted(path: &Path) -> Option<Process> {
    let text = fs::read_to_string(path).ok()?;
    let note: serde_json::Value = serde_json::from_str(&text).ok()?;
    Process::find(i32::try_from(note.get("pid")?.as_i64()?).ok()?)
}

fn all() -> impl Iterator<Item = (i32, Stat)> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat(pid)?)))
}

fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name in parentheses may hold spaces and parentheses itself: fields count from the last one.
fn parse_stat(text: &str) -> Option<Stat> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_parentheses_do_not_shift_fields() {
        let text = "12 (a) b) S 7 12 12 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 1\n";
        let stat = parse_stat(text).expect("well-formed");
        assert_eq!((stat.parent, stat.state, stat.started), (7, 'S', 4711));
    }

    #[test]
    fn a_child_is_found_and_its_end_is_noticed() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("sleep runs");
        let pid = i32::try_from(child.id()).expect("fits");
        let own = Process::find(i32::try_from(std::process::id()).expect("fits")).expect("it runs");
        let process = Process::find(pid).expect("it runs");
        assert!(own.with_descendants().contains(&process));
        assert!(process.is_alive());
        process.signal(Signal::KILL);
        child.wait().expect("it ends");
        assert!(!process.is_alive());
    }
}
