//! A pocket cluster: API server, workload controllers and a process kubelet on one machine.
//!
//! ```text
//!  kubectl ─┐
//!           ├─ API server ─┬─ controllers (`control`): Deployment, ReplicaSet, EndpointSlice, scheduling,
//!  kube-rs ─┘   (a crate   │                           default ServiceAccount
//!               of its own)└─ kubelet (`kubelet`):     one worker for each pod ── processes, each tied to
//!                                                      this one's life by `pod_process_main` (`shim`)
//! ```
//!
//! Controllers and kubelet are clients of the API like any other. What they decide is written as functions of what
//! they see (`plan`, `place`, the containers and the status of a pod); few lines carry it out.
//!
//! [`Pocket::start`] runs a cluster. The program that calls it must also offer [`pod_process_main`] in a process of
//! its own, usually by a hidden subcommand, which [`ProcessShim`] names:
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use tidegate_pocket::{ImageTable, Pocket, PocketConfig, ProcessShim};
//!
//! let pocket = Pocket::start(PocketConfig {
//!     name: "az1".parse()?,
//!     data_dir: "/var/lib/az1".into(),
//!     api_listen: ([127, 0, 0, 1], 6443).into(),
//!     pod_cidr: None,
//!     images: ImageTable::default(),
//!     shim: ProcessShim::current_exe(["pod-process"])?,
//! })
//! .await?;
//! println!("{}", pocket.kubeconfig());
//! pocket.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What a pod is here
//!
//! A process group for each container, on a loopback address of the pod's own. There is no isolation: a mapped
//! program sees the machine's files and network, so only programs named in the [`ImageTable`] run. A process is told
//! its pod's address by `fieldRef: status.podIP` and should listen there alone. When the cluster's process dies,
//! however, its pods die; when it is started again on the same directory, they run again on the same addresses, with
//! their restarts counted up.
//!
//! # What is left out
//!
//! - StatefulSet, DaemonSet, Job, autoscaling, disruption budgets: the API stores some of them, nobody acts on them.
//! - Service addresses: a ClusterIP is allocated and shown, but nothing forwards from it, and there is no DNS.
//!   EndpointSlices name the pods. Endpoints objects are not written.
//! - Of pods: init and ephemeral containers (refused on the pod), volumes and service account tokens (ignored),
//!   `command` (refused: the image decides the program), exec and gRPC probes and HTTPS (refused), lifecycle hooks,
//!   readiness gates, resources, security contexts, host ports, priorities, taints and affinity (ignored).
//!   `nodeSelector` is honoured.
//! - exec, attach, port-forward and `logs --since`: log lines carry no time.
//! - A log beyond 16 MiB is emptied.
//! - Back-off is shorter than in Kubernetes: at once, then 1 s doubling to 60 s, forgotten after a run of 2 min.
//! - One node. Its Lease is renewed, but nobody evicts pods when it is not.

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
