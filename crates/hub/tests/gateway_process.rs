//! The gateway's supervision, with real processes.

#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tidegate_hub::gateway_process::{
    GATEWAY_LOG_FILE, GATEWAY_PID_FILE, GatewayHandle, GatewayProcess, GatewaySpec, GatewayStatus,
    Origin,
};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);
const GRACE: Duration = Duration::from_secs(5);

fn shell(dir: &Path, script: &str) -> GatewaySpec {
    GatewaySpec {
        exec: "/bin/sh".into(),
        args: ["-c", script].map(OsString::from).to_vec(),
        dir: dir.to_owned(),
    }
}

fn sleeper(dir: &Path, seconds: &str) -> GatewaySpec {
    shell(dir, &format!("exec sleep {seconds}"))
}

async fn ensure(spec: GatewaySpec) -> GatewayHandle {
    GatewayProcess::ensure(spec, CancellationToken::new())
        .await
        .unwrap()
}

fn pid(handle: &GatewayHandle) -> u32 {
    handle.status().borrow().pid.unwrap()
}

async fn until(
    handle: &GatewayHandle,
    condition: impl FnMut(&GatewayStatus) -> bool,
) -> GatewayStatus {
    let mut status = handle.status();
    let found = tokio::time::timeout(PATIENCE, status.wait_for(condition)).await;
    found.expect("the condition comes in time").unwrap().clone()
}

/// State letter of a process; `None` when it is gone.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// Waits until the process has written to its log.
async fn until_logged(dir: &TempDir) {
    let logged = async {
        while fs::metadata(dir.path().join(GATEWAY_LOG_FILE))
            .unwrap()
            .size()
            == 0
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, logged)
        .await
        .expect("the process writes in time");
}

async fn until_gone(pid: u32) {
    let gone = async {
        while !matches!(state(pid), None | Some('Z')) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone)
        .await
        .expect("the process ends in time");
}

fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

fn note(dir: &TempDir) -> serde_json::Value {
    serde_json::from_slice(&fs::read(dir.path().join(GATEWAY_PID_FILE)).unwrap()).unwrap()
}

#[tokio::test]
async fn it_is_started_noted_and_stopped() {
    let dir = TempDir::new().unwrap();
    let handle = ensure(shell(dir.path(), "echo hello; exec sleep 300")).await;
    let pid = pid(&handle);
    let status = handle.status().borrow().clone();
    assert_eq!(
        status,
        GatewayStatus {
            pid: Some(pid),
            origin: Origin::Started,
            restarts: 0,
            last_exit: None
        }
    );
    assert_eq!(note(&dir)["pid"], pid);
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let group = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_ascii_whitespace()
        .nth(2)
        .unwrap()
        .to_owned();
    assert_eq!(group, pid.to_string(), "a process group of its own");
    until_logged(&dir).await;
    handle.stop(GRACE).await.unwrap();
    assert_eq!(state(pid), None);
    assert!(!dir.path().join(GATEWAY_PID_FILE).exists());
    assert_eq!(
        fs::read_to_string(dir.path().join(GATEWAY_LOG_FILE)).unwrap(),
        "hello\n"
    );
}

#[tokio::test]
async fn it_outlives_its_supervisor_and_is_adopted() {
    let dir = TempDir::new().unwrap();
    let first = ensure(sleeper(dir.path(), "300")).await;
    let pid_before = pid(&first);
    drop(first);
    let second = ensure(sleeper(dir.path(), "300")).await;
    let status = second.status().borrow().clone();
    assert_eq!(
        status,
        GatewayStatus {
            pid: Some(pid_before),
            origin: Origin::Adopted,
            restarts: 0,
            last_exit: None
        }
    );
    // An adopted one that ends is noticed and replaced too.
    signal(pid_before, rustix::process::Signal::KILL);
    let status = until(&second, |status| status.restarts == 1).await;
    assert_eq!(status.origin, Origin::Started);
    assert_ne!(status.pid, Some(pid_before));
    let started = status.pid.unwrap();
    drop(second);
    // The end of an adopted process can be asked for as well.
    let third = ensure(sleeper(dir.path(), "300")).await;
    assert_eq!(pid(&third), started);
    third.stop(GRACE).await.unwrap();
    until_gone(started).await;
}

#[tokio::test]
async fn one_with_other_arguments_is_replaced() {
    let dir = TempDir::new().unwrap();
    let first = ensure(sleeper(dir.path(), "300")).await;
    let old = pid(&first);
    drop(first);
    let second = ensure(sleeper(dir.path(), "301")).await;
    assert_eq!(second.status().borrow().origin, Origin::Started);
    assert_ne!(pid(&second), old);
    assert_eq!(note(&dir)["pid"], pid(&second));
    until_gone(old).await;
    second.stop(GRACE).await.unwrap();
}

