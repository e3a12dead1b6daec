//! The loopback network of a pocket cluster: which one it is, and which pod gets which address.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tokio::net::{TcpListener, TcpSocket};

/// A loopback network for pods, inside `127.0.0.0/8`, between `/16` and `/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PodCidr {
    base: u32,
    prefix: u8,
}

/// A value of `--pod-cidr` that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "--pod-cidr {value:?} is not usable: {reason}; give a loopback network such as 127.77.0.0/16"
)]
pub struct InvalidPodCidr {
    value: String,
    reason: &'static str,
}

impl FromStr for PodCidr {
    type Err = InvalidPodCidr;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        let bad = |reason| InvalidPodCidr {
            value: value.to_owned(),
            reason,
        };
        let (address, prefix) = value
            .split_once('/')
            .ok_or_else(|| bad("it has no prefix length"))?;
        let address: Ipv4Addr = address
            .parse()
            .map_err(|_| bad("the address is not IPv4"))?;
        let prefix: u8 = prefix
            .parse()
            .map_err(|_| bad("the prefix length is not a number"))?;
        if !address.is_loopback() {
            return Err(bad("it is not inside 127.0.0.0/8"));
        }
        if !(16..=24).contains(&prefix) {
            return Err(bad("the prefix length must be between 16 and 24"));
        }
        let cidr = Self {
            base: u32::from(address),
            prefix,
        };
        if cidr.base & cidr.host_mask() != 0 {
            return Err(bad("the address has bits set after the prefix"));
        }
        Ok(cidr)
    }
}

impl fmt::Display for PodCidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.base), self.prefix)
    }
}

impl PodCidr {
    fn host_mask(self) -> u32 {
        u32::MAX >> self.prefix
    }

    /// The node's own address: the first of the network.
    #[must_use]
    pub fn node_ip(self) -> Ipv4Addr {
        Ipv4Addr::from(self.base | 1)
    }

    /// Whether `ip` may be given to a pod: inside, not the node's, not ending in 0 or 255.
    #[must_use]
    pub fn is_pod_ip(self, ip: Ipv4Addr) -> bool {
        let bits = u32::from(ip);
        bits & !self.host_mask() == self.base
            && ip != self.node_ip()
            && !matches!(ip.octets()[3], 0 | 255)
    }

    fn nth(self, offset: u32) -> Ipv4Addr {
        Ipv4Addr::from(self.base | (offset & self.host_mask()))
    }
}

/// Hands out pod addresses, going round the network so that an address is reused as late as possible:
/// clients that still hold the address of a dead pod then meet a refused connection, not a stranger.
#[derive(Debug)]
pub(crate) struct AddressPool {
    cidr: PodCidr,
    cursor: u32,
}

impl AddressPool {
    /// A pool that continues after the highest address in `used`.
    pub(crate) fn new(cidr: PodCidr, used: &BTreeSet<Ipv4Addr>) -> Self {
        let highest = used.iter().filter(|ip| cidr.is_pod_ip(**ip)).max();
        let cursor = highest.map_or(1, |ip| u32::from(*ip) & cidr.host_mask());
        Self { cidr, cursor }
    }

    /// The next address not in `used`; `None` when the network is full.
    pub(crate) fn allocate(&mut self, used: &BTreeSet<Ipv4Addr>) -> Option<Ipv4Addr> {
        for _ in 0..=self.cidr.host_mask() {
            self.cursor = self.cursor.wrapping_add(1) & self.cidr.host_mask();
            let ip = self.cidr.nth(self.cursor);
            if self.cidr.is_pod_ip(ip) && !used.contains(&ip) {
                return Some(ip);
            }
        }
        None
    }
}

/// Port on the node address that a pocket cluster keeps bound, without listening, to mark its network as taken.
const CLAIM_PORT: u16 = 20250;

/// The second octets tried for a derived network. Below 16 are addresses people use by hand.
const OCTETS: std::ops::RangeInclusive<u8> = 16..=254;

/// Proof that this process owns a pod network, as long as it lives.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) cidr: PodCidr,
    _bound: TcpSocket,
}

/// Why no pod network could be had.
#[derive(Debug, thiserror::Error)]
pub enum CidrError {
    /// The chosen network belongs to another running pocket cluster.
    #[error(
        "--pod-cidr {cidr} is in use by another pocket cluster; stop that one or give another network"
    )]
    Taken {
        /// The network asked for.
        cidr: PodCidr,
    },
    /// The operating system refuses addresses of the network.
    #[error("--pod-cidr {cidr}: address {ip} cannot be bound on this machine")]
    Unusable {
        /// The network asked for.
        cidr: PodCidr,
        /// The address that was tried.
        ip: Ipv4Addr,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Every network that could be derived from the name is taken.
    #[error("no free loopback network is left; give one with --pod-cidr")]
    Exhausted,
    /// The remembered choice cannot be read, written or understood.
    #[error(
        "the remembered pod network in {path} is not usable; correct the file or give --pod-cidr"
    )]
    Remembered {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: io::Error,
    },
}

/// Claims the network asked for, else the remembered one, else the first free one derived from `name`;
/// remembers the outcome in `data_dir`.
pub(crate) fn claim(
    name: &str,
    asked: Option<PodCidr>,
    data_dir: &Path,
) -> Result<Claim, CidrError> {
    let path = data_dir.join("pod-cidr");
    let at = |source| CidrError::Remembered {
        path: path.clone(),
        source,
    };
    let remembered = match std::fs::read_to_string(&path) {
        Ok(text) => Some(
            text.trim()
                .parse::<PodCidr>()
                .map_err(|e| at(io::Error::new(io::ErrorKind::InvalidData, e)))?,
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(at(error)),
    };
    let claim = match asked.or(remembered.filter(|_| asked.is_none())) {
        Some(cidr) => bind(cidr)?,
        None => candidates(name)
            .find_map(|cidr| bind(cidr).ok())
            .ok_or(CidrError::Exhausted)?,
    };
    if remembered != Some(claim.cidr) {
        std::fs::write(&path, format!("{}\n", claim.cidr)).map_err(at)?;
    }
    Ok(claim)
}

/// All derived networks, starting at the one the name hashes to.
fn candidates(name: &str) -> impl Iterator<Item = PodCidr> + use<> {
    let count = u32::from(*OCTETS.end() - *OCTETS.start()) + 1;
    let first = crate::hash::fnv32(name.as_bytes()) % count;
    (0..count).map(move |i| {
        let octet = u32::from(*OCTETS.start()) + (first + i) % count;
        PodCidr {
            base: 127 << 24 | octet << 16,
            prefix: 16,
        }
    })
}

fn bind(cidr: PodCidr) -> Result<Claim, CidrError> {
    let ip = cidr.node_ip();
    let unusable = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => CidrError::Taken { cidr },
        _ => CidrError::Unusable { cidr, ip, source },
    };
    let socket = TcpSocket::new_v4().map_err(unusable)?;
    socket
        .bind(SocketAddr::from((ip, CLAIM_PORT)))
        .map_err(unusable)?;
    Ok(Claim {
        cidr,
        _bound: socket,
    })
}

/// Whether a listener can be had on `ip` at all.
pub(crate) async fn can_listen(ip: Ipv4Addr) -> io::Result<()> {
    TcpListener::bind(SocketAddr::from((ip, 0))).await.map(drop)
}

#[cfg(test)]
mod tests;
