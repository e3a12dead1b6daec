//! The commands, one file each.

mod cluster;
mod demo;
mod gateway;
mod load;
mod migrate;
mod pocket;
mod pod_process;
mod server;

pub(crate) use cluster::join_cluster;
pub(crate) use demo::Strategy;
pub(crate) use server::gateway_dir;

use std::process::ExitCode;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Parser, Subcommand};

/// Where servers and pocket clusters write it in their data directory.
const KUBECONFIG_FILE: &str = "admin.kubeconfig";

/// `tidegate migrate` says so when it cannot judge; 1 and 2 are verdicts there.
const MIGRATE_CANNOT: u8 = 3;

/// What `--help` ends with, for every command.
const EXIT_CODES: &str = "\
Exit codes:
  0  it did what was asked
  1  it failed; the last line on stderr, \"error: ...\", says what and what to do
  2  the command line is wrong
`tidegate migrate` has its own: see its help.

More: README.md. Every command has its own --help with examples.";

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Cyan.on_default().bold())
    .usage(AnsiColor::Cyan.on_default().bold())
    .literal(AnsiColor::Green.on_default())
    .placeholder(AnsiColor::Yellow.on_default());

/// Keeps applications that run in several Kubernetes clusters reachable when a cluster is lost.
///
/// One hub describes everything once (plain Ingress objects), one gateway serves it from all
/// clusters, and nothing that serves traffic depends on the hub. Start with `tidegate demo`: it runs
/// a hub, two small clusters and a sample shop on this machine, and lets you kill a cluster while
/// you watch.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, after_help = EXIT_CODES, styles = STYLES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Demo),
    Server(server::Server),
    Pocket(pocket::Pocket),
    #[command(subcommand)]
    Cluster(cluster::Cluster),
    Gateway(gateway::Gateway),
    #[command(subcommand)]
    Migrate(migrate::Migrate),
    #[command(hide = true)]
    Load(load::Load),
    #[command(hide = true, disable_help_flag = true)]
    PodProcess(pod_process::PodProcess),
}

impl Cli {
    /// Reads the command line. Where it is wrong, or asks for help, that is printed and the exit code given.
    pub(crate) fn read() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|error| {
            // Nothing can be done where the terminal is gone.
            let _ = error.print();
            let migrates = std::env::args_os()
                .nth(1)
                .is_some_and(|word| word == "migrate");
            match (error.exit_code(), migrates) {
                (0, _) => ExitCode::SUCCESS,
                (_, true) => ExitCode::from(MIGRATE_CANNOT),
                (code, false) => ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)),
            }
        })
    }

    /// Does what the command line says.
    ///
    /// # Errors
    /// What went wrong; `main` prints it and exits with 1.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Demo(command) => command.run(),
            Command::Server(command) => command.run(),
            Command::Pocket(command) => command.run(),
            Command::Cluster(command) => command.run(),
            Command::Gateway(command) => command.run(),
            Command::Migrate(command) => Ok(command.run()),
            Command::Load(command) => command.run(),
            Command::PodProcess(command) => command.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_visible_command_and_flag_has_a_help_text() {
        fn check(command: &clap::Command) {
            assert!(
                command.get_about().is_some(),
                "{} has no help",
                command.get_name()
            );
            for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
                assert!(
                    arg.get_help().is_some(),
                    "{} {} has no help",
                    command.get_name(),
                    arg.get_id()
                );
            }
            command
                .get_subcommands()
                .filter(|c| !c.is_hide_set())
                .for_each(check);
        }
        check(&Cli::command());
    }

    #[test]
    fn the_examples_in_the_help_parse() {
        fn check(command: &mut clap::Command, seen: &mut usize) {
            let help = command.render_long_help().to_string();
            for line in help
                .lines()
                .filter_map(|l| l.trim().strip_prefix("$ tidegate "))
            {
                let words = std::iter::once("tidegate").chain(line.split_whitespace());
                if let Err(error) = Cli::try_parse_from(words) {
                    panic!("example {line:?}: {error}");
                }
                *seen += 1;
            }
            for sub in command.get_subcommands_mut() {
                check(sub, seen);
            }
        }
        let mut seen = 0;
        check(&mut Cli::command(), &mut seen);
        assert!(seen >= 8, "only {seen} examples found");
    }
}
