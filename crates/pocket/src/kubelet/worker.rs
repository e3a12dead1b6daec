//! One pod from its arrival on the node until its processes are gone.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, ResourceExt};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tracing::{debug, warn};

use super::Kubelet;
use super::addresses::Held;
use super::ask::ask;
use super::container::{Ended, RestartPolicy, Slot, State};
use super::launch::{self, Failure, Start};
use super::logs::RunId;
use super::probe::{ProbeKind, Verdict};
use super::status::{Place, pod_status};
use crate::backoff::{Backoff, jitter};
use crate::control::queue::sleep_until;
use crate::events::{Note, Severity, reference};

/// What happened to containers and is not yet taken in.
const EVENTS_MAX: usize = 256;
/// How long processes get when the pocket cluster itself ends.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(3);
/// A container whose ConfigMap or Secret is missing is tried again after this time.
const CONFIG_RETRY: Duration = Duration::from_secs(2);
const WRITE_RETRY: Backoff = Backoff {
    base: Duration::from_millis(50),
    cap: Duration::from_secs(5),
};

/// Something that happened to a container. `run` tells an old run's news from the current one's.
#[derive(Debug)]
pub(super) enum Event {
    Exited {
        slot: usize,
        run: u32,
        status: io::Result<ExitStatus>,
    },
    Listening {
        slot: usize,
        run: u32,
    },
    Answered {
        slot: usize,
        run: u32,
        kind: ProbeKind,
        answer: Result<(), String>,
    },
}

/// Looks after one pod.
pub(super) struct Worker {
    kubelet: Arc<Kubelet>,
    pod: Arc<Pod>,
    orders: watch::Receiver<Option<Arc<Pod>>>,
    address: Option<Held>,
    slots: Vec<Slot>,
    events: mpsc::Receiver<Event>,
    tell: mpsc::Sender<Event>,
    /// The status that the API server has.
    written: PodStatus,
    write_failures: u32,
    write_at: Option<Instant>,
}

/// Why a worker stops looking.
enum Ending {
    /// The object is gone; the processes must go at once.
    Gone,
    /// The pocket cluster ends; the pod goes on when it is started again.
    Shutdown,
    /// The processes have ended and the object was deleted.
    Deleted,
}

impl Worker {
    pub(super) fn new(
        kubelet: Arc<Kubelet>,
        pod: Arc<Pod>,
        orders: watch::Receiver<Option<Arc<Pod>>>,
        address: Option<Held>,
    ) -> Self {
        let (tell, events) = mpsc::channel(EVENTS_MAX);
        let written = pod.status.clone().unwrap_or_default();
        let now = Instant::now();
        let spec = pod.spec.as_ref();
        let policy = RestartPolicy::of(spec.and_then(|spec| spec.restart_policy.as_deref()));
        let slots = spec
            .into_iter()
            .flat_map(|spec| &spec.containers)
            .map(|container| {
                let before = written
                    .container_statuses
                    .iter()
                    .flatten()
                    .find(|status| status.name == container.name);
                Slot::new(container.clone(), policy, before, now)
            })
            .collect();
        Self {
            kubelet,
            pod,
            orders,
            address,
            slots,
            events,
            tell,
            written,
            write_failures: 0,
            write_at: None,
        }
    }

    /// Runs the pod until it is gone or the kubelet ends; no process is left then.
    pub(super) async fn run(mut self) {
        let ending = self.look_after().await;
        let grace = match ending {
            Ending::Shutdown => SHUTDOWN_GRACE,
            Ending::Gone | Ending::Deleted => Duration::ZERO,
        };
        self.end_all(grace).await;
        if !matches!(ending, Ending::Shutdown) {
            self.kubelet
                .logs
                .forget(&self.pod.uid().unwrap_or_default());
        }
    }

    async fn look_after(&mut self) -> Ending {
        self.reject_unsupported();
        loop {
            if self.kubelet.cancel.is_cancelled() {
                return Ending::Shutdown;
            }
            let now = Instant::now();
            self.obey_deletion(now);
            self.start_due(now).await;
            for slot in &mut self.slots {
                slot.enforce(now);
            }
            self.ask_due(now);
            if self.write_at.is_none_or(|at| at <= Instant::now()) {
                let gone = self.is_leaving() && !self.slots.iter().any(Slot::is_running);
                let written = if gone {
                    self.delete().await
                } else {
                    self.write_status().await
                };
                self.wrote(written);
                if gone && self.write_at.is_none() {
                    return Ending::Deleted;
                }
            }
            let deadline = self
                .slots
                .iter_mut()
                .filter_map(Slot::deadline)
                .chain(self.write_at)
                .min();
            let cancel = self.kubelet.cancel.clone();
            tokio::select! {
                () = cancel.cancelled() => return Ending::Shutdown,
                changed = self.orders.changed() => {
                    let pod = self.orders.borrow_and_update().clone();
                    match pod {
                        Some(pod) if changed.is_ok() => self.pod = pod,
                        _ => return Ending::Gone,
                    }
                }
                Some(event) = self.events.recv() => self.take(event),
                () = sleep_until(deadline) => {}
            }
            // What has piled up becomes one status.
            while let Ok(event) = self.events.try_recv() {
                self.take(event);
            }
        }
    }

