//! What every long-running command shares: its runtime, its signals, its ready line, its last words.

mod gateway_child;
pub(crate) mod http_get;
mod parent;
pub(crate) mod ready;
pub(crate) mod tree;

use std::fmt::Write;

use anyhow::Context;

pub(crate) use gateway_child::{GatewayChild, GatewayFlags};
pub(crate) use parent::{PARENT_ENV, end_with_parent};

/// Control planes wait far more than they compute: two workers serve them, and few threads keep the
/// whole demo small.
const WORKERS: usize = 2;

/// A runtime for a control plane or a command.
///
/// # Errors
/// When the operating system refuses a thread.
pub(crate) fn small_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .context("starting the runtime")
}

/// The error and its causes as one line. A cause that its effect has quoted already is left out.
pub(crate) fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.is_empty() {
            line = text;
        } else if !line.contains(&text) {
            // Writing to a string cannot fail.
            let _ = write!(line, ": {text}");
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_is_one_line_without_repetition() {
        let error = anyhow::anyhow!("connection refused\nby peer")
            .context("asking the hub: connection refused by peer")
            .context("joining az1");
        assert_eq!(
            one_line(&error),
            "joining az1: asking the hub: connection refused by peer"
        );
    }
}
