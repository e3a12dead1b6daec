//! Where and of what figures were measured.

use std::fs;

use anyhow::Context;

use crate::{output, root};

/// One line: date, processor, cores, kernel, commit.
pub(super) fn describe() -> anyhow::Result<String> {
    let cpu = fs::read_to_string("/proc/cpuinfo").context("reading /proc/cpuinfo")?;
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown processor", |(_, name)| name.trim());
    let cores = std::thread::available_parallelism().context("counting cores")?;
    let kernel =
        fs::read_to_string("/proc/sys/kernel/osrelease").context("reading the kernel's version")?;
    let mut git = std::process::Command::new("git");
    git.args(["describe", "--always", "--dirty"])
        .current_dir(root()?);
    // Without git, as in an unpacked archive, the figures are good all the same.
    let commit = output(git).unwrap_or_else(|_| "unknown".to_owned());
    let mut date = std::process::Command::new("date");
    date.args(["-u", "+%F"]);
    let date = output(date)?;
    Ok(format!(
        "Measured {} on {model}, {cores} cores, Linux {}, at commit {}.",
        date.trim(),
        kernel.trim(),
        commit.trim()
    ))
}
