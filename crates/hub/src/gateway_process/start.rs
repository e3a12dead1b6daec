//! A new gateway process that nothing of this process holds.

use super::process::Process;
use super::record::{Record, command_line};
use super::{GATEWAY_LOG_FILE, GATEWAY_PID_FILE, GatewaySpec};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::process::Stdio;
use tokio::process::Command;

/// A log that is longer, in bytes, is put aside when a process is started.
const LOG_LIMIT: u64 = 10 << 20;

pub(super) fn create_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|error| named("create", dir, &error))
}

/// Starts the process and takes a note of it.
pub(super) async fn start(spec: &GatewaySpec) -> io::Result<Process> {
    let log = open_log(&spec.dir)?;
    let child = Command::new(&spec.exec)
        .args(&spec.args)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // Ctrl-C in the terminal of the hub is not for the gateway.
        .process_group(0)
        .kill_on_drop(false)
        .spawn()
        .map_err(|error| named("start", &spec.exec, &error))?;
    let process = Process::from_child(child).map_err(|error| named("watch", &spec.exec, &error))?;
    let record = Record {
        pid: process.pid(),
        identity: process.identity.clone(),
        command: command_line(&spec.exec, &spec.args),
    };
    let path = spec.dir.join(GATEWAY_PID_FILE);
    let written = tokio::task::spawn_blocking(move || record.write(&path)).await;
    if let Err(error) = written.map_err(io::Error::other).flatten() {
        tracing::error!(%error, "no note of the gateway: a hub that is killed will not find it again");
    }
    tracing::info!(pid = process.pid(), exec = %spec.exec.display(), "started the gateway");
    Ok(process)
}

fn open_log(dir: &Path) -> io::Result<File> {
    let path = dir.join(GATEWAY_LOG_FILE);
    if fs::metadata(&path).is_ok_and(|log| log.len() > LOG_LIMIT) {
        fs::rename(&path, dir.join(format!("{GATEWAY_LOG_FILE}.1")))
            .map_err(|error| named("rotate", &path, &error))?;
    }
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&path)
        .map_err(|error| named("open", &path, &error))
}

fn named(doing: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("cannot {doing} {}: {error}", path.display()),
    )
}
