//! A small Kubernetes-compatible API server over an embedded store.

mod crd;
mod discovery;
mod lifecycle;
mod logs;
mod object;
mod ops;
mod patch;
mod printing;
mod random;
mod registry;
mod selector;
mod server;
mod service_ip;
mod status;
mod store;
mod types;

pub use logs::{Follow, LogError, LogRequest, LogSource, LogStream, Run};
pub use server::{Config, PkiError, Readyz, Server, StartError};
pub use service_ip::ServiceCidr;
pub use store::StoreError;
