//! The gateway as a whole: start, parts, end.

use crate::config::{ConfigError, ConfigFile};
use crate::health::probe;
use crate::state::{CertificateMetrics, HealthMetrics, Shared, TrafficMetrics};
use crate::tls;
use crate::worker::{self, Listener, Port};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tidegate_feed::{FeedAddress, LastKnownGood, StoreError};
use tidegate_model::Snapshot;
use tidegate_runtime::{Admin, AdminError, AdminReply, Check, Clock};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What a gateway is started with.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// The name by which the hub knows it.
    pub name: String,
    /// Where to serve; port 0 takes a free one.
    pub http_listen: Vec<SocketAddr>,
    /// Where to serve over TLS; the certificates are in the snapshot.
    pub https_listen: Vec<SocketAddr>,
    /// Threads that serve; at least 1.
    pub workers: usize,
    /// Where accepted snapshots are kept. Needed for `feed`.
    pub data_dir: Option<PathBuf>,
    /// Where the hub publishes.
    pub feed: Option<FeedAddress>,
    /// A file that people write, served and followed instead of a feed.
    pub file: Option<PathBuf>,
    /// Where `/livez`, `/readyz`, `/metrics` and `/status` are.
    pub admin_listen: Option<SocketAddr>,
    /// Served until `data_dir` or the feed has another.
    pub snapshot: Option<Snapshot>,
}

/// A gateway that serves. Dropping it does not end it: cancel the token it was started with, or call
/// [`Gateway::shutdown`].
#[derive(Debug)]
pub struct Gateway {
    http: Vec<SocketAddr>,
    https: Vec<SocketAddr>,
    admin: Option<SocketAddr>,
    shared: Arc<Shared>,
    shutdown: CancellationToken,
    /// Ends what must outlive the last request.
    end: CancellationToken,
    workers: Vec<oneshot::Receiver<()>>,
    prober: std::thread::JoinHandle<()>,
    tasks: Vec<JoinHandle<()>>,
}

