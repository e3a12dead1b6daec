//! `tidegate gateway`: the data plane alone.

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use tidegate_feed::FeedAddress;
use tidegate_gateway::{Gateway as Running, GatewayConfig};
use tidegate_hub::gateway_process::note_this_process;
use tidegate_model::{Generation, Snapshot};
use tidegate_runtime::{signals, telemetry};

use crate::process::ready;

const EXAMPLES: &str = "\
Examples:
  $ tidegate gateway --feed unix:/var/lib/tidegate/feed.sock --data-dir /var/lib/tidegate/gateway
  $ tidegate gateway --config gateway.yaml --check
  $ tidegate gateway --config gateway.yaml --http-listen 0.0.0.0:80 --https-listen 0.0.0.0:443

With --feed it serves the last snapshot it accepted, from DIR, before and whether or not the hub answers.
With --config it needs neither hub nor Kubernetes, and takes changes of the file while it runs; one that
cannot be used is refused, and the one before served on: see docs/standalone.md. SIGTERM lets requests in
flight finish, however often it is sent; a second SIGINT ends it at once.";

/// Serves requests as the hub's last snapshot says, whether or not the hub is there; or as a file says.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Gateway {
    /// Where the hub publishes: unix:PATH or IP:PORT on this machine.
    #[arg(long, value_name = "ADDR", required_unless_present_any = ["snapshot", "config"])]
    feed: Option<FeedAddress>,
    /// Where accepted snapshots are kept; not needed with --config.
    #[arg(long, value_name = "DIR", required_unless_present = "config")]
    data_dir: Option<PathBuf>,
    /// Serves this file until the feed or DIR has a snapshot.
    #[arg(long, value_name = "FILE")]
    snapshot: Option<PathBuf>,
    /// Serves this file, in YAML, and follows its changes.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["feed", "snapshot"])]
    config: Option<PathBuf>,
    /// Says what is wrong with the file of --config, with line and field, and ends: exit code 0 when it can
    /// be served, 1 when not.
    #[arg(long, requires = "config")]
    check: bool,
    /// Where to serve.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8080")]
    http_listen: SocketAddr,
    /// Where to serve over TLS, with the certificates of the snapshot.
    #[arg(long, value_name = "IP:PORT")]
    https_listen: Option<SocketAddr>,
    /// Where /livez, /readyz, /metrics and /status are [default: a free port of 127.0.0.1].
    #[arg(
        long,
        value_name = "IP:PORT",
        default_value = "127.0.0.1:0",
        hide_default_value = true
    )]
    admin_listen: SocketAddr,
    /// Threads that serve [default: one a core].
    #[arg(long, value_name = "N")]
    workers: Option<NonZero<usize>>,
    /// The name by which the hub knows it.
    #[arg(long, default_value = "gateway")]
    name: String,
}

impl Gateway {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        if let Some(config) = self.config.as_deref().filter(|_| self.check) {
            return Ok(check(config));
        }
        telemetry::init(telemetry::Format::Text, tracing::Level::INFO)?;
        let snapshot = self.snapshot.as_deref().map(read_snapshot).transpose()?;
        // The workers bring their own threads: this one only carries the feed and the admin port.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("starting the runtime")?;
        runtime.block_on(async {
            let stop = signals::shutdown().context("listening for signals")?;
            let config = GatewayConfig {
                name: self.name,
                http_listen: vec![self.http_listen],
                https_listen: self.https_listen.into_iter().collect(),
                workers: self.workers.map_or_else(cores, NonZero::get),
                data_dir: self.data_dir.clone(),
                feed: self.feed,
                file: self.config,
                admin_listen: Some(self.admin_listen),
                snapshot,
            };
            let gateway = Running::start(config, stop).await?;
            let addresses = gateway.http_addresses().first().copied();
            let (http, admin) = addresses
                .zip(gateway.admin_address())
                .context("the gateway does not say where it serves")?;
            if let Some(dir) = &self.data_dir {
                std::fs::create_dir_all(dir)
                    .with_context(|| format!("--data-dir {}", dir.display()))?;
                ready::write_admin_addr(dir, admin)?;
                if let Err(error) = note_this_process(dir) {
                    tracing::warn!(%error, "no note of this process: a hub will not find it");
                }
            }
            let mut values = vec![
                ("http", format!("http://{http}")),
                ("admin", format!("http://{admin}")),
            ];
            let https = gateway.https_addresses().first();
            values.extend(https.map(|https| ("https", format!("https://{https}"))));
            eprintln!("{}", ready::line("gateway", &values, None));
            gateway.stopped().await;
            Ok(ExitCode::SUCCESS)
        })
    }
}

fn check(config: &Path) -> ExitCode {
    match tidegate_gateway::config::read(config, Generation(1)) {
        Ok(snapshot) => {
            println!(
                "{}: good: {} hosts, {} backends, {} certificates",
                config.display(),
                snapshot.hosts.len(),
                snapshot.backends.len(),
                snapshot.certificates.len()
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn read_snapshot(path: &Path) -> anyhow::Result<Snapshot> {
    let context = || format!("--snapshot {}", path.display());
    let json = std::fs::read(path).with_context(context)?;
    serde_json::from_slice(&json).with_context(context)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}
