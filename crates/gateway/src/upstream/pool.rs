//! Kept connections of one worker.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tidegate_runtime::Tick;
use tokio::net::TcpStream;

/// Idle connections kept for each endpoint and worker. A worker that had more requests in flight to
/// one endpoint opens the rest anew; beyond that the kernel's memory is better spent elsewhere.
const IDLE_MAX: usize = 512;

/// How long a connection may lie unused. Most servers keep theirs for 60 s or more; closing first is
/// what spares us requests sent into a closing connection. Each lives a little shorter, so that
/// connections opened together do not end together.
const IDLE_AGE: Duration = Duration::from_secs(30);

/// Idle connections by endpoint, the most recently used one first.
#[derive(Debug, Default)]
pub(crate) struct Pools {
    by_endpoint: RefCell<HashMap<SocketAddr, Vec<Idle>>>,
}

#[derive(Debug)]
struct Idle {
    stream: TcpStream,
    expires: Tick,
}

impl Pools {
    /// A connection on which nothing has happened since it was given back.
    pub(crate) fn take(&self, endpoint: SocketAddr, now: Tick) -> Option<TcpStream> {
        let mut pools = self.by_endpoint.borrow_mut();
        let idle = pools.get_mut(&endpoint)?;
        while let Some(Idle { stream, expires }) = idle.pop() {
            if now < expires && is_quiet(&stream) {
                return Some(stream);
            }
        }
        None
    }

    /// Keeps a connection whose last answer was read to its end. `jitter` is any number.
    pub(crate) fn give(&self, endpoint: SocketAddr, stream: TcpStream, now: Tick, jitter: u32) {
        let mut pools = self.by_endpoint.borrow_mut();
        let idle = pools.entry(endpoint).or_default();
        if idle.len() < IDLE_MAX {
            let spread = IDLE_AGE / 4 * (jitter % 256) / 256;
            idle.push(Idle {
                stream,
                expires: now + (IDLE_AGE - spread),
            });
        }
    }

    /// Closes what is too old or was closed by the other side, and forgets endpoints without any.
    pub(crate) fn sweep(&self, now: Tick) {
        self.by_endpoint.borrow_mut().retain(|_, idle| {
            idle.retain(|kept| now < kept.expires && is_quiet(&kept.stream));
            idle.shrink_to(idle.len() * 2);
            !idle.is_empty()
        });
    }
}

/// Whether neither bytes nor an end have come. Costs a system call only if the event loop has seen
/// something on the socket since it was last read empty.
fn is_quiet(stream: &TcpStream) -> bool {
    matches!(stream.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}
