//! The build vocabulary: what CI runs, a person runs with the same word.

mod bench;
mod ci;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use clap::Parser;

/// Checks, tests and measurements of this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Everything CI checks: format, tidy, lints, tests, docs.
    Ci,
    /// All tests. What follows goes to `cargo test`, as in `cargo xtask test -- -p tidegate-cli`.
    Test {
        /// Arguments for cargo test.
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// What the compiler does not check: walls between crates, the documents' paths, file lengths,
    /// versions below known advisories.
    Tidy,
    /// Writes the documents that are made from code and cases anew: docs/annotations.md, docs/ingress-compat.md and their
    /// translations.
    Docs,
    /// Measurements, and with --write their place in BENCHMARKS.md.
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Ci => ci::ci(),
        Task::Test { args } => ci::test(&args),
        Task::Tidy => tidy::tidy(),
        Task::Docs => ci::docs(),
        Task::Bench(bench) => bench.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The repository.
fn root() -> anyhow::Result<PathBuf> {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(xtask
        .parent()
        .context("xtask lies in the workspace")?
        .to_owned())
}

/// `cargo`, as it runs this program, in the repository.
fn cargo(args: &[&str]) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root()?);
    Ok(command)
}

/// Runs a command with its output passed through.
fn run(mut command: Command) -> anyhow::Result<()> {
    eprintln!("$ {}", words(&command));
    let status = command
        .status()
        .with_context(|| format!("starting {}", words(&command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", words(&command));
    }
    Ok(())
}

/// Runs a command for its standard output.
fn output(mut command: Command) -> anyhow::Result<String> {
    let output = command
        .output()
        .with_context(|| format!("starting {}", words(&command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "`{}` failed ({}): {}",
            words(&command),
            output.status,
            said.trim()
        );
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("reading what {} said", words(&command)))
}

fn words(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    std::iter::once(name)
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
