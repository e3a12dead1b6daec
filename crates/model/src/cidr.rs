//! Ranges of addresses.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A range of addresses: `10.0.0.0/8`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr(IpNet);

/// A text that is no range of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidCidr {
    /// As it was written.
    pub text: String,
}

impl Cidr {
    /// Whether `address` lies in it. An IPv4 address written as IPv6 (`::ffff:10.0.0.1`) is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Cidr {
    type Err = InvalidCidr;

    /// Bits behind the prefix are dropped, as nginx does: `10.1.2.3/8` is `10.0.0.0/8`.
    fn from_str(text: &str) -> Result<Self, InvalidCidr> {
        let range = match text.contains('/') {
            true => text.parse::<IpNet>().ok(),
            false => text.parse::<IpAddr>().ok().map(IpNet::from),
        };
        match range {
            Some(range) => Ok(Self(range.trunc())),
            None => Err(InvalidCidr {
                text: text.to_owned(),
            }),
        }
    }
}

impl TryFrom<String> for Cidr {
    type Error = InvalidCidr;

    fn try_from(text: String) -> Result<Self, InvalidCidr> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(range: Cidr) -> Self {
        range.to_string()
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.prefix_len() == self.0.max_prefix_len() {
            true => self.0.addr().fmt(f),
            false => self.0.fmt(f),
        }
    }
}

impl fmt::Display for InvalidCidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is neither an address nor a range such as 10.0.0.0/8",
            self.text
        )
    }
}

impl std::error::Error for InvalidCidr {}
