//! Listening sockets: one for each worker and address, all on the same port.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};

/// A listener that could not be had.
#[derive(Debug, thiserror::Error)]
#[error("address {address} cannot be listened on")]
pub(crate) struct ListenError {
    pub(crate) address: SocketAddr,
    #[source]
    pub(crate) source: io::Error,
}

/// An address with a listener for each worker.
#[derive(Debug)]
pub(crate) struct Port {
    /// With the port that was taken.
    pub(crate) address: SocketAddr,
    pub(crate) listeners: Vec<TcpListener>,
}

/// Connections that the kernel completes for us while we are busy; it caps the number itself
/// (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// Binds `address` once for each of `workers`; the kernel spreads connections over them.
pub(crate) fn bind(address: SocketAddr, workers: usize) -> Result<Port, ListenError> {
    let refuse = |source| ListenError { address, source };
    let first = bind_one(address).map_err(refuse)?;
    let bound = first.local_addr().map_err(refuse)?;
    let mut listeners = vec![first];
    for _ in 1..workers {
        listeners.push(bind_one(bound).map_err(refuse)?);
    }
    Ok(Port {
        address: bound,
        listeners,
    })
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    // A restart must not wait for connections of the past.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Inherited by every connection that is accepted.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// How many connections from clients each of `workers` may have, so that each can have one to an
/// endpoint as well. Raises the process's limit of descriptors as far as it may.
pub(crate) fn connections_max(workers: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    /// Listeners, the feed, the admin port, probes, files.
    const OTHERS: u64 = 512;
    /// Memory for that many idle connections is a few hundred MB.
    const ENOUGH: u64 = 1_000_000;
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(ENOUGH).min(ENOUGH);
    let raised = Rlimit {
        current: Some(wanted),
        maximum: limit.maximum,
    };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => wanted,
        Err(_) => limit.current.unwrap_or(ENOUGH),
    };
    let for_pairs = current.saturating_sub(OTHERS).max(current / 2);
    let each = usize::try_from(for_pairs / 2).unwrap_or(usize::MAX) / workers;
    each.max(1)
}
