//! What scripts rely on in `tidegate demo --report -`: the figures, the exit code, and that nothing is
//! left running.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use rustix::process::Signal;
use serde_json::Value;
use tidegate_testbed::{Process, ProcessId, Result, Rig, SOON, wait_for};

const TIDEGATE: &str = env!("CARGO_BIN_EXE_tidegate");

/// Requests a second.
const RATE: &str = "100";

/// The demo, its hub, the gateway and two clusters with three pods each.
const PROCESSES: usize = 11;

/// Fields that other people's scripts read.
const PROMISED: [&str; 9] = [
    "requests",
    "failed",
    "over_100ms",
    "over_1s",
    "worst_ms",
    "p50_ms",
    "p99_ms",
    "per_cluster",
    "share_back_ms",
];

#[test]
fn a_killed_cluster_costs_no_request() {
    loses_nothing("kill", "active-active");
    loses_nothing("kill", "active-standby");
}

#[test]
fn a_cluster_that_answers_errors_costs_no_request() {
    loses_nothing("errors", "active-active");
    loses_nothing("errors", "active-standby");
}

#[test]
fn a_hanging_cluster_costs_no_repeatable_request() {
    loses_nothing("hang", "active-active");
    loses_nothing("hang", "active-standby");
}

#[test]
fn a_signal_in_the_middle_ends_everything() {
    for signal in [Signal::INT, Signal::TERM] {
        Rig::run(TIDEGATE, async |rig| {
            let mut demo = start(rig, &["--duration", "60s", "--report", "-"])?;
            let processes = all_processes(rig, &demo).await?;
            demo.signal(signal);
            let ended = demo.finished(SOON).await?;
            ensure!(
                !ended.status.success(),
                "a run that was cut short says that it ran as asked"
            );
            nothing_left(rig, &processes).await
        });
    }
}

#[test]
fn a_demo_that_is_killed_takes_its_processes_with_it() {
    Rig::run(TIDEGATE, async |rig| {
        let mut demo = start(rig, &["--duration", "60s", "--report", "-"])?;
        let processes = all_processes(rig, &demo).await?;
        demo.kill()?;
        nothing_left(rig, &processes).await
    });
}

#[test]
fn what_cannot_be_run_as_asked_is_refused_with_exit_code_2() {
    Rig::run(TIDEGATE, async |rig| {
        for (flags, named) in [
            (["--fault", "kill:az3@1s"], "az3"),
            (["--fault", "kill:az1"], "--fault"),
            (["--fault", "kill:az1@40s"], "--duration"),
            (["--strategy", "active-passive"], "--strategy"),
            (["--duration", "soon"], "--duration"),
        ] {
            let ended = start(rig, &[flags.as_slice(), &["--report", "-"]].concat())?
                .finished(SOON)
                .await?;
            ensure!(
                ended.status.code() == Some(2),
                "{flags:?} ended with {}",
                ended.status
            );
            ensure!(
                ended.stderr.contains(named),
                "{flags:?}: {named} is not named: {}",
                ended.stderr
            );
            ensure!(
                ended.stdout.is_empty(),
                "{flags:?} printed {}",
                ended.stdout
            );
        }
        Ok(())
    });
}

fn loses_nothing(fault: &str, strategy: &str) {
    Rig::run(TIDEGATE, async |rig| {
        let planned = format!("{fault}:az1@2s");
        let mut demo = start(
            rig,
            &[
                "--strategy",
                strategy,
                "--duration",
                "8s",
                "--fault",
                &planned,
                "--heal",
                "5s",
                "--report",
                "-",
            ],
        )?;
        let processes = all_processes(rig, &demo).await?;
        let ended = demo.finished(SOON).await?.success()?;
        let report: Value = serde_json::from_str(&ended.stdout).with_context(|| {
            format!("not one JSON object on standard output: {:?}", ended.stdout)
        })?;
        check(&report, strategy).with_context(|| report.to_string())?;
        nothing_left(rig, &processes).await
    });
}

fn check(report: &Value, strategy: &str) -> Result {
    for field in PROMISED {
        ensure!(report.get(field).is_some(), "{field} is missing");
    }
    ensure!(
        report["failed"] == 0,
        "{} requests failed",
        report["failed"]
    );
    let requests = report["requests"]
        .as_u64()
        .context("requests is no number")?;
    ensure!(
        (700..=800).contains(&requests),
        "{requests} requests in 8 s at {RATE} a second"
    );
    let clusters = report["per_cluster"]
        .as_object()
        .context("per_cluster is no object")?;
    let served: u64 = clusters.values().filter_map(Value::as_u64).sum();
    ensure!(
        served == requests,
        "{served} of {requests} requests were served by a cluster"
    );
    let of = |name: &str| {
        clusters
            .get(name)
            .and_then(Value::as_u64)
            .unwrap_or_default()
    };
    ensure!(of("az1") > 0 && of("az2") > 0, "one cluster served nothing");
    // az1 alone serves for two seconds; az2 for the time that az1 is broken, and at most a while longer.
    ensure!(
        strategy != "active-standby" || of("az1") >= 150,
        "az1 did not have all before the fault"
    );
    for field in ["worst_ms", "p50_ms", "p99_ms"] {
        ensure!(report[field].is_number(), "{field} is no number");
    }
    Ok(())
}

fn start(rig: &Rig, flags: &[&str]) -> Result<Process> {
    let dir = rig.path("demo");
    let dir = dir.to_str().context("the rig's directory is not UTF-8")?;
    rig.spawn(
        "demo",
        &[&["demo", "--rate", RATE, "--data-dir", dir], flags].concat(),
    )
}

/// Waits until all of the demo's processes run, and returns them.
async fn all_processes(rig: &mut Rig, demo: &Process) -> Result<BTreeSet<ProcessId>> {
    let tree = wait_for("all processes of the demo", SOON, async || {
        ensure!(demo.is_alive(), "the demo has ended");
        let tree = demo.id().with_descendants();
        let lines: Vec<String> = tree.iter().map(|p| p.command_line()).collect();
        ensure!(
            tree.len() >= PROCESSES,
            "{} run:\n{}",
            tree.len(),
            lines.join("\n")
        );
        Ok(tree)
    })
    .await?;
    tree.iter().for_each(|process| rig.adopt(*process));
    Ok(tree)
}

/// Neither what was seen to run nor anything that was started later.
async fn nothing_left(rig: &Rig, processes: &BTreeSet<ProcessId>) -> Result {
    wait_for("the end of what the demo started", SOON, async || {
        let left: Vec<String> = processes
            .iter()
            .filter(|p| p.is_alive())
            .map(|p| p.command_line())
            .collect();
        ensure!(left.is_empty(), "these still run:\n{}", left.join("\n"));
        Ok(())
    })
    .await?;
    rig.nothing_runs_in(&rig.path("demo")).await
}
