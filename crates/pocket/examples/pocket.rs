//! Runs a pocket cluster until Ctrl-C: `cargo run -p tidegate-pocket --example pocket -- NAME DIR [IMAGE=PROGRAM ...]`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use tidegate_pocket::{ImageTable, Pocket, PocketConfig, ProcessShim, pod_process_main};

/// What the cluster starts this program with to get a container.
const POD_PROCESS: &str = "pod-process";

fn main() -> anyhow::Result<ExitCode> {
    let mut args = std::env::args_os().skip(1).peekable();
    if args.peek().is_some_and(|arg| arg == POD_PROCESS) {
        return Ok(pod_process_main(args.skip(1)));
    }
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter("info")
        .init();
    let usage = "give NAME DIR [IMAGE=PROGRAM ...]";
    let name = args.next().context(usage)?.to_string_lossy().parse()?;
    let data_dir = PathBuf::from(args.next().context(usage)?);
    let mut images = ImageTable::default();
    for mapping in args {
        images.add(&mapping.to_string_lossy())?;
    }
    let config = PocketConfig {
        name,
        data_dir: data_dir.clone(),
        api_listen: ([127, 0, 0, 1], 0).into(),
        pod_cidr: None,
        images,
        shim: ProcessShim::current_exe([POD_PROCESS])?,
    };
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(async {
            let pocket = Pocket::start(config).await?;
            println!(
                "kubectl --kubeconfig {}",
                data_dir.join("admin.kubeconfig").display()
            );
            tokio::signal::ctrl_c().await?;
            pocket.shutdown().await;
            Ok(ExitCode::SUCCESS)
        })
}
