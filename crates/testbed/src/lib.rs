//! The rig of the end-to-end tests: the real binary, in real processes, driven from outside.
//!
//! ```text
//! Rig ── Daemon (server, pocket, gateway: data directory, ready line, log, restart at the same address)
//!  │        ├── Kubectl   the real kubectl against its API
//!  │        └── client()  a kube client for the same API
//!  ├──── Process          any other run of the binary: demo, cluster join
//!  └──── Load             open-loop requests through the gateway, counted by serving cluster
//! ```
//!
//! A test is an async block that gets a [`Rig`]; see [`Rig::run`]. Tests wait for conditions
//! ([`wait_for`]), never for time to pass. When one fails, what its processes logged is printed. When it
//! ends, however it ends, everything that it started is killed, by process id.
//!
//! [`Sites`] are its sister for what needs networks that fail: clusters in network namespaces of their own.
//!
//! The rig knows the commands and what they promise, not the code behind them: it depends on no other
//! crate of the workspace.

mod daemon;
mod http;
mod kubectl;
mod load;
mod process;
mod ready;
mod rig;
mod shop;
mod sites;
mod skip;
mod tree;
mod wait;

pub use daemon::Daemon;
pub use http::{Answer, Connection, get, request};
pub use kubectl::Kubectl;
pub use load::{Failure, Load, Outcome, Target};
pub use process::{Finished, Process};
pub use ready::Ready;
pub use rig::Rig;
pub use shop::SHOP;
pub use sites::{Fault, Sites, Strategy};
pub use tree::ProcessId;
pub use wait::{SOON, wait_for};

/// What tests and the rig return: the error is for people, with its causes.
pub type Result<T = ()> = anyhow::Result<T>;
