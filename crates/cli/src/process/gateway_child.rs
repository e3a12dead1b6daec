//! The gateway that a hub starts beside itself: at one address for good, found again by the next hub.

use std::ffi::OsString;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt,
};
use tidegate_feed::FeedAddress;
use tidegate_hub::gateway_process::{
    GATEWAY_LOG_FILE, GATEWAY_PID_FILE, GatewayHandle, GatewayProcess, GatewaySpec, GatewayStatus,
};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::http_get::get;
use super::ready::ADMIN_ADDR_FILE;
use super::tree::noted;

/// Its addresses, for the next hub that is asked for "any free port".
const HTTP_ADDR_FILE: &str = "http.addr";
const HTTPS_ADDR_FILE: &str = "https.addr";

/// From its start to its first snapshot; it takes a tenth of a second.
const READY_WITHIN: Duration = Duration::from_secs(20);

const POLL: Duration = Duration::from_millis(5);

/// Requests in flight may take as long as the gateway lets them (30 s), and a little more.
const GRACE: Duration = Duration::from_secs(35);

/// What the gateway is started with.
#[derive(Debug)]
pub(crate) struct GatewayFlags {
    /// Its data directory.
    pub(crate) dir: PathBuf,
    /// Where the hub publishes.
    pub(crate) feed: FeedAddress,
    /// Where it serves; port 0 takes a free one, and the same one again next time.
    pub(crate) http_listen: SocketAddr,
    /// The same for TLS.
    pub(crate) https_listen: Option<SocketAddr>,
    /// How many threads serve; one a core without.
    pub(crate) workers: Option<NonZero<usize>>,
}

/// The gateway of this hub. Dropping it leaves the gateway serving.
#[derive(Debug)]
pub(crate) struct GatewayChild {
    dir: PathBuf,
    http: Place,
    https: Option<Place>,
    handle: GatewayHandle,
}

/// Where it serves.
#[derive(Debug)]
struct Place {
    address: SocketAddr,
    /// Keeps the port for a gateway that has to be started again: bound, and never listening.
    _port: OwnedFd,
}

