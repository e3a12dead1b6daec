//! What users notice while a cluster fails: the gateway beside nginx, HAProxy and Envoy, fault by fault.
//!
//! Each run has network namespaces of its own, made and ended by `crates/testbed/examples/failover`; this file
//! says which runs there are and what they come to.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::gateway::{on_path, version};
use super::{Section, target_dir};
use crate::{cargo, output, run};

/// Which runs of `failover` there are.
#[derive(Args)]
pub(super) struct Matrix {
    /// Faults of `failover`.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "kill,blackhole,hang,503"
    )]
    faults: Vec<Fault>,
    /// Strategies of `failover`.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "shared,primary-backup"
    )]
    strategies: Vec<Strategy>,
    /// Peers of `failover`; all that this machine has without it. Envoy runs with and without hedging.
    #[arg(long, value_enum, value_delimiter = ',')]
    peers: Option<Vec<Peer>>,
    /// Puts every run of `failover` into this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Fault {
    /// SIGKILL of the servers, started again at the end.
    Kill,
    /// Every packet is dropped, both ways.
    Blackhole,
    /// SIGSTOP of the servers.
    Hang,
    /// Every answer is a 503.
    #[value(name = "503")]
    Errors,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Strategy {
    /// Both clusters serve.
    Shared,
    /// The one that fails serves, the other stands by.
    PrimaryBackup,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Peer {
    Nginx,
    Haproxy,
    Envoy,
}

/// A proxy: the word for the rig, and the name for people.
struct Proxy {
    word: &'static str,
    name: String,
}

/// One row of the table: the worst of the rounds in each column.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Figures {
    failed: u64,
    over_100ms: u64,
    over_1s: u64,
    worst_ms: f64,
    /// `None` when it never came back in some round.
    share_back_ms: Option<u64>,
    posts_failed: u64,
    posts_sent_twice: u64,
}

/// What the rig prints.
#[derive(Clone, Deserialize, Serialize)]
struct Run {
    gets: Load,
    posts: Load,
    posts_arrived: u64,
    posts_sent_twice: u64,
}

/// A report of `tidegate load`, as far as it is used; the rest is kept for the JSON file.
#[derive(Clone, Deserialize, Serialize)]
struct Load {
    requests: u64,
    failed: u64,
    over_100ms: u64,
    over_1s: u64,
    worst_ms: f64,
    share_back_ms: Option<u64>,
    generator_late_p99_ms: f64,
    #[serde(flatten)]
    rest: BTreeMap<String, serde_json::Value>,
}

/// A run and what was run.
#[derive(Serialize)]
struct Labelled<'a> {
    proxy: &'a str,
    strategy: String,
    fault: String,
    round: u32,
    #[serde(flatten)]
    run: &'a Run,
}

/// When more of the load than 1 % left so late, the figures are the load's and not the proxy's.
const LATE_MS: f64 = 20.0;

pub(super) fn measure(binary: &Path, matrix: &Matrix, rounds: u32) -> anyhow::Result<Section> {
    let rig = rig()?;
    let proxies = proxies(matrix)?;
    let mut rows: BTreeMap<(Strategy, Fault, usize), Vec<Run>> = BTreeMap::new();
    let mut json = Vec::new();
    let busy = load_average()?;
    for round in 1..=rounds {
        for strategy in &matrix.strategies {
            for fault in &matrix.faults {
                for (at, proxy) in proxies.iter().enumerate() {
                    let run = one(&rig, binary, proxy, *strategy, *fault)?;
                    let figures = Figures::of(std::slice::from_ref(&run));
                    eprintln!(
                        "{} {}, round {round}: {}: {figures:?}",
                        word(strategy),
                        word(fault),
                        proxy.name
                    );
                    json.push(serde_json::to_value(Labelled {
                        proxy: &proxy.name,
                        strategy: word(strategy),
                        fault: word(fault),
                        round,
                        run: &run,
                    })?);
                    rows.entry((*strategy, *fault, at)).or_default().push(run);
                }
            }
        }
    }
    if let Some(path) = &matrix.json {
        fs::write(path, serde_json::to_vec_pretty(&json)?)
            .with_context(|| format!("writing {}", path.display()))?;
    }
    let late = rows
        .values()
        .flatten()
        .map(|run| run.gets.generator_late_p99_ms);
    let late = late.fold(0.0, f64::max);
    let rows = rows.iter().map(|(key, runs)| (*key, Figures::of(runs)));
    Ok(Section {
        name: "failover",
        text: head(rounds, busy, late) + &table(&proxies, &rows.collect()),
    })
}

