//! The demo: a fleet on one machine whose cluster dies while no request fails.
//!
//! ```text
//! run ──── Fleet ── Child (server, az1, az2: processes that die with the demo)
//!  │         └── fail / heal: kill, hang, errors
//!  ├────── Load (crate::load), from the first answered request on
//!  ├────── health: what the gateway says of the clusters
//!  ├────── control: `tidegate demo fail|heal` from a second terminal
//!  └────── View in a terminal, or progress lines, and a report
//! ```
//!
//! Everything it starts is the real thing: the same commands a person would type, the same code that
//! joins clusters, the same gateway.

mod children;
mod control;
mod errors;
mod fleet;
mod health;
mod place;
mod report;
mod run;
mod sample;
mod view;
mod view_model;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use http::Method;

pub(crate) use control::{Request, ask};

use crate::commands::Strategy;
use crate::values::PlannedFault;

/// The demo's clusters.
pub(crate) const CLUSTERS: [&str; 2] = ["az1", "az2"];

/// What a person asked for.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Where clusters, kubeconfigs and logs go.
    pub(crate) data_dir: PathBuf,
    /// `fail` and `heal` find it without being told.
    pub(crate) default_data_dir: bool,
    /// How clusters share traffic.
    pub(crate) strategy: Strategy,
    /// Requests a second.
    pub(crate) rate: u32,
    /// Their method.
    pub(crate) method: Method,
    /// How long; until told otherwise without.
    pub(crate) duration: Option<Duration>,
    /// What breaks when.
    pub(crate) fault: Option<PlannedFault>,
    /// When it is taken back.
    pub(crate) heal: Option<Duration>,
    /// Where the report goes; `-` is stdout.
    pub(crate) report: Option<PathBuf>,
    /// Address of the gateway.
    pub(crate) http_listen: SocketAddr,
    /// Address of the hub's API.
    pub(crate) api_listen: SocketAddr,
}

/// Runs the demo to its end.
///
/// # Errors
/// When it could not run as asked.
pub(crate) fn run(options: Options) -> anyhow::Result<ExitCode> {
    // One thread, the main one: the kernel ends a child when the *thread* that started it ends.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    runtime.block_on(run::run(options))
}
