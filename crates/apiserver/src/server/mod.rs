//! From a socket to an answer.

mod auth;
mod files;
mod handler;
mod listener;
mod negotiate;
mod objects;
mod pki;
mod protobuf;
mod reply;
mod request;
pub(crate) mod reviews;
mod strict;
mod views;
mod writes;

use crate::lifecycle::{self, Queues, Watchman};
use crate::logs::LogSource;
use crate::ops::{Api, WriteOptions};
use crate::registry::Registry;
use crate::service_ip::{ServiceCidr, ServiceIps};
use crate::store::{MemoryBackend, RedbBackend, Store, StoreError};
use pki::Pki;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use pki::PkiError;

/// Namespaces that exist from the start.
const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// How to start a server.
#[derive(Clone)]
pub struct Config {
    /// Where the store, the certificates and `admin.kubeconfig` live; `None` keeps everything in memory.
    pub data_dir: Option<PathBuf>,
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The cluster's name in the kubeconfig.
    pub cluster_name: String,
    /// Range of ClusterIPs.
    pub service_cidr: ServiceCidr,
    /// Provides `pods/log`.
    pub logs: Option<Arc<dyn LogSource>>,
}

impl Config {
    /// A server in memory on a free port of 127.0.0.1.
    pub fn in_memory(cluster_name: impl Into<String>) -> Self {
        Config {
            data_dir: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            cluster_name: cluster_name.into(),
            service_cidr: ServiceCidr::default(),
            logs: None,
        }
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("data_dir", &self.data_dir)
            .field("listen", &self.listen)
            .field("cluster_name", &self.cluster_name)
            .finish_non_exhaustive()
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {source}; choose another address or stop what uses it")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// The cause.
        source: std::io::Error,
    },
    /// A file or directory cannot be used.
    #[error("cannot {doing} {path}: {source}")]
    File {
        /// What we were doing.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The certificates cannot be made or read.
    #[error("cannot prepare the server's certificates: {0}")]
    Pki(#[source] PkiError),
    /// The store cannot be opened.
    #[error("cannot open the store: {0}")]
    Store(#[source] StoreError),
    /// The data directory was in use before, and its store is gone. Beginning anew in it would look as if every
    /// object had been deleted, and whoever acts on this API would act on that.
    #[error(
        "{path} is missing, though its directory was in use before: put a copy in its place, or begin anew in another data directory"
    )]
    StoreMissing {
        /// The store file.
        path: PathBuf,
    },
    /// The namespaces every cluster has cannot be created.
    #[error("cannot create namespace {name}: {why}")]
    Bootstrap {
        /// Which namespace.
        name: &'static str,
        /// The API's answer.
        why: String,
    },
}

/// A running API server.
///
/// Dropping it without [`Server::shutdown`] stops it too, without waiting.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    kubeconfig: String,
    shutdown: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    writer: Option<std::thread::JoinHandle<()>>,
    ready: Readyz,
}

/// Whether the server answers requests; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Readyz(Arc<AtomicBool>);