/// The program that does a run.
fn rig() -> anyhow::Result<PathBuf> {
    // What is measured are other programs: how this one is built does not matter.
    run(cargo(&[
        "build",
        "--locked",
        "-p",
        "tidegate-testbed",
        "--example",
        "failover",
    ])?)?;
    Ok(target_dir()?.join("debug/examples/failover"))
}

fn proxies(matrix: &Matrix) -> anyhow::Result<Vec<Proxy>> {
    let mut proxies = vec![Proxy {
        word: "tidegate",
        name: "Tidegate".to_owned(),
    }];
    let all = [Peer::Nginx, Peer::Haproxy, Peer::Envoy];
    for peer in matrix.peers.as_deref().unwrap_or(&all) {
        let (program, flag) = match peer {
            Peer::Nginx => ("nginx", "-v"),
            Peer::Haproxy => ("haproxy", "-v"),
            Peer::Envoy => ("envoy", "--version"),
        };
        if !on_path(program) {
            ensure!(matrix.peers.is_none(), "there is no {program} on the PATH");
            eprintln!("{program} is left out: it is not on the PATH");
            continue;
        }
        let name = version(program, flag);
        if *peer == Peer::Envoy {
            proxies.push(Proxy {
                word: "envoy-hedging",
                name: format!("{name}, hedging"),
            });
        }
        proxies.push(Proxy {
            word: program,
            name,
        });
    }
    Ok(proxies)
}

fn one(
    rig: &Path,
    binary: &Path,
    proxy: &Proxy,
    strategy: Strategy,
    fault: Fault,
) -> anyhow::Result<Run> {
    let mut command = std::process::Command::new(rig);
    command
        .arg(binary)
        .args([proxy.word, &word(&strategy), &word(&fault)]);
    serde_json::from_str(&output(command)?).context("reading what the rig measured")
}

/// The word for a value on the command line.
fn word(value: &impl ValueEnum) -> String {
    let value = value.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

/// How many processes wanted to run during the last minute.
fn load_average() -> anyhow::Result<f64> {
    let text = fs::read_to_string("/proc/loadavg").context("reading /proc/loadavg")?;
    let first = text.split(' ').next().and_then(|word| word.parse().ok());
    first.context("/proc/loadavg holds no number")
}

impl Figures {
    fn of(runs: &[Run]) -> Self {
        let worst = |of: &dyn Fn(&Run) -> u64| runs.iter().map(of).max().unwrap_or_default();
        let back: Option<Vec<u64>> = runs.iter().map(|run| run.gets.share_back_ms).collect();
        Self {
            failed: worst(&|run| run.gets.failed),
            over_100ms: worst(&|run| run.gets.over_100ms),
            over_1s: worst(&|run| run.gets.over_1s),
            worst_ms: runs.iter().map(|run| run.gets.worst_ms).fold(0.0, f64::max),
            share_back_ms: back.and_then(|back| back.into_iter().max()),
            posts_failed: worst(&|run| run.posts.failed),
            posts_sent_twice: worst(&|run| run.posts_sent_twice),
        }
    }
}

fn head(rounds: u32, busy: f64, late: f64) -> String {
    let rounds = match rounds {
        1 => "One run of each.".to_owned(),
        _ => format!("{rounds} runs of each, in turn; the worst of them in every column."),
    };
    let clean = match late > LATE_MS {
        true => " **These figures are not clean**: the load itself was late.",
        false => "",
    };
    format!(
        "## Failover\n\n\
         Two clusters of three servers, each cluster and the proxy in a network namespace of its own; 950 GETs and 50 POSTs a second, \
         open loop, for 20 s. The fault hits a cluster (the primary) at 5 s and ends at 12 s: its servers are killed (and started \
         again), all packets between it and the proxy are dropped (blackhole), its servers are stopped (hang), or answer 503 to \
         everything. Latency counts from when a GET was due; *share back* is from healing until 80 % of the former share is served \
         again; *sent twice* counts POSTs that reached two servers, or one twice. Peers are tuned for failover and told not to repeat \
         a POST (`crates/testbed/examples/failover/peers`); Tidegate runs with its defaults. {rounds}\n\n\
         `cargo xtask bench failover --write`. When it began, the load average of the machine was {busy:.1}; at the worst, 99 % of the requests left at most {late:.1} ms \
         after they were due.{clean}\n"
    )
}

fn table(proxies: &[Proxy], rows: &BTreeMap<(Strategy, Fault, usize), Figures>) -> String {
    let mut text = "\n| strategy | fault | proxy | failed | over 100 ms | over 1 s | worst | share back | POSTs failed | POSTs sent twice | over 100 ms: best peer = 1 |\n\
                    |---|---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for ((strategy, fault, at), figures) in rows {
        let peers = rows
            .iter()
            .filter(|((s, f, peer), _)| (s, f) == (strategy, fault) && *peer > 0);
        // Of those that lose least.
        let best = peers.map(|(_, peer)| (peer.failed, peer.over_100ms)).min();
        let ratio = match best.filter(|_| *at == 0) {
            Some((_, best)) => ratio(figures.over_100ms, best),
            None => String::new(),
        };
        let back = figures.share_back_ms.map_or_else(
            || "never".to_owned(),
            |ms| format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        );
        text.push_str(&format!(
            "| {} | {} | {} | {} | {} | {} | {:.0} ms | {back} | {} | {} | {ratio} |\n",
            word(strategy),
            word(fault),
            proxies[*at].name,
            figures.failed,
            figures.over_100ms,
            figures.over_1s,
            figures.worst_ms,
            figures.posts_failed,
            figures.posts_sent_twice,
        ));
    }
    text
}

