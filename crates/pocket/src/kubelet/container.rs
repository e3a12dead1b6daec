//! One container as a value: what it is doing, and what follows from what happens to it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, ContainerStatus};
use rustix::process::Signal;
use tokio_util::sync::DropGuard;

use super::probe::{ProbeKind, ProbeState, Verdict};
use super::process::Process;
use crate::backoff::Backoff;

/// Delay before the third run in a row that ended; the second starts at once.
const CRASH: Backoff = Backoff {
    base: Duration::from_secs(1),
    cap: Duration::from_secs(60),
};
/// A run this long is not part of a row.
const LONG_RUN: Duration = Duration::from_secs(120);

/// What is done when a container ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RestartPolicy {
    Always,
    OnFailure,
    Never,
}

impl RestartPolicy {
    pub(super) fn of(text: Option<&str>) -> Self {
        match text {
            Some("Never") => Self::Never,
            Some("OnFailure") => Self::OnFailure,
            _ => Self::Always,
        }
    }

    fn restarts(self, exit_code: i32) -> bool {
        match self {
            Self::Always => true,
            Self::OnFailure => exit_code != 0,
            Self::Never => false,
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) exit_code: i32,
    pub(super) signal: Option<i32>,
    pub(super) reason: String,
    pub(super) message: Option<String>,
    pub(super) started: Option<Timestamp>,
    pub(super) finished: Option<Timestamp>,
}

/// A run that goes on.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) process: Process,
    pub(super) since: Timestamp,
    pub(super) began: Instant,
    /// Whether it takes connections, as far as that can be known without a probe.
    pub(super) listening: bool,
    pub(super) probes: BTreeMap<ProbeKind, ProbeState>,
    /// When it is killed, once it has been asked to end.
    pub(super) kill_at: Option<Instant>,
    /// Ends the questions that are being asked.
    pub(super) _asking: DropGuard,
}

impl Running {
    /// Whether the container has started in the sense of its startup probe.
    pub(super) fn started(&self) -> bool {
        self.listening && self.passes(ProbeKind::Startup)
    }

    pub(super) fn ready(&self) -> bool {
        self.started() && self.passes(ProbeKind::Readiness)
    }

    fn passes(&self, kind: ProbeKind) -> bool {
        self.probes
            .get(&kind)
            .is_none_or(|probe| probe.verdict == Verdict::Passing)
    }

    /// The probes that may be asked now: the others wait for the startup probe, which is never asked again.
    fn active(&mut self) -> impl Iterator<Item = (ProbeKind, &mut ProbeState)> {
        let listening = self.listening && self.kill_at.is_none();
        let started = self.started();
        self.probes
            .iter_mut()
            .filter(move |(kind, _)| listening && started != (**kind == ProbeKind::Startup))
            .map(|(kind, probe)| (*kind, probe))
    }
}

/// What a container is doing.
#[derive(Debug)]
pub(super) enum State {
    /// Not running; started at `until`, or never.
    Waiting {
        reason: &'static str,
        message: Option<String>,
        until: Option<Instant>,
    },
    Running(Box<Running>),
    /// Ended for good.
    Ended(Ended),
}

/// A container of a pod.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) spec: Container,
    policy: RestartPolicy,
    /// Runs begun, those before a restart of the pocket cluster included.
    pub(super) runs: u32,
    pub(super) state: State,
    pub(super) last: Option<Ended>,
    /// Runs in a row that ended soon.
    crashes: u32,
}

impl Slot {
    /// The container `spec`, about to start; `before` is what the API server remembers of it.
    pub(super) fn new(
        spec: Container,
        policy: RestartPolicy,
        before: Option<&ContainerStatus>,
        now: Instant,
    ) -> Self {
        let mut slot = Self {
            spec,
            policy,
            runs: 0,
            state: State::Waiting {
                reason: "ContainerCreating",
                message: None,
                until: Some(now),
            },
            last: None,
            crashes: 0,
        };
        let Some(before) = before.filter(|status| status.container_id.is_some()) else {
            return slot;
        };
        slot.runs = u32::try_from(before.restart_count)
            .unwrap_or(0)
            .saturating_add(1);
        let state = before.state.as_ref();
        let terminated = state.and_then(|s| s.terminated.as_ref());
        let ended = |t: &k8s_openapi::api::core::v1::ContainerStateTerminated| Ended {
            exit_code: t.exit_code,
            signal: t.signal,
            reason: t.reason.clone().unwrap_or_default(),
            message: t.message.clone(),
            started: t.started_at.as_ref().map(|time| time.0),
            finished: t.finished_at.as_ref().map(|time| time.0),
        };
        if let Some(t) = terminated.filter(|t| !policy.restarts(t.exit_code)) {
            slot.state = State::Ended(ended(t));
            return slot;
        }
        let running = state.and_then(|s| s.running.as_ref());
        slot.last = match running {
            Some(running) => Some(Ended {
                exit_code: 137,
                signal: None,
                reason: "ContainerStatusUnknown".to_owned(),
                message: Some("The pocket cluster was restarted.".to_owned()),
                started: running.started_at.as_ref().map(|time| time.0),
                finished: None,
            }),
            None => terminated
                .or(before
                    .last_state
                    .as_ref()
                    .and_then(|s| s.terminated.as_ref()))
                .map(ended),
        };
        slot
    }

