//! The rig starts, watches and ends processes as it says, with a shell in place of the product.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tidegate_testbed::{ProcessId, Rig, SOON, wait_for};

/// A program that is this script.
fn program(dir: &tempfile::TempDir, script: &str) -> String {
    let path: PathBuf = dir.path().join("program");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("the directory is writable");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    path.to_str().expect("temporary names are UTF-8").to_owned()
}

#[test]
fn nothing_outlives_a_rig_not_even_what_ignores_signals() {
    let dir = tempfile::tempdir().expect("a directory");
    // A grandchild that no longer has its parent, as a gateway whose hub was killed.
    let script = "trap '' TERM INT HUP
case $1 in
  server) (sh -c 'trap \"\" TERM; while :; do sleep 1; done' \"$*\" &)
          echo 'ready: server api=https://127.0.0.1:1 http=http://127.0.0.1:2' >&2; while :; do sleep 1; done;;
esac";
    let mut seen = Vec::new();
    Rig::run(&program(&dir, script), async |rig| {
        rig.start_server().await?;
        let data = rig.server().dir().to_owned();
        let found = wait_for("server and grandchild", SOON, async || {
            let found = ProcessId::mentioning(&data);
            anyhow::ensure!(found.len() >= 2, "{} run", found.len());
            Ok(found)
        })
        .await?;
        seen.extend(found);
        rig.server_mut().kill()?;
        anyhow::ensure!(
            seen.iter().any(|p| p.is_alive()),
            "the grandchild died with the server"
        );
        Ok(())
    });
    assert!(seen.iter().all(|process| !process.is_alive()));
}

#[test]
fn a_process_that_ends_before_it_is_ready_is_quoted() {
    let dir = tempfile::tempdir().expect("a directory");
    let script = "echo starting >&2; echo 'error: the port is taken' >&2; exit 3";
    Rig::run(&program(&dir, script), async |rig| {
        let error = format!(
            "{:#}",
            rig.start_server().await.expect_err("it never serves")
        );
        anyhow::ensure!(
            error.contains("the port is taken") && error.contains("3"),
            "{error}"
        );
        let refused = rig.spawn("again", &["x"])?.finished(SOON).await?;
        anyhow::ensure!(refused.refusal()? == "error: the port is taken");
        anyhow::ensure!(refused.success().is_err());
        Ok(())
    });
}
