//! `tidegate pocket`: one pocket cluster.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use tidegate_pocket::{
    ClusterName, ImageTable, Pocket as Running, PocketConfig, PodCidr, ProcessShim,
};
use tidegate_runtime::{Admin, signals, telemetry};

use super::pod_process;
use crate::process::{self, ready};

const EXAMPLES: &str = "\
Examples:
  $ tidegate pocket --name az1 --data-dir /tmp/az1
  $ tidegate pocket --name az1 --data-dir /tmp/az1 --image example.com/shop=/usr/local/bin/shop

It writes DIR/admin.kubeconfig: kubectl --kubeconfig DIR/admin.kubeconfig get pods -A. A restart keeps
every object. SIGTERM ends it and its pods.";

/// Runs a small Kubernetes cluster whose pods are processes of this machine.
///
/// The images tidegate.io/echo, nginx, registry.k8s.io/e2e-test-images/agnhost and
/// registry.k8s.io/gateway-api/echo-basic run a built-in server that answers who it is; others run
/// only if --image maps them to a local program.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Pocket {
    /// Name of the cluster and of its one node.
    #[arg(long)]
    name: ClusterName,
    /// Where the store, the kubeconfig and the pods' logs are kept.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Address of the API [default: a free port of 127.0.0.1].
    #[arg(
        long,
        value_name = "IP:PORT",
        default_value = "127.0.0.1:0",
        hide_default_value = true
    )]
    api_listen: SocketAddr,
    /// Where /livez, /readyz and /metrics are [default: a free port of 127.0.0.1].
    #[arg(
        long,
        value_name = "IP:PORT",
        default_value = "127.0.0.1:0",
        hide_default_value = true
    )]
    admin_listen: SocketAddr,
    /// Loopback addresses for pods, as 127.20.0.0/16 [default: derived from the name, and kept].
    #[arg(long, value_name = "CIDR")]
    pod_cidr: Option<PodCidr>,
    /// Runs an image as a local program; may be given several times.
    #[arg(long = "image", value_name = "IMAGE=PROGRAM")]
    images: Vec<String>,
}

impl Pocket {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        process::end_with_parent()?;
        telemetry::init(telemetry::Format::Text, tracing::Level::INFO)?;
        let mut images = ImageTable::default();
        for mapping in &self.images {
            images
                .add(mapping)
                .with_context(|| format!("--image {mapping}"))?;
        }
        let data_dir = std::path::absolute(&self.data_dir)
            .with_context(|| format!("--data-dir {}", self.data_dir.display()))?;
        let config = PocketConfig {
            name: self.name,
            data_dir: data_dir.clone(),
            api_listen: self.api_listen,
            pod_cidr: self.pod_cidr,
            images,
            shim: ProcessShim::current_exe([pod_process::NAME]).context("finding this program")?,
        };
        process::small_runtime()?.block_on(async {
            let stop = signals::shutdown().context("listening for signals")?;
            let admin = Admin::new();
            let serving = admin.readiness().check("api");
            let admin = admin.bind(self.admin_listen).await?;
            let admin_address = admin.local_addr();
            let admin = tokio::spawn(admin.serve(stop.clone()));
            let pocket = Running::start(config).await?;
            ready::write_admin_addr(&data_dir, admin_address)?;
            serving.ok(format!("serving on {}", pocket.api_addr()));
            let values = [
                ("api", format!("https://{}", pocket.api_addr())),
                ("admin", format!("http://{admin_address}")),
            ];
            let kubeconfig = data_dir.join(super::KUBECONFIG_FILE);
            eprintln!("{}", ready::line("pocket", &values, Some(&kubeconfig)));
            stop.cancelled().await;
            serving.not_ok("shutting down");
            pocket.shutdown().await;
            // It ends with the same token.
            let _ = admin.await;
            Ok(ExitCode::SUCCESS)
        })
    }
}
