//! `tidegate pod-process`: what a pocket cluster starts for every container.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Args;

/// The first program of every container; for the pocket cluster's own use.
#[derive(Debug, Args)]
pub(crate) struct PodProcess {
    /// What the kubelet says.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

/// Its name on the command line.
pub(crate) const NAME: &str = "pod-process";

impl PodProcess {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        Ok(tidegate_pocket::pod_process_main(self.args))
    }
}
