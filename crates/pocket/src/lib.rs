//! A pocket cluster: API server, workload controllers and a process kubelet on one machine.

mod backoff;
mod cidr;
mod config;
mod control;
mod echo;
mod events;
mod hash;
mod images;
mod kubelet;
mod pocket;
mod shim;

pub use cidr::{CidrError, InvalidPodCidr, PodCidr};
pub use config::{ClusterName, InvalidClusterName, PocketConfig, ProcessShim};
pub use images::{ImageTable, InvalidMapping};
pub use pocket::{Pocket, PocketError};
pub use shim::pod_process_main;