impl GatewayChild {
    /// Starts the gateway, or adopts the one an earlier hub left.
    ///
    /// # Errors
    /// When the address is taken, or the process cannot be started.
    pub(crate) async fn ensure(
        flags: GatewayFlags,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Self> {
        let GatewayFlags {
            dir,
            feed,
            http_listen,
            https_listen,
            workers,
        } = flags;
        let http = place(&dir, "--http-listen", http_listen, HTTP_ADDR_FILE)?;
        let https = https_listen
            .map(|listen| place(&dir, "--https-listen", listen, HTTPS_ADDR_FILE))
            .transpose()?;
        let mut args: Vec<OsString> = vec![
            "gateway".into(),
            "--feed".into(),
            feed.to_string().into(),
            "--data-dir".into(),
            dir.clone().into(),
            "--http-listen".into(),
            http.address.to_string().into(),
        ];
        if let Some(https) = &https {
            args.extend(["--https-listen".into(), https.address.to_string().into()]);
        }
        if let Some(workers) = workers {
            args.extend(["--workers".into(), workers.to_string().into()]);
        }
        let exec = std::env::current_exe().context("finding this program")?;
        let spec = GatewaySpec {
            exec,
            args,
            dir: dir.clone(),
        };
        let handle = GatewayProcess::ensure(spec, shutdown)
            .await
            .context("starting the gateway")?;
        let notes = [
            (HTTP_ADDR_FILE, Some(&http)),
            (HTTPS_ADDR_FILE, https.as_ref()),
        ];
        for (name, place) in notes {
            let Some(Place { address, .. }) = place else {
                continue;
            };
            let note = dir.join(name);
            tidegate_runtime::atomic_file::write(&note, format!("{address}\n").as_bytes(), 0o644)
                .with_context(|| format!("writing {}", note.display()))?;
        }
        Ok(Self {
            dir,
            http,
            https,
            handle,
        })
    }

    /// Where it serves.
    pub(crate) fn http(&self) -> SocketAddr {
        self.http.address
    }

    /// Where it serves over TLS.
    pub(crate) fn https(&self) -> Option<SocketAddr> {
        self.https.as_ref().map(|place| place.address)
    }

    /// Its process, now and whenever that changes.
    pub(crate) fn status(&self) -> watch::Receiver<GatewayStatus> {
        self.handle.status()
    }

    /// Waits until it serves a snapshot; its admin address.
    ///
    /// # Errors
    /// When it does not within twenty seconds, with what it said last.
    pub(crate) async fn ready(&self) -> anyhow::Result<SocketAddr> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let trouble = match self.ask().await {
                Ok(admin) => return Ok(admin),
                Err(error) => super::one_line(&error),
            };
            if Instant::now() > deadline {
                let status = self.handle.status().borrow().clone();
                let ended = status
                    .last_exit
                    .map(|how| format!("; it ended with {how}"))
                    .unwrap_or_default();
                let log = self.dir.join(GATEWAY_LOG_FILE);
                bail!(
                    "the gateway is not ready after {} s: {trouble}{ended} (log: {})",
                    READY_WITHIN.as_secs(),
                    log.display()
                );
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn ask(&self) -> anyhow::Result<SocketAddr> {
        let path = self.dir.join(ADMIN_ADDR_FILE);
        let text =
            std::fs::read_to_string(&path).context("it has not said where its admin port is")?;
        let admin = text
            .trim()
            .parse()
            .with_context(|| format!("{} holds no address", path.display()))?;
        let (status, body) = get(admin, "gateway", "/readyz").await?;
        anyhow::ensure!(status.is_success(), "{}", String::from_utf8_lossy(&body));
        Ok(admin)
    }

    /// Ends it, with time for requests in flight.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.handle.stop(GRACE).await.context("ending the gateway")
    }
}

fn place(dir: &Path, flag: &str, asked: SocketAddr, note: &str) -> anyhow::Result<Place> {
    let (port, address) = address(dir, asked, note).with_context(|| {
        format!("{flag} {asked}: another process serves there, or it is no address of this machine")
    })?;
    Ok(Place {
        address,
        _port: port,
    })
}

/// The address to serve at, and the socket that keeps it. `note` holds the one of the last time.
fn address(dir: &Path, asked: SocketAddr, note: &str) -> io::Result<(OwnedFd, SocketAddr)> {
    if asked.port() == 0 {
        let earlier = std::fs::read_to_string(dir.join(note)).ok();
        let earlier = earlier.and_then(|text| text.trim().parse::<SocketAddr>().ok());
        if let Some(earlier) = earlier.filter(|earlier| earlier.ip() == asked.ip())
            && let Ok(kept) = keep(dir, earlier)
        {
            return Ok(kept);
        }
    }
    keep(dir, asked)
}

/// Gateways share their port with SO_REUSEPORT, so binding succeeds beside any other gateway of this
/// user, whose requests would then be split between both. Only one's own may be there already.
fn keep(dir: &Path, address: SocketAddr) -> io::Result<(OwnedFd, SocketAddr)> {
    if noted(&dir.join(GATEWAY_PID_FILE)).is_none() {
        drop(TcpListener::bind(address)?);
    }
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    bind(&socket, &address)?;
    let bound = SocketAddr::try_from(getsockname(&socket)?)?;
    Ok((socket, bound))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_is_the_same_one_next_time() {
        let dir = tempfile::tempdir().expect("a directory");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (socket, first) = address(dir.path(), any, HTTP_ADDR_FILE).expect("there are ports");
        std::fs::write(dir.path().join(HTTP_ADDR_FILE), format!("{first}\n")).expect("writable");
        drop(socket);
        let (_socket, second) = address(dir.path(), any, HTTP_ADDR_FILE).expect("there are ports");
        assert_eq!(first, second);
    }

    #[test]
    fn a_port_where_somebody_else_listens_is_not_shared() {
        let dir = tempfile::tempdir().expect("a directory");
        let other = TcpListener::bind("127.0.0.1:0").expect("there are ports");
        let taken = other.local_addr().expect("it is bound");
        let error = address(dir.path(), taken, HTTP_ADDR_FILE).expect_err("taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
