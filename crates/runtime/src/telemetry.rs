//! Logs to stderr.

use std::io::IsTerminal;
use tracing_subscriber::{EnvFilter, fmt};

/// The variable that holds a filter such as `info,tidegate_gateway=debug`.
pub const FILTER_VARIABLE: &str = "TIDEGATE_LOG";

/// Reports every failed request to a Kubernetes API as an error, without naming the cluster; those who make the
/// requests say it better, and once.
const QUIET: &str = "kube_client=off";

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people; coloured when stderr is a terminal.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The variable holds no filter.
    #[error("{FILTER_VARIABLE}={value:?} is not a filter such as `info,tidegate_gateway=debug`")]
    Filter {
        /// What it holds.
        value: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Logging was set up before.
    #[error("logging is already set up in this process")]
    AlreadySet,
}

/// Sends the logs of this process to stderr, from `default_level` on or as [`FILTER_VARIABLE`] says.
///
/// # Errors
/// [`TelemetryError`], when the variable holds no filter or logging is set up already.
pub fn init(format: Format, default_level: tracing::Level) -> Result<(), TelemetryError> {
    let filter = match std::env::var(FILTER_VARIABLE) {
        Ok(value) if !value.is_empty() => {
            EnvFilter::try_new(&value).map_err(|source| TelemetryError::Filter { value, source })?
        }
        _ => EnvFilter::new(format!("{default_level},{QUIET}")),
    };
    let lines = fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let set = match format {
        Format::Text => lines.try_init(),
        Format::Json => lines.json().flatten_event(true).try_init(),
    };
    set.map_err(|_| TelemetryError::AlreadySet)
}
