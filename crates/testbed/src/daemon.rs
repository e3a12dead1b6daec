//! A long-running process of the product, over all its lives.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use rustix::process::Signal;

use crate::{Finished, Kubectl, Process, ProcessId, Ready, Result, SOON};

/// `tidegate server`, `pocket` or `gateway` with a data directory that outlives restarts.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    binary: PathBuf,
    args: Vec<String>,
    dir: PathBuf,
    logs: PathBuf,
    process: Process,
    ready: Ready,
    kubectl: Option<Kubectl>,
}

/// What all daemons of a rig share.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) binary: PathBuf,
    pub(crate) kubectl: PathBuf,
    pub(crate) logs: PathBuf,
    pub(crate) cache: PathBuf,
}

impl Daemon {
    /// Starts `tidegate ARGS --data-dir DIR` and waits until it is ready.
    pub(crate) async fn start(
        places: &Places,
        name: &str,
        args: &[&str],
        dir: &Path,
    ) -> Result<Self> {
        let data_dir = dir.to_str().context("the rig's directory is not UTF-8")?;
        let args: Vec<String> = [args, &["--data-dir", data_dir]]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect();
        let (process, ready) = launch(&places.binary, name, &args, &places.logs).await?;
        let kubeconfig = ready.kubeconfig.as_deref();
        let kubectl = kubeconfig
            .map(|config| Kubectl::new(&places.kubectl, config, &places.cache.join(name)));
        let mut daemon = Self {
            name: name.to_owned(),
            binary: places.binary.clone(),
            args,
            dir: dir.to_owned(),
            logs: places.logs.clone(),
            process,
            ready,
            kubectl,
        };
        daemon.keep_addresses()?;
        Ok(daemon)
    }

    /// From now on it starts where it listens now: members, kubeconfigs and load know its addresses.
    fn keep_addresses(&mut self) -> Result {
        for key in ["api", "http"] {
            let flag = format!("--{key}-listen");
            if let Some(at) = self.args.iter().position(|arg| *arg == flag) {
                self.args[at + 1] = self.address(key)?.to_string();
            }
        }
        Ok(())
    }

    /// kubectl with its admin kubeconfig.
    ///
    /// # Panics
    /// For a gateway, which has no Kubernetes API.
    #[must_use]
    pub fn kubectl(&self) -> &Kubectl {
        self.kubectl
            .as_ref()
            .expect("only servers and pockets have an API")
    }

    /// A kube client with its admin kubeconfig.
    ///
    /// # Errors
    /// When the kubeconfig cannot be used.
    pub async fn client(&self) -> Result<kube::Client> {
        let path = self.kubeconfig();
        let file = kube::config::Kubeconfig::read_from(&path)?;
        let config =
            kube::Config::from_custom_kubeconfig(file, &kube::config::KubeConfigOptions::default())
                .await?;
        Ok(kube::Client::try_from(config)?)
    }

    /// Where its admin kubeconfig is.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.join("admin.kubeconfig")
    }

    /// Its data directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// An address from its ready line, by key: `api`, `http`, `admin`, `gateway-admin`.
    ///
    /// # Errors
    /// When the line has none.
    pub fn address(&self, key: &str) -> Result<SocketAddr> {
        self.ready.address(key).with_context(|| self.name.clone())
    }

    /// Its present or last process.
    #[must_use]
    pub fn id(&self) -> ProcessId {
        self.process.id()
    }

    /// What its present or last process logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.stderr()
    }

    /// SIGKILL to this process alone.
    ///
    /// # Errors
    /// When it does not end.
    pub fn kill(&mut self) -> Result {
        self.process.kill()
    }

    /// SIGTERM, and its clean end.
    ///
    /// # Errors
    /// When it does not end with exit code 0.
    pub async fn terminate(&mut self) -> Result<Finished> {
        self.process.signal(Signal::TERM);
        let finished = self.process.finished(SOON).await?;
        ensure!(
            finished.status.success(),
            "{} ended with {} after SIGTERM",
            self.name,
            finished.status
        );
        Ok(finished)
    }

    /// SIGSTOP to this process alone: its connections stay open, and nobody answers.
    pub fn suspend(&self) {
        self.process.signal(Signal::STOP);
    }

    /// Takes back [`Daemon::suspend`].
    pub fn resume(&self) {
        self.process.signal(Signal::CONT);
    }

    /// Starts it again after it ended, with its data, at its old addresses; waits until it is ready.
    ///
    /// # Errors
    /// When it still runs, or does not get ready.
    pub async fn restart(&mut self) -> Result {
        ensure!(!self.process.is_alive(), "{} still runs", self.name);
        (self.process, self.ready) =
            launch(&self.binary, &self.name, &self.args, &self.logs).await?;
        Ok(())
    }
}

async fn launch(
    binary: &Path,
    name: &str,
    args: &[String],
    logs: &Path,
) -> Result<(Process, Ready)> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut process = Process::start(binary, name, &args, logs)?;
    let ready = process.ready(SOON).await?;
    Ok((process, ready))
}
