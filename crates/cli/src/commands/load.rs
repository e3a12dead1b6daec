//! `tidegate load`: the demo's load by itself, for tests and benchmarks.

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method};
use tidegate_runtime::signals;
use tokio_util::sync::CancellationToken;

use crate::load::{FaultWindow, Load as Running, Report, Target};
use crate::{process, values};

/// Sends open-loop load and prints what came of it.
///
/// One JSON object on stdout at the end, as `tidegate demo --report -` prints it. With --progress,
/// before it, one object every 100 ms with the figures so far. SIGTERM or SIGINT ends the load early
/// and still reports.
#[derive(Debug, Args)]
pub(crate) struct Load {
    /// Where to connect.
    #[arg(long, value_name = "IP:PORT")]
    target: SocketAddr,
    /// The Host header.
    #[arg(long)]
    host: String,
    /// Path and query; {n} stands for the number of the request, from 0.
    #[arg(long, default_value = "/")]
    path: String,
    /// The method.
    #[arg(long, default_value = "GET")]
    method: Method,
    /// Further headers.
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(HeaderName, HeaderValue)>,
    /// Requests a second.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// How long; without it, until a signal comes.
    #[arg(long, value_parser = values::duration)]
    duration: Option<Duration>,
    /// When a cluster fails and heals, for share_back_ms; the fault itself is made by somebody else.
    #[arg(long, value_name = "CLUSTER@FROM-TO", value_parser = outage)]
    outage: Option<FaultWindow>,
    /// Prints the figures so far every 100 ms.
    #[arg(long)]
    progress: bool,
}

impl Load {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let target = Target {
            address: self.target,
            host: HeaderValue::from_str(&self.host).context("--host")?,
            path: self.path.parse::<PathAndQuery>().context("--path")?,
            method: self.method,
            headers: self.header,
        };
        let runtime = process::small_runtime()?;
        let stop = runtime.block_on(async { signals::shutdown() })?;
        let load = Running::start(target, self.rate, self.duration)?;
        let started = Instant::now();
        runtime.block_on(watch(&load, stop, self.rate, self.duration, self.progress))?;
        let duration = started.elapsed();
        let tally = load.finish();
        let report = Report::new(&tally, self.rate, duration, self.outage.as_ref());
        print_line(&report)?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn watch(
    load: &Running,
    stop: CancellationToken,
    rate: u32,
    duration: Option<Duration>,
    progress: bool,
) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    let end = async {
        match duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(end);
    loop {
        tokio::select! {
            () = &mut end => return Ok(()),
            () = stop.cancelled() => return Ok(()),
            _ = tick.tick(), if progress => {
                let report = Report::new(&load.tally(), rate, started.elapsed(), None);
                print_line(&report)?;
            }
        }
    }
}

fn print_line(report: &Report) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, report)?;
    out.write_all(b"\n")?;
    out.flush()?;
    Ok(())
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write it as NAME: VALUE")?;
    let name = name.trim().parse().map_err(|e| format!("{name:?}: {e}"))?;
    let value = value
        .trim()
        .parse()
        .map_err(|e| format!("{value:?}: {e}"))?;
    Ok((name, value))
}

fn outage(text: &str) -> Result<FaultWindow, String> {
    let usage = || format!("{text:?} is no outage; write it as az1@5s-12s");
    let (cluster, times) = text.split_once('@').ok_or_else(usage)?;
    let (fault, heal) = times.split_once('-').ok_or_else(usage)?;
    let window = FaultWindow {
        cluster: cluster.to_owned(),
        fault: values::duration(fault)?,
        heal: values::duration(heal)?,
    };
    match window.fault < window.heal && !cluster.is_empty() {
        true => Ok(window),
        false => Err(usage()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_has_a_cluster_and_ends_after_it_begins() {
        let window = outage("az1@5s-1m").expect("an outage");
        assert_eq!(
            (window.cluster.as_str(), window.fault, window.heal),
            ("az1", Duration::from_secs(5), Duration::from_secs(60))
        );
        for bad in ["az1", "az1@5s", "@1s-2s", "az1@2s-1s", "az1@1s-2"] {
            assert!(outage(bad).is_err(), "{bad}");
        }
    }
}
