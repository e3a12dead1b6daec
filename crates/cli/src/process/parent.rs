//! Dying with the demo that started this process.

use anyhow::Context;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

/// Set by the demo for its children: the parent's process id, a colon and the signal to die by.
pub(crate) const PARENT_ENV: &str = "TIDEGATE_DIE_WITH";

/// Asks the kernel to signal this process when the demo that started it dies, however it dies.
///
/// A parent that died before this call is seen too: the process then has another parent, and ends.
/// Without the variable nothing happens.
///
/// # Errors
/// When the variable is malformed, the kernel refuses, or the parent is gone.
pub(crate) fn end_with_parent() -> anyhow::Result<()> {
    let Ok(value) = std::env::var(PARENT_ENV) else {
        return Ok(());
    };
    let malformed = || format!("{PARENT_ENV}={value} is malformed");
    let (parent, by) = value.split_once(':').with_context(malformed)?;
    let by = match by {
        "KILL" => Signal::KILL,
        "TERM" => Signal::TERM,
        _ => anyhow::bail!(malformed()),
    };
    set_parent_process_death_signal(Some(by)).context("asking to die with the parent")?;
    let now = getppid().map(Pid::as_raw_nonzero);
    anyhow::ensure!(
        now.is_some_and(|pid| pid.to_string() == parent),
        "the process that started this one ({parent}) is gone"
    );
    Ok(())
}
