//! The demo's report: the figures of the load, and under which conditions they arose.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

use super::Options;
use super::fleet::Fleet;
use crate::commands::Strategy;
use crate::load::{FaultWindow, Report, Tally, fractional_millis};
use crate::process::tree::{Memory, Process};

/// How a run came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Its time was over.
    RanToEnd,
    /// A person or a signal ended it.
    Interrupted,
}

/// One JSON object.
#[derive(Debug, Serialize)]
pub(crate) struct DemoReport {
    #[serde(flatten)]
    load: Report,
    strategy: &'static str,
    method: String,
    /// As given: `kill:az1`.
    fault: Option<String>,
    /// When the fault was complete and when healing began, from the first request.
    fault_at_ms: Option<f64>,
    heal_at_ms: Option<f64>,
    /// From the start of the demo to the first answered request.
    first_answer_ms: f64,
    /// Of all processes of the demo together, at the end: shared pages counted once (PSS).
    memory_mb: f64,
    /// The same with shared pages counted in every process (RSS).
    memory_rss_mb: f64,
    processes: usize,
}

impl DemoReport {
    pub(crate) fn new(
        options: &Options,
        tally: &Tally,
        lasted: Duration,
        window: Option<&FaultWindow>,
        first_answer: Duration,
        fleet: &Fleet,
    ) -> Self {
        let own = i32::try_from(std::process::id())
            .ok()
            .and_then(Process::find);
        let processes: Vec<Process> = fleet.processes().into_iter().chain(own).collect();
        let memory: Vec<Memory> = processes
            .iter()
            .filter_map(|process| process.memory())
            .collect();
        Self {
            load: Report::new(tally, options.rate, lasted, window),
            strategy: match options.strategy {
                Strategy::ActiveActive => "active-active",
                Strategy::ActiveStandby => "active-standby",
            },
            method: options.method.to_string(),
            fault: options
                .fault
                .as_ref()
                .map(|planned| format!("{}:{}", planned.fault, planned.cluster)),
            fault_at_ms: window.map(|window| fractional_millis(window.fault)),
            heal_at_ms: window.map(|window| fractional_millis(window.heal)),
            first_answer_ms: fractional_millis(first_answer),
            memory_mb: tenths(memory.iter().map(|memory| memory.pss).sum()),
            memory_rss_mb: tenths(memory.iter().map(|memory| memory.rss).sum()),
            processes: processes.len(),
        }
    }

    /// As [`Report::load_not_kept_up`].
    pub(crate) fn load_not_kept_up(&self) -> Option<String> {
        self.load.load_not_kept_up()
    }
}

/// Megabytes (10^6 bytes) with one decimal.
fn tenths(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "the memory of a few processes")]
    let megabytes = bytes as f64 / 1e6;
    (megabytes * 10.0).round() / 10.0
}

/// Prints the report, or writes it to `to`; a person who asked for none gets the figures in a line.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write(report: &DemoReport, to: Option<&Path>) -> anyhow::Result<()> {
    let mut json = serde_json::to_string_pretty(report)?;
    json.push('\n');
    match to {
        None => {
            eprintln!("{}", report.load.in_words());
            Ok(())
        }
        Some(path) if path == "-" => std::io::stdout()
            .lock()
            .write_all(json.as_bytes())
            .context("writing the report"),
        Some(path) => std::fs::write(path, json)
            .with_context(|| format!("writing the report to {}", path.display())),
    }
}
