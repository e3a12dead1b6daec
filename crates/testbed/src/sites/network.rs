//! The network of one cluster: a namespace, a cable to it, and what may come through.

use std::net::{Ipv4Addr, SocketAddr};

use crate::Result;

use super::isolate::run;

/// Where the servers of all clusters listen.
const PORT: u16 = 8080;

/// The cable's name in the cluster.
const FAR_END: &str = "uplink";

/// A network namespace at the other end of a cable. It lives as long as this run.
#[derive(Debug)]
pub(super) struct Network {
    /// The cable's name here, and the namespace's.
    name: String,
    addresses: Vec<SocketAddr>,
}

impl Network {
    /// Network number `number`, with so many addresses.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(super) fn lay(name: &str, number: u8, addresses: u8) -> Result<Self> {
        let network = Self {
            name: name.to_owned(),
            addresses: (1..=addresses)
                .map(|host| (Ipv4Addr::new(10, 77, number, host), PORT).into())
                .collect(),
        };
        run("ip", &["netns", "add", name])?;
        let far = FAR_END;
        let cable = ["link", "add", name, "type", "veth", "peer", "name", far];
        run("ip", &[&cable[..], &["netns", name]].concat())?;
        let here = format!("10.77.{number}.254/24");
        run("ip", &["address", "add", &here, "dev", name])?;
        run("ip", &["link", "set", name, "up"])?;
        for address in &network.addresses {
            let there = format!("{}/24", address.ip());
            let add = ["-n", name, "address", "add", &there, "dev", far];
            run("ip", &add)?;
        }
        run("ip", &["-n", name, "link", "set", "lo", "up"])?;
        run("ip", &["-n", name, "link", "set", far, "up"])?;
        Ok(network)
    }

    /// Where its servers listen.
    pub(super) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The argument by which `nsenter` puts a program into this network.
    pub(super) fn enter(&self) -> String {
        format!("--net=/run/netns/{}", self.name)
    }

    /// From now on every packet between it and us is dropped, both ways. On input: a rule on output would tell
    /// the sender, which no real network does.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(super) fn cut(&self) -> Result {
        run("nsenter", &[&self.enter(), "nft", &self.drop_from(FAR_END)])?;
        run("nft", &[&self.drop_from(&self.name)])
    }

    /// Takes [`Network::cut`] back.
    ///
    /// # Errors
    /// When it was not cut.
    pub(super) fn mend(&self) -> Result {
        let restore = format!("delete table inet {}", self.name);
        run("nsenter", &[&self.enter(), "nft", &restore])?;
        run("nft", &[&restore])
    }

    /// Rules that drop all that comes from a device.
    fn drop_from(&self, device: &str) -> String {
        let table = &self.name;
        format!(
            "add table inet {table}; \
             add chain inet {table} in {{ type filter hook input priority 0; }}; \
             add rule inet {table} in iifname {device} drop"
        )
    }
}