    /// Whether it is to be started now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        matches!(&self.state, State::Waiting { until: Some(until), .. } if *until <= now)
    }

    /// Notes that it cannot be started, and when to try again.
    pub(super) fn blocked(
        &mut self,
        reason: &'static str,
        message: String,
        until: Option<Instant>,
    ) {
        self.state = State::Waiting {
            reason,
            message: Some(message),
            until,
        };
    }

    /// Notes that starting failed; tries again later each time.
    pub(super) fn start_failed(&mut self, message: String, now: Instant) {
        self.crashes = self.crashes.saturating_add(1);
        self.blocked(
            "CreateContainerError",
            message,
            Some(now + CRASH.delay(self.crashes)),
        );
    }

    /// Takes in that the current run ended. Says how long the next one is put off; `None` when there is none.
    pub(super) fn ended(
        &mut self,
        ended: Ended,
        pod: &str,
        stopping: bool,
        now: Instant,
    ) -> Option<Duration> {
        if let State::Running(running) = &self.state
            && now.duration_since(running.began) >= LONG_RUN
        {
            self.crashes = 0;
        }
        if stopping || !self.policy.restarts(ended.exit_code) {
            self.state = State::Ended(ended);
            return None;
        }
        self.last = Some(ended);
        let delay = if self.crashes == 0 {
            Duration::ZERO
        } else {
            CRASH.delay(self.crashes)
        };
        self.crashes = self.crashes.saturating_add(1);
        let message = format!(
            "back-off {}s restarting failed container={} pod={pod}",
            delay.as_secs(),
            self.spec.name
        );
        self.blocked("CrashLoopBackOff", message, Some(now + delay));
        Some(delay)
    }

    /// Asks the run, if there is one, to end within `grace`. An earlier deadline stays. Says whether it was asked first.
    pub(super) fn stop(&mut self, grace: Duration, now: Instant) -> bool {
        match &mut self.state {
            State::Running(running) => {
                let first = running.kill_at.is_none();
                let kill_at = now + grace;
                running.kill_at = Some(running.kill_at.map_or(kill_at, |at| at.min(kill_at)));
                if first {
                    running.process.signal(Signal::TERM);
                }
                first
            }
            _ => false,
        }
    }

    /// Never starts again; a run that goes on is not touched.
    pub(super) fn retire(&mut self) {
        if let State::Waiting { until, .. } = &mut self.state {
            *until = None;
        }
    }

    /// Kills a run that did not end in time.
    pub(super) fn enforce(&mut self, now: Instant) {
        if let State::Running(running) = &mut self.state
            && running.kill_at.is_some_and(|at| at <= now)
        {
            running.process.signal(Signal::KILL);
            // The end will be told; there is nothing more to do but to try again should it not come.
            running.kill_at = Some(now + Duration::from_secs(1));
        }
    }

    /// The probes to ask now.
    pub(super) fn ask(&mut self, now: Instant) -> Vec<(ProbeKind, super::probe::ProbeSpec)> {
        match &mut self.state {
            State::Running(running) => running
                .active()
                .filter_map(|(kind, probe)| probe.ask(now).then(|| (kind, probe.spec.clone())))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// When this needs to be looked at again.
    pub(super) fn deadline(&mut self) -> Option<Instant> {
        match &mut self.state {
            State::Waiting { until, .. } => *until,
            State::Running(running) => {
                let kill_at = running.kill_at;
                let due = running.active().filter_map(|(_, probe)| probe.due()).min();
                kill_at.into_iter().chain(due).min()
            }
            State::Ended(_) => None,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, State::Running(_))
    }
}

#[cfg(test)]
mod tests;
