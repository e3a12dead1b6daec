//! One cluster: its servers, and what befalls them.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{bail, ensure};
use rustix::process::Signal;

use super::network::Network;
use crate::{Process, Result, SOON, request, wait_for};

/// What befalls a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL to its servers.
    Kill,
    /// Every packet between it and the rest is dropped, both ways.
    Blackhole,
    /// SIGSTOP to its servers: the kernel takes connections and bytes, nobody answers.
    Hang,
    /// Its servers answer 503 to everything.
    Errors,
}

/// A cluster behind a cable, with echo servers.
#[derive(Debug)]
pub(super) struct Site {
    name: String,
    network: Network,
    servers: Vec<Process>,
}

impl Site {
    /// Lays network `number` and starts `servers` servers there.
    ///
    /// # Errors
    /// When one of them does not serve.
    pub(super) async fn start(
        binary: &Path,
        logs: &Path,
        name: &str,
        number: u8,
        servers: u8,
    ) -> Result<Self> {
        let mut site = Self {
            name: name.to_owned(),
            network: Network::lay(name, number, servers)?,
            servers: Vec::new(),
        };
        site.start_servers(binary, logs).await?;
        Ok(site)
    }

    /// Where its servers listen.
    pub(super) fn addresses(&self) -> &[SocketAddr] {
        self.network.addresses()
    }

    pub(super) async fn strike(&mut self, fault: Fault) -> Result {
        match fault {
            Fault::Kill => self.servers.iter_mut().try_for_each(Process::kill),
            Fault::Blackhole => self.network.cut(),
            Fault::Hang => {
                self.signal(Signal::STOP);
                Ok(())
            }
            Fault::Errors => self.tell("/-/fault?mode=errors").await,
        }
    }

    /// Takes `fault` back.
    pub(super) async fn heal(&mut self, fault: Fault, binary: &Path, logs: &Path) -> Result {
        match fault {
            Fault::Kill => self.start_servers(binary, logs).await,
            Fault::Blackhole => self.network.mend(),
            Fault::Hang => {
                self.signal(Signal::CONT);
                Ok(())
            }
            Fault::Errors => self.tell("/-/fault?mode=none").await,
        }
    }

    fn signal(&self, signal: Signal) {
        self.servers.iter().for_each(|server| server.signal(signal));
    }

    async fn tell(&self, path: &str) -> Result {
        for address in self.addresses() {
            let answer = request(*address, "echo", "GET", path, &[]).await?;
            ensure!(answer.status.is_success(), "{path}: {}", answer.text());
        }
        Ok(())
    }

    async fn start_servers(&mut self, binary: &Path, logs: &Path) -> Result {
        let parent = std::process::id().to_string();
        let (enter, binary) = (self.network.enter(), binary.to_string_lossy());
        self.servers.clear();
        for (at, address) in self.addresses().to_vec().iter().enumerate() {
            let (cluster, pod) = (self.name.as_str(), format!("{}-{at}", self.name));
            let listen = address.to_string();
            let environment = [&*enter, "env", "ECHO_LOG=1", &*binary];
            let role = ["pod-process", "--parent", &*parent, "echo"];
            let identity = ["--cluster", cluster, "--namespace", "shop", "--pod", &*pod];
            let args = [&environment[..], &role, &identity, &["--listen", &listen]].concat();
            let server = Process::start(Path::new("nsenter"), &pod, &args, logs)?;
            self.servers.push(server);
        }
        for server in &self.servers {
            wait_for("an echo server", SOON, async || {
                if !server.is_alive() {
                    bail!("it ended: {}", server.stderr());
                }
                ensure!(server.stdout().contains("listening on"), "not yet");
                Ok(())
            })
            .await?;
        }
        Ok(())
    }
}