    fn is_leaving(&self) -> bool {
        self.pod.metadata.deletion_timestamp.is_some()
    }

    fn reject_unsupported(&mut self) {
        let has_init = self
            .pod
            .spec
            .as_ref()
            .and_then(|spec| spec.init_containers.as_ref())
            .is_some_and(|init| !init.is_empty());
        let problem = if has_init {
            Some("initContainers are not supported by a pocket cluster")
        } else if self.address.is_none() {
            Some(
                "no free address is left in the pod network; delete pods or start the pocket cluster with a larger --pod-cidr",
            )
        } else {
            None
        };
        if let Some(problem) = problem {
            for slot in &mut self.slots {
                slot.blocked("CreateContainerConfigError", problem.to_owned(), None);
            }
            self.note(Severity::Warning, "Failed", problem.to_owned());
        }
    }

    fn obey_deletion(&mut self, now: Instant) {
        if !self.is_leaving() {
            return;
        }
        let grace = self
            .pod
            .metadata
            .deletion_grace_period_seconds
            .unwrap_or(30);
        let grace = Duration::from_secs(u64::try_from(grace).unwrap_or(0));
        let mut asked = Vec::new();
        for slot in &mut self.slots {
            slot.retire();
            if slot.stop(grace, now) {
                asked.push(slot.spec.name.clone());
            }
        }
        for name in asked {
            self.note(
                Severity::Normal,
                "Killing",
                format!("Stopping container {name}"),
            );
        }
    }

    async fn start_due(&mut self, now: Instant) {
        let Some(ip) = self.address.as_ref().map(|held| held.ip) else {
            return;
        };
        for index in 0..self.slots.len() {
            let slot = &self.slots[index];
            if !slot.is_due(now) {
                continue;
            }
            let name = slot.spec.name.clone();
            let run = RunId {
                uid: self.pod.uid().unwrap_or_default(),
                container: name.clone(),
                run: slot.runs,
            };
            let start = Start {
                pod: &self.pod,
                container: &slot.spec,
                slot: index,
                run,
                ip,
            };
            let started = launch::start(&self.kubelet, start, &self.tell).await;
            let slot = &mut self.slots[index];
            match started {
                Ok(running) => {
                    slot.runs += 1;
                    slot.state = State::Running(Box::new(running));
                    self.note(
                        Severity::Normal,
                        "Started",
                        format!("Started container {name}"),
                    );
                }
                Err(Failure::Image(problem)) => {
                    slot.blocked("ErrImagePull", problem.clone(), None);
                    self.note(
                        Severity::Warning,
                        "Failed",
                        format!("Error: ErrImagePull: {problem}"),
                    );
                }
                Err(Failure::Config(problem)) => {
                    slot.blocked(
                        "CreateContainerConfigError",
                        problem.clone(),
                        Some(now + CONFIG_RETRY),
                    );
                    self.note(Severity::Warning, "Failed", format!("Error: {problem}"));
                }
                Err(Failure::System(problem)) => {
                    slot.start_failed(problem.clone(), now);
                    self.note(
                        Severity::Warning,
                        "Failed",
                        format!("Error: container {name} was not started: {problem}"),
                    );
                }
            }
        }
    }

    fn ask_due(&mut self, now: Instant) {
        for (index, slot) in self.slots.iter_mut().enumerate() {
            let run = slot.runs - u32::from(slot.runs > 0);
            for (kind, spec) in slot.ask(now) {
                let tell = self.tell.clone();
                tokio::spawn(async move {
                    let answer = ask(&spec).await;
                    // Without a worker nobody wants to know.
                    let _ = tell
                        .send(Event::Answered {
                            slot: index,
                            run,
                            kind,
                            answer,
                        })
                        .await;
                });
            }
        }
    }

    fn take(&mut self, event: Event) {
        let (Event::Exited { slot, run, .. }
        | Event::Listening { slot, run }
        | Event::Answered { slot, run, .. }) = &event;
        let (index, run) = (*slot, *run);
        let slot = &mut self.slots[index];
        if slot.runs != run + 1 {
            return;
        }
        let State::Running(running) = &mut slot.state else {
            return;
        };
        match event {
            Event::Listening { .. } => running.listening = true,
            Event::Answered { kind, answer, .. } => {
                let Some(probe) = running.probes.get_mut(&kind) else {
                    return;
                };
                let changed = probe.answered(answer.is_ok());
                let failing = changed && probe.verdict == Verdict::Failing;
                if let Err(problem) = answer {
                    self.note(
                        Severity::Warning,
                        "Unhealthy",
                        format!("{} probe failed: {problem}", kind.as_str()),
                    );
                }
                if failing && kind != ProbeKind::Readiness {
                    self.restart_unhealthy(index, kind);
                }
            }
            Event::Exited { status, .. } => {
                let ended = ended(status, running.since);
                let pod = format!(
                    "{}_{}({})",
                    self.pod.name_any(),
                    self.pod.namespace().unwrap_or_default(),
                    self.pod.uid().unwrap_or_default()
                );
                let stopping = self.pod.metadata.deletion_timestamp.is_some();
                let name = slot.spec.name.clone();
                let delay = slot.ended(ended, &pod, stopping, Instant::now());
                if delay.is_some_and(|delay| !delay.is_zero()) {
                    self.note(
                        Severity::Warning,
                        "BackOff",
                        format!("Back-off restarting failed container {name} in pod {pod}"),
                    );
                }
            }
        }
    }

