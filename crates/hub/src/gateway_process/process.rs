//! One process, held by a pidfd: what is signalled and waited for is always the same process.

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::process::Child;
use tokio::time::timeout;

/// What tells a process from all others, before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Identity {
    /// When it started, in clock ticks since the boot.
    pub(super) start_ticks: u64,
    /// Which boot that was.
    pub(super) boot_id: String,
}

/// A process that ran when it was looked at.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) identity: Identity,
    pid: u32,
    pidfd: AsyncFd<OwnedFd>,
    /// Present when it was started by this process, which then learns how it ended.
    child: Option<Child>,
}

impl Process {
    /// The process with a number, if one runs; one that ended and was not yet waited for does not.
    ///
    /// # Errors
    /// When /proc cannot be read, or the kernel has no pidfds (Linux before 5.3).
    pub(super) fn find(pid: u32) -> io::Result<Option<Self>> {
        Ok(look_up(pid)?.and_then(|(process, running)| running.then_some(process)))
    }

    /// The process that was just started. It may have ended already: [`Process::ended`] will tell.
    pub(super) fn from_child(child: Child) -> io::Result<Self> {
        let unknown = || io::Error::other("its process is not in /proc");
        let pid = child.id().ok_or_else(unknown)?;
        let (process, _) = look_up(pid)?.ok_or_else(unknown)?;
        Ok(Self {
            child: Some(child),
            ..process
        })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits for its end and says how it ended. Can be called again when it was given up.
    pub(super) async fn ended(&mut self) -> String {
        match &mut self.child {
            Some(child) => match child.wait().await {
                Ok(status) => status.to_string(),
                Err(error) => format!("ended in an unknown way: {error}"),
            },
            None => match self.pidfd.readable().await {
                Ok(_) => "ended; how, only its parent knows".to_owned(),
                Err(error) => format!("cannot be watched: {error}"),
            },
        }
    }

    /// Asks it to end, waits, then kills it.
    pub(super) async fn end(mut self, grace: Duration) -> io::Result<()> {
        self.signal(Signal::TERM)?;
        if timeout(grace, self.ended()).await.is_err() {
            tracing::warn!(
                pid = self.pid,
                grace_s = grace.as_secs_f64(),
                "the gateway did not end in time; killing it"
            );
            self.signal(Signal::KILL)?;
            self.ended().await;
        }
        Ok(())
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.pidfd, signal) {
            // It has ended, which is what every signal here asks for.
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The process with a number, and whether it still runs.
fn look_up(pid: u32) -> io::Result<Option<(Process, bool)>> {
    let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return Ok(None);
    };
    // First the pidfd, then the look: what is seen then is the process that is held.
    let pidfd = match pidfd_open(number, PidfdFlags::NONBLOCK) {
        Ok(pidfd) => pidfd,
        Err(rustix::io::Errno::SRCH | rustix::io::Errno::INVAL) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let stat = match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat,
        Err(error)
            if error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let (running, start_ticks) = parse_stat(&stat)
        .ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat has an unknown form")))?;
    let identity = Identity {
        start_ticks,
        boot_id: boot_id()?,
    };
    #[expect(
        deprecated,
        reason = "its successor is unsafe; what it guards against, a type whose descriptor changes, OwnedFd is not"
    )]
    let pidfd = AsyncFd::new(pidfd)?;
    Ok(Some((
        Process {
            identity,
            pid,
            pidfd,
            child: None,
        },
        running,
    )))
}

/// What reading from /proc says of a process that ended after the opening.
const ESRCH: i32 = rustix::io::Errno::SRCH.raw_os_error();

/// Whether the process of a stat line still runs, and when it started (field 22).
fn parse_stat(stat: &str) -> Option<(bool, u64)> {
    // Field 2 is the program's name in parentheses and may hold any bytes, parentheses too.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let start = fields.nth(18)?.parse().ok()?;
    Some((!matches!(state, "Z" | "X"), start))
}

fn boot_id() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_found_behind_any_name() {
        let stat = |name: &str, state: char| {
            format!(
                "42 ({name}) {state} 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 2703360 200\n"
            )
        };
        assert_eq!(parse_stat(&stat("gateway", 'S')), Some((true, 98_765)));
        assert_eq!(parse_stat(&stat("a) S 1 (b", 'R')), Some((true, 98_765)));
        assert_eq!(parse_stat(&stat("gateway", 'Z')), Some((false, 98_765)));
        assert_eq!(parse_stat("42 (gateway"), None);
        assert_eq!(parse_stat(""), None);
    }
}
