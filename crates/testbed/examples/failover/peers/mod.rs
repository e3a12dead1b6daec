//! The proxies, each tuned for failover as a good operator would: one worker, no access log, kept connections,
//! and no POST sent again once a byte of it was sent, as far as each can be told so.

mod envoy;
mod haproxy;
mod nginx;

use std::net::SocketAddr;

use tidegate_testbed::{Process, Result, SOON, Sites, Strategy, wait_for};

/// Where the peers listen: there is nobody else in this network.
const LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 8000);

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proxy {
    Tidegate,
    Nginx,
    Haproxy,
    Envoy,
    /// Envoy that asks another server too after 250 ms.
    EnvoyHedging,
}

impl Proxy {
    pub(crate) fn parse(word: &str) -> Result<Self> {
        Ok(match word {
            "tidegate" => Self::Tidegate,
            "nginx" => Self::Nginx,
            "haproxy" => Self::Haproxy,
            "envoy" => Self::Envoy,
            "envoy-hedging" => Self::EnvoyHedging,
            _ => anyhow::bail!(
                "{word:?} is no proxy: tidegate, nginx, haproxy, envoy, envoy-hedging"
            ),
        })
    }
}

/// Starts it before all clusters; its process, and where it listens.
pub(crate) async fn start(
    sites: &Sites,
    proxy: Proxy,
    strategy: Strategy,
) -> Result<(Process, SocketAddr)> {
    let listen = SocketAddr::from(LISTEN);
    let process = match proxy {
        Proxy::Tidegate => {
            let config = sites.gateway_config(strategy);
            let (process, ready) = sites.start_gateway(&config).await?;
            return Ok((process, ready.address("http")?));
        }
        Proxy::Nginx => nginx::start(sites, strategy, listen)?,
        Proxy::Haproxy => haproxy::start(sites, strategy, listen)?,
        Proxy::Envoy => envoy::start(sites, strategy, listen, envoy::Hedging::Off)?,
        Proxy::EnvoyHedging => envoy::start(sites, strategy, listen, envoy::Hedging::On)?,
    };
    wait_for("the proxy to listen", SOON, async || {
        anyhow::ensure!(process.is_alive(), "it ended: {}", process.stderr());
        tokio::net::TcpStream::connect(listen).await?;
        Ok(())
    })
    .await?;
    Ok((process, listen))
}

/// Every server, with the number of its cluster.
fn servers(sites: &Sites) -> Vec<(usize, SocketAddr)> {
    let clusters = sites.addresses().enumerate();
    clusters
        .flat_map(|(cluster, (_, addresses))| addresses.iter().map(move |a| (cluster, *a)))
        .collect()
}

/// Whether a server of this cluster only stands by.
fn is_backup(cluster: usize, strategy: Strategy) -> bool {
    strategy == Strategy::PrimaryBackup && cluster > 0
}
