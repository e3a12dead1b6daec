//! Measurements: each prints a section of `BENCHMARKS.md`, and `--write` puts it there.

mod demo;
mod document;
mod failover;
mod gateway;
mod machine;
mod propagation;
mod scale;
mod scratch;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use crate::{cargo, root, run};

/// What to measure.
#[derive(Args)]
pub(crate) struct Bench {
    /// All of them without a name.
    #[arg(value_enum)]
    what: Vec<What>,
    /// Puts the results into BENCHMARKS.md.
    #[arg(long)]
    write: bool,
    /// Rounds of `gateway` (11) and `failover` (1): in each, every proxy has its turn. Call nothing a lead
    /// below ten.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Changes of `propagation`.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(10..))]
    changes: u32,
    #[command(flatten)]
    matrix: failover::Matrix,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// From a change in a member cluster to the gateway's table.
    Propagation,
    /// CPU a request, beside nginx and HAProxy.
    Gateway,
    /// What fails and how long it takes while a cluster fails, beside nginx, HAProxy and Envoy.
    Failover,
    /// What 100 to 10 000 Ingresses cost: a change, a start, memory.
    Scale,
    /// Memory of the demo, and the time to its first answered request.
    Demo,
}

/// One section: its name in the markers, and its text.
struct Section {
    name: &'static str,
    text: String,
}

impl Bench {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let binary = release_binary()?;
        let all = [
            What::Propagation,
            What::Gateway,
            What::Failover,
            What::Scale,
            What::Demo,
        ];
        let chosen = if self.what.is_empty() {
            &all[..]
        } else {
            &self.what
        };
        for what in chosen {
            let section = match what {
                What::Propagation => propagation::measure(&binary, self.changes)?,
                What::Gateway => gateway::measure(&binary, self.rounds.unwrap_or(11))?,
                What::Failover => {
                    failover::measure(&binary, &self.matrix, self.rounds.unwrap_or(1))?
                }
                What::Scale => scale::measure(&binary)?,
                What::Demo => demo::measure(&binary)?,
            };
            println!("{}", section.text);
            if self.write {
                document::update(&root()?.join("BENCHMARKS.md"), &section)?;
            }
        }
        Ok(())
    }
}

/// Builds what is measured: never a debug build.
fn release_binary() -> anyhow::Result<PathBuf> {
    run(cargo(&[
        "build",
        "--release",
        "--locked",
        "-p",
        "tidegate-cli",
    ])?)?;
    let binary = target_dir()?.join("release/tidegate");
    binary
        .metadata()
        .with_context(|| format!("{} was not built", binary.display()))?;
    Ok(binary)
}

/// Runs a release build of a test rig in `crates/testbed/examples` with `binary` and `numbers`; what it prints.
fn rig(example: &str, binary: &Path, numbers: &[u32]) -> anyhow::Result<serde_json::Value> {
    let mut rig = cargo(&[
        "run",
        "-q",
        "--release",
        "--locked",
        "-p",
        "tidegate-testbed",
        "--example",
        example,
        "--",
    ])?;
    rig.arg(binary).args(numbers.iter().map(u32::to_string));
    serde_json::from_str(&crate::output(rig)?).context("reading what the rig measured")
}

fn target_dir() -> anyhow::Result<PathBuf> {
    let metadata = crate::output(cargo(&[
        "metadata",
        "--format-version",
        "1",
        "--no-deps",
        "--locked",
    ])?)?;
    let metadata: serde_json::Value =
        serde_json::from_str(&metadata).context("reading cargo metadata")?;
    let dir = metadata["target_directory"]
        .as_str()
        .context("cargo metadata names no target directory")?;
    Ok(dir.into())
}

/// The value below which `percent` of the sorted values lie.
fn percentile(sorted: &[f64], percent: f64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index"
    )]
    let at = ((sorted.len().saturating_sub(1)) as f64 * percent / 100.0).round() as usize;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lie_where_they_should() {
        let values = sorted((1..=101).rev().map(f64::from).collect());
        assert_eq!(
            [0.0, 50.0, 99.0, 100.0].map(|p| percentile(&values, p)),
            [1.0, 51.0, 100.0, 101.0]
        );
        assert!(percentile(&[], 50.0).is_nan());
    }
}
