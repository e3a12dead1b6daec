//! Joins API server, controllers and kubelet to a cluster.

use std::net::SocketAddr;
use std::sync::Arc;

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use tidegate_apiserver::{Config as ApiConfig, Server, StartError};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::cidr::{self, CidrError, Claim, can_listen};
use crate::config::PocketConfig;
use crate::control;
use crate::events::Recorder;
use crate::kubelet::logs::Logs;
use crate::kubelet::{self, Kubelet};

/// A running pocket cluster.
///
/// Dropping it without [`Pocket::shutdown`] ends it and its processes too, without waiting.
#[derive(Debug)]
pub struct Pocket {
    server: Server,
    cancel: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    _network: Claim,
    _ends_with: DropGuard,
}

/// Why a pocket cluster did not start.
#[derive(Debug, thiserror::Error)]
pub enum PocketError {
    /// There is no network for pods.
    #[error(transparent)]
    Network(#[from] CidrError),
    /// The API server did not start.
    #[error("the API server did not start: {0}")]
    Api(#[from] StartError),
    /// The API server's own kubeconfig cannot be used.
    #[error("the API server's kubeconfig cannot be used: {0}")]
    Kubeconfig(#[from] KubeconfigError),
    /// No client can be made from it.
    #[error("no client for the API server can be made: {source}")]
    Client {
        /// The cause.
        source: kube::Error,
    },
    /// The node cannot be registered.
    #[error("node {name} cannot be registered: {source}")]
    Node {
        /// The node, called as the cluster.
        name: String,
        /// What the API answered.
        source: kube::Error,
    },
}

impl Pocket {
    /// Starts a cluster on the current tokio runtime. On return the API answers, the node is ready, and
    /// `DATA_DIR/admin.kubeconfig` is there; pods of an earlier run are being started again.
    ///
    /// # Errors
    /// [`PocketError`]; nothing is left running then.
    pub async fn start(config: PocketConfig) -> Result<Self, PocketError> {
        let PocketConfig {
            name,
            data_dir,
            api_listen,
            pod_cidr,
            images,
            shim,
        } = config;
        let name = name.as_str().to_owned();
        let logs = Logs::new(data_dir.join("logs"));
        let server = Server::start(ApiConfig {
            data_dir: Some(data_dir.clone()),
            listen: api_listen,
            logs: Some(Arc::new(logs.clone())),
            ..ApiConfig::in_memory(name.as_str())
        })
        .await?;
        // After the API server, whose lock says that the directory is ours.
        let network = cidr::claim(&name, pod_cidr, &data_dir)?;
        let cidr = network.cidr;
        let ip = cidr.node_ip();
        can_listen(ip)
            .await
            .map_err(|source| CidrError::Unusable { cidr, ip, source })?;
        let client = client(server.admin_kubeconfig()).await?;
        let node_error = |source| PocketError::Node {
            name: name.clone(),
            source,
        };
        let node = kubelet::register(&client, &name, cidr)
            .await
            .map_err(node_error)?;
        let cancel = CancellationToken::new();
        let (recorder, events) = Recorder::new(
            client.clone(),
            "pocket-controllers",
            name.clone(),
            cancel.clone(),
        );
        let (kubelet_recorder, kubelet_events) =
            Recorder::new(client.clone(), "kubelet", name.clone(), cancel.clone());
        let kubelet = Kubelet {
            client: client.clone(),
            name,
            cidr,
            images,
            shim,
            logs,
            recorder: kubelet_recorder,
            cancel: cancel.clone(),
        };
        let tasks = vec![
            tokio::spawn(events),
            tokio::spawn(kubelet_events),
            tokio::spawn(kubelet::run(kubelet, node)),
            tokio::spawn(control::run(client, recorder, cancel.clone())),
        ];
        let ends_with = cancel.clone().drop_guard();
        Ok(Self {
            server,
            cancel,
            tasks,
            _network: network,
            _ends_with: ends_with,
        })
    }

    /// A kubeconfig with full rights; the same is in `DATA_DIR/admin.kubeconfig`.
    #[must_use]
    pub fn kubeconfig(&self) -> &str {
        self.server.admin_kubeconfig()
    }

    /// Where the API is served.
    #[must_use]
    pub fn api_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Whether the API answers and all parts run.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.server.readyz().is_ready()
            && !self.cancel.is_cancelled()
            && !self.tasks.iter().any(JoinHandle::is_finished)
    }

    /// Ends all processes, then the API server. Pods stay in the store and are started again with the cluster.
    pub async fn shutdown(mut self) {
        self.cancel.cancel();
        for task in self.tasks.drain(..) {
            // A panicked task has nothing left to wait for.
            let _ = task.await;
        }
        self.server.shutdown().await;
    }
}

async fn client(kubeconfig: &str) -> Result<Client, PocketError> {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig)?;
    let mut config =
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    // The server is in this process: nothing of the environment applies, and every caller retries by itself.
    config.proxy_url = None;
    config.default_retry = false;
    Client::try_from(config).map_err(|source| PocketError::Client { source })
}
