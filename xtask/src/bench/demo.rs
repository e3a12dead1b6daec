//! The demo as a newcomer meets it: how long until something answers, and how much memory all of it takes.

use std::path::Path;
use std::process::Command;

use anyhow::Context;
use serde_json::Value;

use super::scratch::Scratch;
use super::{Section, percentile, sorted};

/// A single start says little about the next.
const RUNS: usize = 5;

pub(super) fn measure(binary: &Path) -> anyhow::Result<Section> {
    let scratch = Scratch::new("demo")?;
    let reports = (0..RUNS)
        .map(|_| {
            let mut demo = Command::new(binary);
            demo.args([
                "demo",
                "--rate",
                "200",
                "--duration",
                "5s",
                "--report",
                "-",
                "--data-dir",
            ]);
            demo.arg(scratch.path("demo"));
            let report = crate::output(demo)?;
            serde_json::from_str(&report).context("reading the demo's report")
        })
        .collect::<anyhow::Result<Vec<Value>>>()?;
    let column = |name: &str| -> anyhow::Result<Vec<f64>> {
        let values = reports.iter().map(|report| report[name].as_f64());
        let values: Option<Vec<f64>> = values.collect();
        Ok(sorted(values.with_context(|| {
            format!("the report has no number {name}")
        })?))
    };
    let (first, pss, rss) = (
        column("first_answer_ms")?,
        column("memory_mb")?,
        column("memory_rss_mb")?,
    );
    let processes = percentile(&column("processes")?, 50.0);
    let row = |name: &str, values: &[f64], unit: &str| {
        format!(
            "| {name} | {:.0} {unit} | {:.0} {unit} |\n",
            percentile(values, 50.0),
            percentile(values, 100.0)
        )
    };
    Ok(Section {
        name: "demo",
        text: format!(
            "## The demo\n\n\
             A hub, its gateway, two clusters with three pods each and the demo itself: {processes:.0} processes, 200 requests \
             a second, {RUNS} runs from an empty directory.\n\n\
             | | median | worst |\n|---|---|---|\n{}{}{}",
            row("start to first answered request", &first, "ms"),
            row("memory, shared pages counted once (PSS)", &pss, "MB"),
            row(
                "memory, shared pages counted in every process (RSS)",
                &rss,
                "MB"
            ),
        ),
    })
}