    fn restart_unhealthy(&mut self, index: usize, kind: ProbeKind) {
        let grace = self
            .pod
            .spec
            .as_ref()
            .and_then(|spec| spec.termination_grace_period_seconds)
            .unwrap_or(30);
        let grace = Duration::from_secs(u64::try_from(grace).unwrap_or(0));
        let slot = &mut self.slots[index];
        let name = slot.spec.name.clone();
        slot.stop(grace, Instant::now());
        let probe = kind.as_str().to_lowercase();
        self.note(
            Severity::Normal,
            "Killing",
            format!("Container {name} failed {probe} probe, will be restarted"),
        );
    }

    async fn write_status(&mut self) -> Result<(), kube::Error> {
        let Some(ip) = self.address.as_ref().map(|held| held.ip) else {
            return Ok(());
        };
        let place = Place {
            ip: ip.to_string(),
            host_ip: self.kubelet.cidr.node_ip().to_string(),
        };
        let status = pod_status(
            &self.pod,
            &self.written,
            &self.slots,
            &place,
            Timestamp::now(),
        );
        if status == self.written {
            return Ok(());
        }
        // The uid keeps a successor of the same name from getting this pod's status.
        let patch = json!({"metadata": {"uid": self.pod.uid()}, "status": status});
        self.api()
            .patch_status(
                &self.pod.name_any(),
                &PatchParams::default(),
                &Patch::Merge(patch),
            )
            .await?;
        self.written = status;
        Ok(())
    }

    /// Says that nothing of the pod is left; that ends the object.
    async fn delete(&self) -> Result<(), kube::Error> {
        let params = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions {
                uid: self.pod.uid(),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        self.api()
            .delete(&self.pod.name_any(), &params)
            .await
            .map(drop)
    }

    fn wrote(&mut self, outcome: Result<(), kube::Error>) {
        match outcome {
            Ok(()) => {}
            // Gone, or another one of the same name: the watch will say so.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
                debug!(pod = self.pod.name_any(), %status, "pod is not there any more");
            }
            Err(error) => {
                self.write_failures = self.write_failures.saturating_add(1);
                let delay = WRITE_RETRY.jittered(self.write_failures, jitter());
                warn!(pod = self.pod.name_any(), %error, ?delay, "pod not written; trying again");
                self.write_at = Some(Instant::now() + delay);
                return;
            }
        }
        self.write_failures = 0;
        self.write_at = None;
    }

    fn api(&self) -> Api<Pod> {
        Api::namespaced(
            self.kubelet.client.clone(),
            &self.pod.namespace().unwrap_or_default(),
        )
    }

    /// Ends what still runs, politely if there is time, and waits for it.
    async fn end_all(&mut self, grace: Duration) {
        let now = Instant::now();
        for slot in &mut self.slots {
            slot.retire();
            slot.stop(grace, now);
        }
        while self.slots.iter().any(Slot::is_running) {
            let now = Instant::now();
            for slot in &mut self.slots {
                slot.enforce(now);
            }
            let deadline = self.slots.iter_mut().filter_map(Slot::deadline).min();
            tokio::select! {
                Some(event) = self.events.recv() => {
                    self.take(event);
                    self.slots.iter_mut().for_each(Slot::retire);
                }
                () = sleep_until(deadline) => {}
            }
        }
    }

    fn note(&self, severity: Severity, reason: &'static str, message: String) {
        self.kubelet.recorder.note(Note {
            about: reference(&*self.pod),
            severity,
            reason,
            message,
        });
    }
}

fn ended(status: io::Result<ExitStatus>, since: Timestamp) -> Ended {
    let (exit_code, signal, message) = match status {
        Ok(status) => {
            let signal = status.signal();
            (
                status
                    .code()
                    .or(signal.map(|signal| 128 + signal))
                    .unwrap_or(255),
                signal,
                None,
            )
        }
        Err(error) => (
            255,
            None,
            Some(format!("its end could not be observed: {error}")),
        ),
    };
    Ended {
        exit_code,
        signal,
        reason: if exit_code == 0 { "Completed" } else { "Error" }.to_owned(),
        message,
        started: Some(since),
        finished: Some(Timestamp::now()),
    }
}