/// `own` relative to `best`.
#[expect(clippy::cast_precision_loss, reason = "a ratio of small counts")]
fn ratio(own: u64, best: u64) -> String {
    match (own, best) {
        (0, 0) => "both none".to_owned(),
        (_, 0) => format!("{own} to none"),
        _ => format!("{:.2}", own as f64 / best as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(failed: u64, over_100ms: u64) -> Figures {
        Figures {
            failed,
            over_100ms,
            share_back_ms: Some(1_250),
            ..Figures::default()
        }
    }

    #[test]
    fn the_best_peer_is_the_one_that_loses_least_and_then_delays_least() {
        let proxies = ["Tidegate", "a", "b", "c"].map(|name| Proxy {
            word: name,
            name: name.to_owned(),
        });
        let rows = [
            figures(0, 10),
            figures(1, 5),
            figures(0, 40),
            figures(0, 50),
        ];
        let rows = rows.into_iter().enumerate();
        let rows = rows.map(|(at, row)| ((Strategy::Shared, Fault::Errors, at), row));
        let text = table(&proxies, &rows.collect());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[3],
            "| shared | 503 | Tidegate | 0 | 10 | 0 | 0 ms | 1.2 s | 0 | 0 | 0.25 |"
        );
        assert!(lines[4].ends_with("| 0 | 0 |  |"), "{}", lines[4]);
        assert_eq!(ratio(0, 0), "both none");
        assert_eq!(ratio(3, 0), "3 to none");
    }

    #[test]
    fn a_row_is_the_worst_of_its_rounds() {
        let run = |worst: f64, back: Option<u64>| -> Run {
            let load = serde_json::json!({
                "requests": 1, "failed": 0, "over_100ms": 2, "over_1s": 0, "worst_ms": worst,
                "share_back_ms": back, "generator_late_p99_ms": 0.1, "p50_ms": 1.0,
            });
            let run = serde_json::json!({
                "gets": load, "posts": load, "posts_arrived": 1, "posts_sent_twice": 0,
            });
            serde_json::from_value(run).expect("as the rig prints it")
        };
        let both = Figures::of(&[run(1.5, Some(100)), run(0.5, Some(900))]);
        assert_eq!((both.worst_ms, both.share_back_ms), (1.5, Some(900)));
        let never = Figures::of(&[run(1.0, Some(100)), run(1.0, None)]);
        assert_eq!(never.share_back_ms, None);
    }
}
