//! Kept connections of one worker.

use super::EndpointStream;
use crate::tls::BackendSecurity;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tidegate_runtime::Tick;

/// Idle connections kept for each endpoint and worker. A worker that had more requests in flight to
/// one endpoint opens the rest anew; beyond that the kernel's memory is better spent elsewhere.
const IDLE_MAX: usize = 512;

/// How long a connection may lie unused. Most servers keep theirs for 60 s or more; closing first is
/// what spares us requests sent into a closing connection. Each lives a little shorter, so that
/// connections opened together do not end together.
const IDLE_AGE: Duration = Duration::from_secs(30);

/// Idle connections by peer, the most recently used one first.
#[derive(Debug, Default)]
pub(crate) struct Pools {
    by_peer: RefCell<HashMap<Peer, Vec<Idle>>>,
}

/// What a connection leads to. Two backends may speak to one address in different manners, and never share a
/// connection then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// Of [`BackendSecurity`]; 0 without TLS.
    security: u64,
}

#[derive(Debug)]
struct Idle {
    stream: EndpointStream,
    expires: Tick,
}

impl Peer {
    pub(crate) fn new(address: SocketAddr, security: Option<&BackendSecurity>) -> Self {
        let security = security.map_or(0, BackendSecurity::id);
        Self { address, security }
    }
}

impl Pools {
    /// A connection on which nothing has happened since it was given back.
    pub(crate) fn take(&self, peer: Peer, now: Tick) -> Option<EndpointStream> {
        let mut pools = self.by_peer.borrow_mut();
        let idle = pools.get_mut(&peer)?;
        while let Some(Idle {
            mut stream,
            expires,
        }) = idle.pop()
        {
            if now < expires && is_quiet(&mut stream) {
                return Some(stream);
            }
        }
        None
    }

    /// Keeps a connection to `address` whose last answer was read to its end. `jitter` is any number. A stream of a
    /// shared connection needs no keeping.
    pub(crate) fn give(&self, address: SocketAddr, stream: EndpointStream, now: Tick, jitter: u32) {
        let security = match &stream {
            EndpointStream::Plain(_) => 0,
            EndpointStream::Tls(stream) => stream.security_id(),
            EndpointStream::Http2(_) => return,
        };
        let mut pools = self.by_peer.borrow_mut();
        let idle = pools.entry(Peer { address, security }).or_default();
        if idle.len() < IDLE_MAX {
            let spread = IDLE_AGE / 4 * (jitter % 256) / 256;
            idle.push(Idle {
                stream,
                expires: now + (IDLE_AGE - spread),
            });
        }
    }

    /// Closes what is too old or was closed by the other side, and forgets peers without any.
    pub(crate) fn sweep(&self, now: Tick) {
        self.by_peer.borrow_mut().retain(|_, idle| {
            idle.retain_mut(|kept| now < kept.expires && is_quiet(&mut kept.stream));
            idle.shrink_to(idle.len() * 2);
            !idle.is_empty()
        });
    }
}

/// Whether neither bytes nor an end have come. Costs a system call only if the event loop has seen
/// something on the socket since it was last read empty.
fn is_quiet(stream: &mut EndpointStream) -> bool {
    match stream {
        EndpointStream::Plain(stream) => {
            let read = stream.try_read(&mut [0]);
            matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
        }
        EndpointStream::Tls(stream) => stream.is_quiet(),
        EndpointStream::Http2(_) => false,
    }
}