#[tokio::test]
async fn a_crash_is_followed_by_a_restart_and_a_failing_program_by_many() {
    let dir = TempDir::new().unwrap();
    let handle = ensure(sleeper(dir.path(), "300")).await;
    signal(pid(&handle), rustix::process::Signal::KILL);
    let status = until(&handle, |status| status.restarts == 1).await;
    assert!(status.last_exit.unwrap().contains("SIGKILL"));
    assert_eq!(note(&dir)["pid"], status.pid.unwrap());
    handle.stop(GRACE).await.unwrap();

    let handle = ensure(shell(dir.path(), "exit 3")).await;
    let status = until(&handle, |status| status.restarts == 3).await;
    assert_eq!(status.last_exit.as_deref(), Some("exit status: 3"));
    handle.stop(GRACE).await.unwrap();
}

#[tokio::test]
async fn after_shutdown_it_is_not_started_again() {
    let dir = TempDir::new().unwrap();
    let shutdown = CancellationToken::new();
    let handle = GatewayProcess::ensure(sleeper(dir.path(), "300"), shutdown.clone())
        .await
        .unwrap();
    let running = pid(&handle);
    shutdown.cancel();
    assert!(state(running).is_some(), "shutdown alone does not end it");
    signal(running, rustix::process::Signal::KILL);
    until(&handle, |status| status.pid.is_none()).await;
    handle.stop(GRACE).await.unwrap();
    assert!(!dir.path().join(GATEWAY_PID_FILE).exists());
}

#[tokio::test]
async fn a_note_about_a_reused_number_is_not_believed() {
    let dir = TempDir::new().unwrap();
    let handle = ensure(sleeper(dir.path(), "300")).await;
    let real = pid(&handle);
    let mut stale = note(&dir);
    handle.stop(GRACE).await.unwrap();
    // The number now belongs to a process that is no gateway: this one. It may have begun in the same tick of the
    // clock, a hundredth of a second, as the noted one, so the note is made older than both.
    assert!(stale["startTicks"].as_u64() > Some(1));
    stale["startTicks"] = 1.into();
    stale["pid"] = std::process::id().into();
    fs::write(dir.path().join(GATEWAY_PID_FILE), stale.to_string()).unwrap();
    let handle = ensure(sleeper(dir.path(), "300")).await;
    assert_eq!(handle.status().borrow().origin, Origin::Started);
    assert_ne!(pid(&handle), real);
    assert_ne!(pid(&handle), std::process::id());
    handle.stop(GRACE).await.unwrap();
}

#[tokio::test]
async fn a_damaged_note_is_as_good_as_none() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join(GATEWAY_PID_FILE), "{\"pid\": 1,").unwrap();
    let handle = ensure(sleeper(dir.path(), "300")).await;
    assert_eq!(handle.status().borrow().origin, Origin::Started);
    assert_eq!(note(&dir)["pid"], pid(&handle));
    handle.stop(GRACE).await.unwrap();
}

#[tokio::test]
async fn one_that_ignores_sigterm_is_killed_after_the_grace() {
    let dir = TempDir::new().unwrap();
    let handle = ensure(shell(
        dir.path(),
        "trap '' TERM; echo deaf; while :; do sleep 1; done",
    ))
    .await;
    let deaf = pid(&handle);
    until_logged(&dir).await;
    handle.stop(Duration::from_millis(50)).await.unwrap();
    assert_eq!(state(deaf), None);
}

#[tokio::test]
async fn a_long_log_is_put_aside_at_the_start() {
    let dir = TempDir::new().unwrap();
    let log = dir.path().join(GATEWAY_LOG_FILE);
    fs::File::create(&log)
        .unwrap()
        .set_len((10 << 20) + 1)
        .unwrap();
    let handle = ensure(sleeper(dir.path(), "300")).await;
    assert_eq!(fs::metadata(&log).unwrap().size(), 0);
    assert_eq!(
        fs::metadata(dir.path().join("gateway.log.1"))
            .unwrap()
            .size(),
        (10 << 20) + 1
    );
    handle.stop(GRACE).await.unwrap();
}

#[tokio::test]
async fn a_program_that_does_not_exist_is_an_error_that_names_it() {
    let dir = TempDir::new().unwrap();
    let spec = GatewaySpec {
        exec: "/nowhere/tidegate".into(),
        args: Vec::new(),
        dir: dir.path().to_owned(),
    };
    let error = GatewayProcess::ensure(spec, CancellationToken::new())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("cannot start /nowhere/tidegate"),
        "{error}"
    );
}
