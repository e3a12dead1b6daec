//! A pocket cluster: API server, workload controllers and a process kubelet on one machine.

mod backoff;
mod cidr;
mod config;
mod control;
mod events;
mod hash;
mod images;

pub use cidr::{CidrError, InvalidPodCidr, PodCidr};
pub use config::{ClusterName, InvalidClusterName, PocketConfig, ProcessShim};
pub use images::{ImageTable, InvalidMapping};