impl Readyz {
    /// True from the end of start-up to the beginning of shutdown.
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Server {
    /// Binds, opens the store and starts serving on the current tokio runtime.
    pub async fn start(config: Config) -> Result<Server, StartError> {
        let listener =
            TcpListener::bind(config.listen)
                .await
                .map_err(|source| StartError::Bind {
                    address: config.listen,
                    source,
                })?;
        let address = listener.local_addr().map_err(|source| StartError::Bind {
            address: config.listen,
            source,
        })?;
        if let Some(dir) = &config.data_dir {
            files::create_private_dir(dir).map_err(|source| StartError::File {
                doing: "create",
                path: dir.clone(),
                source,
            })?;
        }
        let pki_dir = config.data_dir.as_ref().map(|d| d.join("pki"));
        if let Some(dir) = &config.data_dir {
            // The certificates are made after the store, so they are never there without it.
            let (path, used) = (dir.join("store.redb"), dir.join("pki").exists());
            if used && !path.exists() {
                return Err(StartError::StoreMissing { path });
            }
        }
        // The store first: its lock tells whether the data directory is ours to write to.
        let registry = Arc::new(Registry::new());
        let queues = Arc::new(Queues::default());
        let watchman = Arc::new(Watchman {
            registry: Arc::clone(&registry),
            queues: Arc::clone(&queues),
        });
        let (store, writer) = match &config.data_dir {
            None => Store::open(MemoryBackend, watchman),
            Some(dir) => {
                RedbBackend::open(&dir.join("store.redb")).and_then(|b| Store::open(b, watchman))
            }
        }
        .map_err(StartError::Store)?;
        {
            let state = store.read();
            for crd in state.list(crate::crd::STORAGE, None) {
                registry.set_crd(crate::object::name(&crd.value), Some(&crd.value));
            }
        }
        let pki = Pki::open(pki_dir.as_deref(), address.ip()).map_err(StartError::Pki)?;
        let kubeconfig = pki.kubeconfig(&config.cluster_name, address);
        if let Some(dir) = &config.data_dir {
            write_kubeconfig(dir, &kubeconfig)?;
        }
        let tls = pki.server_config().map_err(StartError::Pki)?;
        let api = Arc::new(Api {
            store,
            registry,
            queues,
            service_ips: ServiceIps::new(config.service_cidr),
            logs: config.logs,
        });
        create_namespaces(&api).await?;
        let shutdown = CancellationToken::new();
        let ready = Readyz::default();
        let front = handler::Front::new(Arc::clone(&api), ready.clone(), shutdown.clone());
        let tasks = vec![
            tokio::spawn(lifecycle::run(api, shutdown.clone())),
            tokio::spawn(listener::serve(
                listener,
                tls,
                Arc::new(front),
                shutdown.clone(),
            )),
        ];
        ready.0.store(true, Ordering::Release);
        tracing::info!(%address, cluster = %config.cluster_name, "api server ready");
        Ok(Server {
            address,
            kubeconfig,
            shutdown,
            tasks,
            writer: Some(writer),
            ready,
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// A kubeconfig with full rights, certificates embedded.
    pub fn admin_kubeconfig(&self) -> &str {
        &self.kubeconfig
    }

    /// A handle for the embedding program's own readiness.
    pub fn readyz(&self) -> Readyz {
        self.ready.clone()
    }

    /// Ends watches, lets running requests finish (at most a few seconds), closes the store.
    pub async fn shutdown(mut self) {
        self.ready.0.store(false, Ordering::Release);
        self.shutdown.cancel();
        for task in self.tasks.drain(..) {
            // A panicked task has nothing left to wait for.
            let _ = task.await;
        }
        if let Some(writer) = self.writer.take() {
            // The writer ends when the last request has dropped its handle to the store.
            let _ = tokio::task::spawn_blocking(move || writer.join()).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ready.0.store(false, Ordering::Release);
        self.shutdown.cancel();
    }
}

fn write_kubeconfig(dir: &Path, text: &str) -> Result<(), StartError> {
    let path = dir.join("admin.kubeconfig");
    // On a full disk a file that is right already must not stand in the way.
    if std::fs::read(&path).is_ok_and(|there| there == text.as_bytes()) {
        return Ok(());
    }
    files::write_private(&path, text.as_bytes()).map_err(|source| StartError::File {
        doing: "write",
        path,
        source,
    })
}

async fn create_namespaces(api: &Api) -> Result<(), StartError> {
    let catalog = api.registry.catalog();
    let kind = catalog
        .find("", "v1", "namespaces")
        .expect("namespaces are built in");
    for name in NAMESPACES {
        let options = WriteOptions {
            manager: "apiserver".to_owned(),
            ..WriteOptions::default()
        };
        let body = serde_json::json!({"metadata": {"name": name}});
        match api.create(kind, "", body, &options).await {
            Ok(_) => {}
            Err(status) if status.reason == "AlreadyExists" => {}
            Err(status) => {
                return Err(StartError::Bootstrap {
                    name,
                    why: status.to_string(),
                });
            }
        }
    }
    Ok(())
}
