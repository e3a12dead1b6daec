//! What a pocket cluster is started with. Every value is checked before anything runs.

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use crate::cidr::PodCidr;
use crate::images::ImageTable;

/// Everything a pocket cluster needs to start.
#[derive(Debug, Clone)]
pub struct PocketConfig {
    /// Name of the cluster and of its one node.
    pub name: ClusterName,
    /// Where the store, the kubeconfig, the pod network choice and the logs are kept.
    pub data_dir: PathBuf,
    /// Address of the API server; port 0 picks a free one.
    pub api_listen: SocketAddr,
    /// Addresses for pods. `None` derives a free `127.x.0.0/16` from the name and remembers it.
    pub pod_cidr: Option<PodCidr>,
    /// Which images run, and as what.
    pub images: ImageTable,
    /// How to start [`pod_process_main`](crate::pod_process_main) in a process of its own.
    pub shim: ProcessShim,
}

/// Program and leading arguments that reach [`pod_process_main`](crate::pod_process_main).
///
/// Usually the running binary with a hidden subcommand.
#[derive(Debug, Clone)]
pub struct ProcessShim {
    /// The program to start.
    pub program: PathBuf,
    /// Arguments placed before those the kubelet adds.
    pub args: Vec<OsString>,
}

impl ProcessShim {
    /// The running executable with `args` in front.
    ///
    /// # Errors
    /// When the operating system does not say what the running executable is.
    pub fn current_exe<I, S>(args: I) -> std::io::Result<Self>
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        Ok(Self {
            program: std::env::current_exe()?,
            args: args.into_iter().map(Into::into).collect(),
        })
    }
}

/// A cluster name: a lower-case RFC 1123 label, because it also names the node.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterName(String);

impl ClusterName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A cluster name that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "--name {name:?} is not usable: give 1 to 63 characters out of a-z, 0-9 and '-', starting and ending with a letter or digit"
)]
pub struct InvalidClusterName {
    name: String,
}

impl FromStr for ClusterName {
    type Err = InvalidClusterName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let alphanumeric = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        let bytes = name.as_bytes();
        let fits = (1..=63).contains(&bytes.len())
            && bytes.iter().all(|&c| alphanumeric(c) || c == b'-')
            && bytes.first().copied().is_some_and(alphanumeric)
            && bytes.last().copied().is_some_and(alphanumeric);
        if fits {
            Ok(Self(name.to_owned()))
        } else {
            Err(InvalidClusterName {
                name: name.to_owned(),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_rfc_1123_labels() {
        for good in ["az1", "a", "1", "a-b", &"x".repeat(63)] {
            assert!(good.parse::<ClusterName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a_b", "é", &"x".repeat(64)] {
            let error = bad.parse::<ClusterName>().expect_err(bad);
            assert!(error.to_string().starts_with("--name "), "{error}");
        }
    }
}
