//! Where a feed is served.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// The address of a feed: `unix:/path` or `IP:PORT` on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FeedAddress {
    /// A Unix socket, open to its owner only.
    Unix(PathBuf),
    /// A TCP port on a loopback address.
    Tcp(SocketAddr),
}

/// An address no feed can be served at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("feed address {address:?} is not valid: {reason}")]
pub struct InvalidFeedAddress {
    /// The text as it came.
    pub address: String,
    /// Why it is refused.
    pub reason: &'static str,
}

/// What `sockaddr_un` holds, less the closing zero.
const UNIX_PATH_LEN_MAX: usize = 107;

impl FromStr for FeedAddress {
    type Err = InvalidFeedAddress;

    fn from_str(text: &str) -> Result<Self, InvalidFeedAddress> {
        let refuse = |reason| {
            Err(InvalidFeedAddress {
                address: text.to_owned(),
                reason,
            })
        };
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.len() {
                0 => refuse("a path must follow 'unix:'"),
                len if len > UNIX_PATH_LEN_MAX => refuse(
                    "a Unix socket's path may have at most 107 bytes; choose a shorter data directory",
                ),
                _ => Ok(Self::Unix(path.into())),
            };
        }
        match text.parse::<SocketAddr>() {
            Err(_) => refuse("write 'unix:/path' or 'IP:PORT'"),
            Ok(address) if !address.ip().is_loopback() => refuse(
                "the feed is neither encrypted nor authenticated, so only loopback addresses are allowed",
            ),
            Ok(address) => Ok(Self::Tcp(address)),
        }
    }
}

impl fmt::Display for FeedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}
