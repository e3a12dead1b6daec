//! A program that runs itself once more, in namespaces of its own.
//!
//! The second run is process 1 of a process namespace: whatever ends it ends all that it started, and with
//! the last process its networks and mounts are gone. Nothing has to be cleaned up, also after SIGKILL.

use std::io::Read;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, ensure};

use crate::Result;
use crate::skip::missing;

/// Set in the second run.
const INSIDE: &str = "TIDEGATE_TEST_ISOLATED";

const HINT: &str = "apt-get install util-linux iproute2 nftables, and run as root or where user namespaces are allowed";

/// What the namespaces are good for, tried before anything depends on it.
const TRIAL: &str = "mount -t tmpfs none /run && ip netns add trial && nft list ruleset && nsenter --net=/run/netns/trial true";

/// Whether this is the second run.
pub(super) fn inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Whether there can be a second run; if not, after saying so loudly.
///
/// # Panics
/// In CI, when there cannot.
pub(super) fn possible() -> bool {
    let tried = unshare()
        .args(["sh", "-c", TRIAL])
        .stdin(Stdio::null())
        .output();
    let why = match tried {
        Ok(tried) if tried.status.success() => return true,
        Ok(tried) => String::from_utf8_lossy(&tried.stderr).trim().to_owned(),
        Err(error) => format!("unshare: {error}"),
    };
    missing(&format!("there are no network namespaces ({why})"), HINT);
    false
}

/// Runs this program again with `args` and waits for its end. Its output goes where `output` says.
///
/// # Errors
/// When it cannot be started.
pub(super) fn again(args: &[&str], output: fn() -> Stdio) -> Result<Output> {
    let program = std::env::current_exe().context("finding this program")?;
    let mut child = unshare()
        .arg(program)
        .args(args)
        .env(INSIDE, "1")
        .stdin(Stdio::piped())
        .stdout(output())
        .stderr(output())
        .spawn()
        .context("starting unshare")?;
    // Held open until it has ended: by its end the second run learns that we are gone.
    let _alive = child.stdin.take();
    Ok(child.wait_with_output()?)
}

/// What the second run does first.
///
/// # Errors
/// When the namespaces are not as they should be.
pub(super) fn settle() -> Result {
    std::thread::Builder::new()
        .name("first-run".to_owned())
        .spawn(|| {
            // Nothing is ever written there.
            let _ = std::io::stdin().read(&mut [0]);
            std::process::exit(1);
        })?;
    // For named networks and everything else that must not outlast this run.
    run("mount", &["-t", "tmpfs", "none", "/run"])?;
    run("ip", &["link", "set", "lo", "up"])
}

/// Runs a command that says nothing when it succeeds.
///
/// # Errors
/// When it fails, with what it says.
pub(super) fn run(program: &str, args: &[&str]) -> Result {
    let words = || format!("{program} {}", args.join(" "));
    let ran = Command::new(program).args(args).output();
    let ran = ran.with_context(words)?;
    let said = String::from_utf8_lossy(&ran.stderr);
    ensure!(ran.status.success(), "{}: {}", words(), said.trim());
    Ok(())
}

/// `unshare` with all the namespaces, for the program in the arguments that follow.
fn unshare() -> Command {
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args([
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ]);
    // Where ip and nft are, which not everybody has on the PATH.
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command
}