/// Why a gateway cannot start. Nothing is left running then.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A contradiction in the configuration.
    #[error("gateway configuration field {field}: {reason}")]
    Config {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An address cannot be had.
    #[error(
        "gateway cannot listen on address {address}; choose another --http-listen or --https-listen"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The admin address cannot be had.
    #[error("gateway cannot open its admin port")]
    Admin(#[source] AdminError),
    /// The folder for snapshots cannot be had.
    #[error("gateway cannot use its data directory")]
    Store(#[source] StoreError),
    /// The file cannot be served.
    #[error("the configuration cannot be used:\n{0}")]
    File(ConfigError),
    /// The snapshot it was given cannot be served.
    #[error("the given snapshot cannot be served: {reason}")]
    Snapshot {
        /// The field, and what is wrong with it.
        reason: String,
    },
    /// The crypto library cannot work.
    #[error("gateway cannot set up TLS")]
    Tls(#[source] rustls::Error),
    /// There is no thread or event loop to be had.
    #[error("gateway cannot start a thread")]
    Thread(#[source] io::Error),
}

impl Gateway {
    /// Starts to serve. What it serves first is, in this order: the newest snapshot in `data_dir` that can
    /// be used, `config.snapshot`, or nothing: then it answers 503 until the feed brings one.
    ///
    /// Must be called inside a tokio runtime, which carries the feed and the admin port; workers and
    /// prober have threads of their own.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(
        config: GatewayConfig,
        shutdown: CancellationToken,
    ) -> Result<Self, StartError> {
        let refuse = |field, reason| Err(StartError::Config { field, reason });
        if config.workers == 0 {
            return refuse("workers", "there must be at least 1");
        }
        if config.feed.is_some() && config.file.is_some() {
            return refuse("file", "there can be a feed or a file, not both");
        }
        if config.feed.is_some() && config.data_dir.is_none() {
            return refuse("data_dir", "a feed needs a place to keep snapshots");
        }
        let shared = Arc::new(Shared::new());
        let clock = Clock::start();
        let end = CancellationToken::new();
        // Whatever fails below ends what was started above it.
        let on_failure = end.clone().drop_guard();

        // The file is its own last known good: what it said before must not come back.
        let stored = config.data_dir.as_ref().filter(|_| config.file.is_none());
        let store = stored.map(LastKnownGood::open);
        let store = store.transpose().map_err(StartError::Store)?;
        let (known, refused) = match &store {
            Some(store) => load(store, &shared),
            None => (None, Vec::new()),
        };
        if let (None, Some(snapshot)) = (&known, config.snapshot) {
            let applied = shared.apply(&Arc::new(snapshot));
            applied.map_err(|reason| StartError::Snapshot { reason })?;
        }
        let file = config.file.map(|path| ConfigFile::open(path, &shared));
        let file = file.transpose().map_err(StartError::File)?;

        let mut admin = Admin::new();
        let ready = admin.readiness().check("snapshot");
        let serving = admin.readiness().check("serving");
        report(&ready, &shared);
        serve_pages(&mut admin, &shared, clock, refused, file.clone());
        let admin = match config.admin_listen {
            Some(address) => Some(admin.bind(address).await.map_err(StartError::Admin)?),
            None => None,
        };

        let mut plain = listen(&config.http_listen, config.workers)?;
        let mut secure = listen(&config.https_listen, config.workers)?;
        let addresses = |ports: &[Port]| ports.iter().map(|port| port.address).collect();
        let (http, https): (Vec<_>, Vec<_>) = (addresses(&plain), addresses(&secure));
        let tls = tls::Acceptor::new(&shared).map_err(StartError::Tls)?;

        let prober = probe::spawn(Arc::clone(&shared.health), clock, end.clone());
        let prober = prober.map_err(StartError::Thread)?;
        let connections_max = worker::connections_max(config.workers);
        let mut workers = Vec::new();
        // Ends them if one of them cannot start.
        let stop_workers = end.child_token();
        for index in 0..config.workers {
            let plan = worker::Plan {
                listeners: share(&mut plain, None)
                    .chain(share(&mut secure, Some(&tls)))
                    .collect(),
                shared: Arc::clone(&shared),
                clock,
                connections_max,
                shutdown: stop_workers.clone(),
            };
            workers.push(worker::spawn(index, plan).map_err(StartError::Thread)?);
        }
        serving.ok(format!("{} workers", config.workers));

        let mut tasks = vec![tokio::spawn(follow_shutdown(
            shutdown.clone(),
            stop_workers,
            serving,
        ))];
        if let Some(file) = file {
            tasks.push(tokio::spawn(file.follow(Arc::clone(&shared), end.clone())));
        }
        if let (Some(address), Some(store)) = (config.feed, store) {
            let apply = {
                let shared = Arc::clone(&shared);
                move |snapshot: &Arc<Snapshot>| {
                    let report = shared.apply(snapshot)?;
                    tracing::debug!(?report, "snapshot applied");
                    self::report(&ready, &shared);
                    Ok(())
                }
            };
            // Its state is told by the snapshot's age and in the log, not yet anywhere else.
            let (connection, _) = watch::channel(tidegate_feed::Connection::default());
            let (name, end) = (config.name, end.clone());
            tasks.push(tokio::spawn(tidegate_feed::receive(
                address, name, known, store, apply, connection, end,
            )));
        }
        let admin_address = admin.as_ref().map(|admin| admin.local_addr());
        if let Some(admin) = admin {
            tasks.push(tokio::spawn(admin.serve(end.clone())));
        }
        on_failure.disarm();
        tracing::info!(?http, ?https, admin = ?admin_address, workers = workers.len(), "gateway serves");
        Ok(Self {
            http,
            https,
            admin: admin_address,
            shared,
            shutdown,
            end,
            workers,
            prober,
            tasks,
        })
    }

    /// Where it serves, in the order of `http_listen`, with the ports that were taken.
    pub fn http_addresses(&self) -> &[SocketAddr] {
        &self.http
    }

    /// Where it serves over TLS, in the order of `https_listen`, with the ports that were taken.
    pub fn https_addresses(&self) -> &[SocketAddr] {
        &self.https
    }

    /// Where the admin port is.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// What it serves and how it judges.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Waits until it has been told to end and has served what was under way, for at most `drain` of its
    /// settings. Feed, prober and admin port go on until then.
    pub async fn stopped(self) {
        for worker in self.workers {
            // An error means that the thread has panicked; it is gone as well.
            let _ = worker.await;
        }
        self.end.cancel();
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the gateway has panicked");
            }
        }
        let joined = tokio::task::spawn_blocking(|| self.prober.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("the prober has panicked");
        }
    }

    /// Tells it to end and waits for that.
    pub async fn shutdown(self) {
        self.shutdown.cancel();
        self.stopped().await;
    }
}

fn listen(addresses: &[SocketAddr], workers: usize) -> Result<Vec<Port>, StartError> {
    let bind = |address: &SocketAddr| {
        worker::bind(*address, workers).map_err(|error| StartError::Listen {
            address: error.address,
            source: error.source,
        })
    };
    addresses.iter().map(bind).collect()
}

/// One worker's listeners of these ports.
fn share(ports: &mut [Port], tls: Option<&tls::Acceptor>) -> impl Iterator<Item = Listener> {
    ports.iter_mut().filter_map(move |port| {
        let socket = port.listeners.pop()?;
        let tls = tls.cloned();
        Some(Listener { socket, tls })
    })
}

/// Serves what is on disk, if there is something that can be served; and why other files there cannot.
fn load(store: &LastKnownGood, shared: &Shared) -> (Option<Arc<Snapshot>>, Vec<String>) {
    let loaded = store.load();
    let mut refused = Vec::new();
    for file in &loaded.refused {
        if !matches!(file.error, StoreError::Missing) {
            tracing::error!(file = %file.path.display(), error = %file.error, "snapshot file refused");
            refused.push(format!("{}: {}", file.path.display(), file.error));
        }
    }
    let Some(snapshot) = loaded.snapshot else {
        return (None, refused);
    };
    match shared.apply(&snapshot) {
        Ok(report) => {
            tracing::info!(
                generation = report.generation.0,
                "serving the last known good snapshot"
            );
            (Some(snapshot), refused)
        }
        Err(reason) => {
            tracing::error!(%reason, "the last known good snapshot cannot be served");
            refused.push(format!("the last known good snapshot: {reason}"));
            (None, refused)
        }
    }
}

fn report(check: &Check, shared: &Shared) {
    let table = shared.table.load();
    match table.is_unset() {
        true => check.not_ok("no snapshot yet"),
        false => check.ok(format!("generation {} is served", table.generation())),
    }
}

fn serve_pages(
    admin: &mut Admin,
    shared: &Arc<Shared>,
    clock: Clock,
    refused: Vec<String>,
    file: Option<ConfigFile>,
) {
    let health = HealthMetrics::new(Arc::clone(&shared.health), clock);
    let registry = admin.registry();
    registry.register_collector(Box::new(health));
    registry.register_collector(Box::new(TrafficMetrics(Arc::clone(shared))));
    registry.register_collector(Box::new(CertificateMetrics(Arc::clone(shared))));
    if let Some(file) = &file {
        file.register(registry);
    }
    let shared = Arc::clone(shared);
    admin.get("/status", move |_| {
        let mut status = shared.status_json(clock.now());
        // What was refused when the gateway started; nothing reads the files after that.
        status["refused_snapshots"] = refused.clone().into();
        if let Some(file) = &file {
            status["config"] = file.to_json();
        }
        AdminReply::ok(status)
    });
}

/// Passes the order to end on to the workers.
async fn follow_shutdown(order: CancellationToken, workers: CancellationToken, serving: Check) {
    tokio::select! {
        () = order.cancelled() => {}
        // The workers have ended by themselves, or the start has failed.
        () = workers.cancelled() => {}
    }
    serving.not_ok("draining");
    workers.cancel();
}
