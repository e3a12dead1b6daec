//! From a change of an EndpointSlice in a member cluster to the gateway's table.

use std::path::Path;

use anyhow::Context;
use serde_json::Value;

use super::{Section, percentile, rig, sorted};

/// The test rig does the changes, through the Kubernetes API: see `crates/testbed/examples/propagation.rs`.
pub(super) fn measure(binary: &Path, changes: u32) -> anyhow::Result<Section> {
    let millis = rig("propagation", binary, &[changes])?;
    let millis: Option<Vec<f64>> = millis
        .as_array()
        .and_then(|all| all.iter().map(Value::as_f64).collect());
    let millis = sorted(millis.context("the rig prints no list of numbers")?);
    let at = |percent| percentile(&millis, percent);
    Ok(Section {
        name: "propagation",
        text: format!(
            "## From a member's EndpointSlice to the gateway\n\n\
             Time from sending the change of an EndpointSlice to a member cluster's API until the gateway's `/status` shows it: \
             the member's store, its watch, the hub's decision, the feed, the gateway's table, and the question itself. \
             {} changes.\n\n\
             | p50 | p90 | p99 | worst |\n|---|---|---|---|\n| {:.1} ms | {:.1} ms | {:.1} ms | {:.1} ms |\n",
            millis.len(),
            at(50.0),
            at(90.0),
            at(99.0),
            at(100.0)
        ),
    })
}
