//! Serves an API until Ctrl-C: `cargo run -p tidegate-apiserver --example serve -- [DIR] [IP:PORT]`.

use std::net::SocketAddr;
use tidegate_apiserver::{Config, Server};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter("info")
        .init();
    let mut config = Config::in_memory("example");
    let mut arguments = std::env::args().skip(1);
    config.data_dir = arguments.next().map(Into::into);
    if let Some(address) = arguments.next() {
        config.listen = address.parse::<SocketAddr>()?;
    }
    let server = Server::start(config).await?;
    println!("{}", server.admin_kubeconfig());
    tokio::signal::ctrl_c().await?;
    server.shutdown().await;
    Ok(())
}
