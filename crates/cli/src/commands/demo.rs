//! `tidegate demo`: a fleet on one machine whose cluster dies while no request fails.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use http::Method;

use crate::demo;
use crate::values::{self, Fault, PlannedFault};

const EXAMPLES: &str = "\
Examples:
  Watch it, and press k to kill a cluster:
    $ tidegate demo
  From a second terminal:
    $ tidegate demo fail az1 --fault hang
    $ tidegate demo heal az1
  For a script, 30 seconds with a dead cluster in the middle:
    $ tidegate demo --duration 30s --fault kill:az1@10s --heal 20s --report -
  Active-standby: all traffic to az1 until it dies, then to az2:
    $ tidegate demo --strategy active-standby

The report is one JSON object: requests, failed, over_100ms, over_1s, worst_ms, p50_ms, p99_ms,
per_cluster, share_back_ms (from healing to 80 % of the share before the fault; null without) and
more. Requests leave when they are due, and latency counts from then. Exit code 0 means that
everything happened as asked, whatever the figures are. Nothing is left running.";

/// Runs a hub, two clusters and a sample shop on this machine, with steady traffic.
///
/// Two pocket clusters, az1 and az2, run three replicas of the shop each; the hub's gateway serves
/// shop.example.com from both. In a terminal it shows who serves what, live, and keys break and heal
/// a cluster. The paths of three kubeconfig files are printed, so that kubectl works on each cluster
/// and on the hub while it runs. Every run starts afresh.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Demo {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    run: RunFlags,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Makes a cluster of the running demo fail.
    Fail {
        /// az1 or az2.
        #[arg(value_parser = demo::CLUSTERS)]
        cluster: String,
        /// How it fails.
        #[arg(long, value_enum, default_value_t = Fault::Kill)]
        fault: Fault,
        #[command(flatten)]
        place: Place,
    },
    /// Takes back whatever was done to a cluster of the running demo.
    Heal {
        /// az1 or az2.
        #[arg(value_parser = demo::CLUSTERS)]
        cluster: String,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Args)]
struct Place {
    /// Where the demo keeps its clusters, kubeconfigs and logs [default:
    /// $XDG_STATE_HOME/tidegate/demo, or ~/.local/state/tidegate/demo].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct RunFlags {
    #[command(flatten)]
    place: Place,
    /// How the two clusters share the traffic.
    #[arg(long, value_enum, default_value_t = Strategy::ActiveActive)]
    strategy: Strategy,
    /// Requests a second.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    rate: u32,
    /// Method of the requests. Only GET, HEAD, OPTIONS, PUT and DELETE may be sent again after a hang.
    #[arg(long, default_value = "GET")]
    method: Method,
    /// How long the traffic runs [default: until q or Ctrl-C; 30s with --report].
    #[arg(long, value_parser = values::duration)]
    duration: Option<Duration>,
    /// Breaks a cluster at a time counted from the first request: KIND is kill, hang or errors.
    #[arg(long, value_name = "KIND:CLUSTER@TIME")]
    fault: Option<PlannedFault>,
    /// Takes the fault back at a time counted from the first request.
    #[arg(long, value_name = "TIME", value_parser = values::duration, requires = "fault")]
    heal: Option<Duration>,
    /// Writes the report to a file at the end, or to stdout with "-"; no live view then.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Address of the gateway [default: a free port].
    #[arg(
        long,
        value_name = "IP:PORT",
        default_value = "127.0.0.1:0",
        hide_default_value = true
    )]
    http_listen: SocketAddr,
    /// Address of the hub's API [default: a free port].
    #[arg(
        long,
        value_name = "IP:PORT",
        default_value = "127.0.0.1:0",
        hide_default_value = true
    )]
    api_listen: SocketAddr,
}

/// How clusters share traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Strategy {
    /// Each cluster gets traffic in proportion to its ready pods.
    ActiveActive,
    /// az1 gets everything while it can serve; az2 stands by.
    ActiveStandby,
}

impl Demo {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self.action {
            None => self.run.run(),
            Some(Action::Fail {
                cluster,
                fault,
                place,
            }) => {
                let request = demo::Request::Fail { cluster, fault };
                demo::ask(&place.data_dir()?, &request)
            }
            Some(Action::Heal { cluster, place }) => {
                demo::ask(&place.data_dir()?, &demo::Request::Heal { cluster })
            }
        }
    }
}

impl Place {
    fn data_dir(self) -> anyhow::Result<PathBuf> {
        if let Some(dir) = self.data_dir {
            return std::path::absolute(&dir)
                .with_context(|| format!("--data-dir {}", dir.display()));
        }
        let absolute = |name| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|dir| dir.is_absolute())
        };
        let state =
            absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
        let state = state.context(
            "neither XDG_STATE_HOME nor HOME is set: say where to keep the demo with --data-dir",
        )?;
        Ok(state.join("tidegate/demo"))
    }
}

impl RunFlags {
    fn run(self) -> anyhow::Result<ExitCode> {
        let duration = self
            .duration
            .or_else(|| self.report.as_ref().map(|_| Duration::from_secs(30)));
        if let Err(reason) = check_times(duration, self.fault.as_ref(), self.heal) {
            eprintln!("error: {reason}");
            return Ok(ExitCode::from(2));
        }
        demo::run(demo::Options {
            default_data_dir: self.place.data_dir.is_none(),
            data_dir: self.place.data_dir()?,
            strategy: self.strategy,
            rate: self.rate,
            method: self.method,
            duration,
            fault: self.fault,
            heal: self.heal,
            report: self.report,
            http_listen: self.http_listen,
            api_listen: self.api_listen,
        })
    }
}

/// The phases must come in order, or the run could not be what was asked for.
fn check_times(
    duration: Option<Duration>,
    fault: Option<&PlannedFault>,
    heal: Option<Duration>,
) -> Result<(), String> {
    let Some(fault) = fault else { return Ok(()) };
    if !demo::CLUSTERS.contains(&fault.cluster.as_str()) {
        return Err(format!(
            "--fault names the cluster {:?}; the demo has {}",
            fault.cluster,
            demo::CLUSTERS.join(" and ")
        ));
    }
    if heal.is_some_and(|heal| heal <= fault.at) {
        return Err("--heal must be later than the time in --fault".to_owned());
    }
    match duration {
        Some(end) if heal.unwrap_or(fault.at) >= end => {
            Err("--duration must be longer than the times in --fault and --heal".to_owned())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_out_of_order_are_refused() {
        let s = Duration::from_secs;
        let fault: PlannedFault = "kill:az1@10s".parse().expect("valid");
        assert_eq!(check_times(Some(s(30)), Some(&fault), Some(s(20))), Ok(()));
        assert_eq!(check_times(None, Some(&fault), None), Ok(()));
        assert!(check_times(Some(s(30)), Some(&fault), Some(s(10))).is_err());
        assert!(check_times(Some(s(20)), Some(&fault), Some(s(20))).is_err());
        assert!(check_times(Some(s(10)), Some(&fault), None).is_err());
        let other: PlannedFault = "kill:az3@10s".parse().expect("valid");
        assert!(
            check_times(None, Some(&other), None)
                .expect_err("no such cluster")
                .contains("az3")
        );
    }
}
