//! The life of the gateway after it was found or started.

use super::backoff::Backoff;
use super::process::Process;
use super::{GATEWAY_PID_FILE, GatewaySpec, GatewayStatus, Origin, start};
use std::io;
use std::time::Duration;
use tokio::sync::oneshot::Receiver;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

pub(super) struct Supervisor {
    pub(super) spec: GatewaySpec,
    pub(super) shutdown: CancellationToken,
    pub(super) publish: watch::Sender<GatewayStatus>,
}

impl Supervisor {
    /// Runs until `stop` brings a grace, and ends the gateway then, or until its sender is dropped.
    pub(super) async fn run(
        self,
        mut process: Process,
        mut stop: Receiver<Duration>,
    ) -> io::Result<()> {
        let mut backoff = Backoff::default();
        let mut since = Instant::now();
        loop {
            let how = tokio::select! {
                grace = &mut stop => return self.stop(grace.ok(), Some(process)).await,
                how = process.ended() => how,
            };
            let mut wait = backoff.after(since.elapsed());
            tracing::warn!(pid = process.pid(), %how, again_in_ms = wait.as_millis(), "the gateway ended");
            self.publish.send_modify(|status| {
                status.pid = None;
                status.last_exit = Some(how);
            });
            process = loop {
                tokio::select! {
                    grace = &mut stop => return self.stop(grace.ok(), None).await,
                    () = self.shutdown.cancelled() => return self.stop(stop.await.ok(), None).await,
                    () = sleep(wait) => {}
                }
                match start::start(&self.spec).await {
                    Ok(process) => break process,
                    Err(error) => {
                        wait = backoff.after(Duration::ZERO);
                        tracing::error!(%error, again_in_ms = wait.as_millis(), "the gateway cannot be started");
                        self.publish
                            .send_modify(|status| status.last_exit = Some(error.to_string()));
                    }
                }
            };
            since = Instant::now();
            self.publish.send_modify(|status| {
                status.pid = Some(process.pid());
                status.origin = Origin::Started;
                status.restarts += 1;
            });
        }
    }

    /// Without a grace the gateway is left as it is, with its note.
    async fn stop(&self, grace: Option<Duration>, process: Option<Process>) -> io::Result<()> {
        let Some(grace) = grace else {
            return Ok(());
        };
        if let Some(process) = process {
            process.end(grace).await?;
        }
        self.publish.send_modify(|status| status.pid = None);
        match std::fs::remove_file(self.spec.dir.join(GATEWAY_PID_FILE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
