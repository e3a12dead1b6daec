//! `tidegate server`: the hub with its embedded API, and the gateway beside it.

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use tidegate_apiserver::{Config, Server as ApiServer, ServiceCidr};
use tidegate_feed::{FeedAddress, Publisher};
use tidegate_hub::{Hub, HubConfig, HubMetrics};
use tidegate_runtime::{Admin, Check, signals, telemetry};
use tokio_util::sync::CancellationToken;

use crate::process::{self, GatewayChild, GatewayFlags, ready};

const EXAMPLES: &str = "\
Examples:
  $ tidegate server --data-dir /var/lib/tidegate
  $ tidegate server --data-dir /tmp/tg/hub --api-listen 127.0.0.1:6443 --http-listen 127.0.0.1:8080

It writes DIR/admin.kubeconfig for kubectl and for `tidegate cluster join`. The gateway is a process of
its own: SIGTERM to the server ends both, SIGKILL leaves the gateway serving, and the next server with
the same DIR takes it over.";

/// Runs the hub: a Kubernetes API for the fleet, its controllers, and the gateway.
///
/// The hub watches the member clusters and tells the gateway where requests go. The gateway serves,
/// checks health and fails over by itself, also while the hub is down.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Server {
    /// Where the store, the kubeconfig and the gateway's data are kept.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Address of the Kubernetes API; port 0 takes a free one.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:6443")]
    api_listen: SocketAddr,
    /// Where the gateway serves; port 0 takes a free one, and the same one after a restart.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8080")]
    http_listen: SocketAddr,
    /// Where the gateway serves over TLS, with the certificates that Ingresses name in spec.tls; port 0 as
    /// above [default: nowhere].
    #[arg(long, value_name = "IP:PORT")]
    https_listen: Option<SocketAddr>,
    /// Where /livez, /readyz and /metrics are [default: a free port of 127.0.0.1].
    #[arg(
        long,
        value_name = "IP:PORT",
        default_value = "127.0.0.1:0",
        hide_default_value = true
    )]
    admin_listen: SocketAddr,
    /// The gateway's address as clients reach it, for the status of Ingresses; may be given several
    /// times [default: --http-listen and --https-listen, unless that is 0.0.0.0 or ::].
    #[arg(long, value_name = "IP:PORT")]
    advertise: Vec<SocketAddr>,
    /// Threads of the gateway that serve [default: one a core].
    #[arg(long, value_name = "N")]
    gateway_workers: Option<NonZero<usize>>,
}

/// Where the gateway of a hub keeps its data.
pub(crate) fn gateway_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("gateway")
}

impl Server {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        process::end_with_parent()?;
        telemetry::init(telemetry::Format::Text, tracing::Level::INFO)?;
        let data_dir = std::path::absolute(&self.data_dir)
            .with_context(|| format!("--data-dir {}", self.data_dir.display()))?;
        let feed: FeedAddress = format!("unix:{}", data_dir.join("feed.sock").display()).parse()?;
        process::small_runtime()?.block_on(async {
            let stop = signals::shutdown().context("listening for signals")?;
            self.serve(&data_dir, feed, stop).await?;
            Ok(ExitCode::SUCCESS)
        })
    }

    async fn serve(
        &self,
        data_dir: &Path,
        feed: FeedAddress,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let api = ApiServer::start(Config {
            data_dir: Some(data_dir.to_owned()),
            listen: self.api_listen,
            cluster_name: "hub".to_owned(),
            service_cidr: ServiceCidr::default(),
            logs: None,
        })
        .await?;
        let publisher = Publisher::bind(&feed, &data_dir.join("feed")).await?;
        let mut admin = Admin::new();
        let metrics = HubMetrics::register(admin.registry());
        let checks = Checks {
            hub: admin.readiness().check("hub"),
            gateway: admin.readiness().check("gateway"),
        };
        let admin = admin.bind(self.admin_listen).await?;
        let admin_address = admin.local_addr();
        ready::write_admin_addr(data_dir, admin_address)?;
        let flags = GatewayFlags {
            dir: gateway_dir(data_dir),
            feed,
            http_listen: self.http_listen,
            https_listen: self.https_listen,
            workers: self.gateway_workers,
        };
        let gateway = GatewayChild::ensure(flags, stop.clone()).await?;
        let published = CancellationToken::new();
        let config = HubConfig {
            client: Hub::client(api.admin_kubeconfig()).await?,
            publisher,
            data_dir: data_dir.to_owned(),
            ingress_addresses: self.addresses(&gateway),
            metrics,
            ready: published.clone(),
        };
        let mut hub = tokio::spawn(Hub::run(config, stop.clone()));
        let admin = tokio::spawn(admin.serve(stop.clone()));
        let starting = async {
            published.cancelled().await;
            checks.hub.ok("has published a snapshot");
            let gateway_admin = gateway.ready().await?;
            let mut values = vec![
                ("api", format!("https://{}", api.local_addr())),
                ("http", format!("http://{}", gateway.http())),
                ("admin", format!("http://{admin_address}")),
                ("gateway-admin", format!("http://{gateway_admin}")),
            ];
            let https = gateway
                .https()
                .map(|https| ("https", format!("https://{https}")));
            values.extend(https);
            let kubeconfig = data_dir.join(super::KUBECONFIG_FILE);
            eprintln!("{}", ready::line("server", &values, Some(&kubeconfig)));
            checks.follow_gateway(&gateway).await;
            anyhow::Ok(())
        };
        // What goes wrong here leaves the gateway as it is: serving comes first.
        tokio::select! {
            ended = &mut hub => {
                ended.context("the hub panicked")??;
                anyhow::ensure!(stop.is_cancelled(), "the hub ended by itself");
            }
            started = starting => started?,
            () = stop.cancelled() => hub.await.context("the hub panicked")??,
        }
        gateway.stop().await?;
        api.shutdown().await;
        // It ends with the same token.
        let _ = admin.await;
        Ok(())
    }

    fn addresses(&self, gateway: &GatewayChild) -> Vec<SocketAddr> {
        if !self.advertise.is_empty() {
            return self.advertise.clone();
        }
        let all = [Some(gateway.http()), gateway.https()]
            .into_iter()
            .flatten();
        all.filter(|address| !address.ip().is_unspecified())
            .collect()
    }
}

/// What /readyz says of the hub.
struct Checks {
    hub: Check,
    gateway: Check,
}

impl Checks {
    /// Says whether the gateway runs, as long as it is watched over.
    async fn follow_gateway(&self, gateway: &GatewayChild) {
        let mut status = gateway.status();
        loop {
            let now = status.borrow_and_update().clone();
            match now.pid {
                Some(pid) => self.gateway.ok(format!("runs as process {pid}")),
                None => {
                    let why = now
                        .last_exit
                        .unwrap_or_else(|| "it does not run".to_owned());
                    self.gateway
                        .not_ok(format!("the gateway does not run: {why}"));
                }
            }
            if status.changed().await.is_err() {
                return;
            }
        }
    }
}
