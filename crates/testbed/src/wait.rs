//! Waiting for something to become true.

use std::time::{Duration, Instant};

use anyhow::Context;

use crate::Result;

/// A deadline for what takes a second on an idle machine: debug builds on two busy cores are slow, and
/// a deadline only matters when a test fails.
pub const SOON: Duration = Duration::from_secs(40);

const POLL: Duration = Duration::from_millis(40);

/// Asks `condition` again and again until it succeeds, and returns what it returned.
///
/// An error means "not yet". The last one is the cause of the failure when `within` is over.
///
/// # Errors
/// When the condition did not succeed in time.
pub async fn wait_for<T>(
    what: &str,
    within: Duration,
    mut condition: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let begun = Instant::now();
    loop {
        let not_yet = match condition().await {
            Ok(value) => return Ok(value),
            Err(not_yet) => not_yet,
        };
        if begun.elapsed() > within {
            let waited = format!("waited {} s for: {what}", within.as_secs());
            return Err(not_yet).context(waited);
        }
        tokio::time::sleep(POLL).await;
    }
}
