//! Tidegate's gateway alone, from a snapshot.

use std::path::Path;

use serde_json::json;

use super::super::super::scratch::Running;
use super::super::{HOST, on_core};
use super::{Start, read};

pub(super) fn start(binary: &Path, with: &Start<'_>) -> anyhow::Result<Running> {
    let route = json!({
        "id": "bench/bench#0.0",
        "path": { "prefix": "/" },
        "action": { "forward": { "backend": "bench/bench:80" } },
    });
    let snapshot = json!({
        "format": 1,
        "generation": 1,
        "hosts": { HOST: [route] },
        "backends": { "bench/bench:80": { "clusters": { "one": [{ "address": with.origin }] } } },
        "tls": { "*": "bench" },
        "certificates": { "bench": { "chain": read(&with.pair.certificate)?, "key": read(&with.pair.key)? } },
    });
    let scratch = with.scratch;
    let snapshot = scratch.write("snapshot.json", &serde_json::to_vec(&snapshot)?)?;
    let mut command = on_core(0, binary);
    command.arg("gateway").arg("--snapshot").arg(snapshot);
    command.arg("--data-dir").arg(scratch.path("tidegate"));
    command.args(["--http-listen", &with.plain.to_string()]);
    command.args(["--https-listen", &with.tls.to_string()]);
    command.args(["--workers", "1"]);
    Running::start(command, with.plain, &scratch.path("tidegate.log"))
}
