//! The PROXY protocol: a load balancer that passes on connections says before their first byte whose they are.
//!
//! Only peers that are listed in the settings speak it, and they must: the specification forbids to guess (section 2),
//! since whoever may choose also chooses who he is. Nothing behind the header is read, so that what follows, TLS or
//! HTTP, is read by those who know it.

mod header;

use header::{HEADER_MAX, Header, Malformed};
use std::fmt;
use std::io;
use std::net::IpAddr;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Why a connection of a listed peer is closed.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It ended or failed before the header did.
    Io(io::Error),
    /// What came is no header.
    Malformed(Malformed),
}

/// Reads the header and nothing behind it. The client it names; none when the peer speaks for itself, as in its
/// own health checks. May be dropped at any time, with the connection. Does not limit how long it takes.
///
/// # Errors
/// The connection is of no use any more.
pub(crate) async fn read(stream: &mut TcpStream) -> Result<Option<IpAddr>, Refused> {
    // Nearly all headers fit into this.
    let mut received: Vec<u8> = Vec::with_capacity(128);
    let mut window = [0; 128];
    loop {
        let room = window.len().min(HEADER_MAX - received.len());
        let count = stream
            .peek(&mut window[..room])
            .await
            .map_err(Refused::Io)?;
        if count == 0 {
            return Err(Refused::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        let before = received.len();
        received.extend_from_slice(&window[..count]);
        let header = Header::parse(&received).map_err(Refused::Malformed)?;
        // As long as the header has not ended, all that has come is a part of it.
        let ours = header
            .as_ref()
            .map_or(count, |header| header.length - before);
        stream
            .read_exact(&mut window[..ours])
            .await
            .map_err(Refused::Io)?;
        if let Some(header) = header {
            return Ok(header.source);
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the header does not come to its end: {error}"),
            Self::Malformed(malformed) => f.write_str(malformed.as_str()),
        }
    }
}

#[cfg(test)]
mod tests;
