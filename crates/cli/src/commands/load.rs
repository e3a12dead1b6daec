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

use crate::load::{Load as Running, Report, Target};
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
    /// Path and query.
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
        let report = Report::new(&tally, self.rate, duration, None);
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
