//! What a proxy does while one of two clusters fails: one run, in network namespaces of its own.
//!
//! `failover TIDEGATE PROXY STRATEGY FAULT` prints one JSON object with the figures of the run. Used by
//! `cargo xtask bench failover`, which says what the words are.
//!
//! ```text
//! tidegate load: 950 GETs/s ─┐            ┌─ az1: 3 echo servers   fault at 5 s, healed at 12 s
//! tidegate load: 50 POSTs/s ─┴── PROXY ───┴─ az2: 3 echo servers
//! ```
//!
//! The load is open, lasts 20 s, and counts latency from when a request was due. Each POST has a number, by
//! which the servers' logs show whether it came twice.

mod peers;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tidegate_testbed::{Fault, Process, Result, SOON, Sites, Strategy, get, wait_for};

use peers::Proxy;

const GETS_PER_SECOND: &str = "950";
const POSTS_PER_SECOND: &str = "50";
const LASTS: Duration = Duration::from_secs(20);
const FAULT_AT: Duration = Duration::from_secs(5);
const HEAL_AT: Duration = Duration::from_secs(12);

/// The load waits ten seconds for the last answers.
const REPORTS_WITHIN: Duration = Duration::from_secs(40);

const SERVERS: u8 = 3;

fn main() -> Result<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let [tidegate, proxy, strategy, fault] = args[..] else {
        anyhow::bail!("usage: failover TIDEGATE PROXY STRATEGY FAULT");
    };
    let (proxy, strategy) = (Proxy::parse(proxy)?, parse_strategy(strategy)?);
    let fault = parse_fault(fault)?;
    Sites::main(tidegate, &args, async |sites| {
        println!("{}", measure(sites, proxy, strategy, fault).await?);
        Ok(())
    })
}

async fn measure(
    sites: &mut Sites,
    proxy: Proxy,
    strategy: Strategy,
    fault: Fault,
) -> Result<Value> {
    sites.add("az1", SERVERS).await?;
    sites.add("az2", SERVERS).await?;
    let (mut running, at) = peers::start(sites, proxy, strategy).await?;
    let target = at.to_string();
    wait_for("twenty answers in a row", SOON, async || {
        for _ in 0..20 {
            get(at, Sites::HOST, "/").await?.cluster()?;
        }
        Ok(())
    })
    .await?;

    let outage = format!("az1@{}s-{}s", FAULT_AT.as_secs(), HEAL_AT.as_secs());
    let common = ["load", "--target", &target, "--host", Sites::HOST];
    let lasts = format!("{}s", LASTS.as_secs());
    let common = [&common[..], &["--duration", &lasts, "--rate"]].concat();
    let gets = [&common[..], &[GETS_PER_SECOND, "--outage", &outage]].concat();
    let orders = ["--method", "POST", "--path", "/order/{n}"];
    let posts = [&common[..], &[POSTS_PER_SECOND], &orders].concat();
    let begun = Instant::now();
    let (mut gets, mut posts) = (sites.spawn("gets", &gets)?, sites.spawn("posts", &posts)?);
    tokio::time::sleep_until((begun + FAULT_AT).into()).await;
    sites.strike("az1", fault).await?;
    tokio::time::sleep_until((begun + HEAL_AT).into()).await;
    sites.heal("az1", fault).await?;
    let (gets, posts) = (report(&mut gets).await?, report(&mut posts).await?);
    ensure!(
        running.is_alive(),
        "the proxy has ended: {}",
        running.stderr()
    );
    running.kill()?;
    let arrived = sites.arrivals("POST")?;
    let twice = arrived.values().filter(|times| **times > 1).count();
    Ok(
        json!({ "gets": gets, "posts": posts, "posts_arrived": arrived.len(), "posts_sent_twice": twice }),
    )
}

async fn report(load: &mut Process) -> Result<Value> {
    let ended = load.finished(REPORTS_WITHIN).await?.success()?;
    serde_json::from_str(&ended.stdout).context("reading a report of the load")
}

fn parse_strategy(word: &str) -> Result<Strategy> {
    Ok(match word {
        "shared" => Strategy::Shared,
        "primary-backup" => Strategy::PrimaryBackup,
        _ => anyhow::bail!("{word:?} is no strategy: shared, primary-backup"),
    })
}

fn parse_fault(word: &str) -> Result<Fault> {
    Ok(match word {
        "kill" => Fault::Kill,
        "blackhole" => Fault::Blackhole,
        "hang" => Fault::Hang,
        "503" => Fault::Errors,
        _ => anyhow::bail!("{word:?} is no fault: kill, blackhole, hang, 503"),
    })
}
