//! What many Ingresses cost.

use std::path::Path;

use anyhow::Context;
use serde_json::Value;

use super::{Section, percentile, rig, sorted};

/// Ingresses, and how many of them have a certificate of their own.
const SIZES: [(u32, u32); 3] = [(100, 10), (1000, 100), (10_000, 1000)];

const CHANGES: u32 = 100;

/// The test rig does the work, through the Kubernetes API: see `crates/testbed/examples/scale`.
pub(super) fn measure(binary: &Path) -> anyhow::Result<Section> {
    let mut text = format!(
        "## Many Ingresses\n\n\
         Each with a host of its own and CORS, a tenth of them with a certificate, a tenth as many Services in one member. \
         *Change*: from sending the change of one Ingress to the hub's API until the gateway answers by it ({CHANGES} changes, 20 ms apart). \
         *First decision*: from all objects, read, to the snapshot, after a restart of the hub. *Created*: through the API, \
         16 clients; *told*: until the status of the last one is written. Memory (PSS) after the changes.\n\n\
         | Ingresses | change p50 | change p99 | first decision | created | told | hub | gateway |\n\
         |---|---|---|---|---|---|---|---|\n"
    );
    for (ingresses, certificates) in SIZES {
        let found = rig("scale", binary, &[ingresses, certificates, CHANGES])?;
        text.push_str(&row(ingresses, &found).context("the rig does not print what it should")?);
    }
    Ok(Section {
        name: "scale",
        text,
    })
}

fn row(ingresses: u32, found: &Value) -> Option<String> {
    let changes = found["change_ms"].as_array()?.iter().map(Value::as_f64);
    let changes = sorted(changes.collect::<Option<_>>()?);
    let number = |name: &str| found[name].as_f64();
    Some(format!(
        "| {ingresses} | {:.1} ms | {:.1} ms | {:.0} ms | {:.1} s | {:.1} s | {:.0} MB | {:.0} MB |\n",
        percentile(&changes, 50.0),
        percentile(&changes, 99.0),
        number("cold_decide_ms")?,
        number("created_s")?,
        number("told_s")?,
        found["hub_mb"][1].as_f64()?,
        found["gateway_mb"][1].as_f64()?,
    ))
}
