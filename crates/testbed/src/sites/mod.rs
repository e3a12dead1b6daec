//! Clusters in networks of their own, which fail as machines and networks do.
//!
//! ```text
//!  namespaces of this run ┌───────────────────────────────┐
//!    load, gateway        │ az1: echo servers 10.77.1.1…n │
//!    10.77.1.254 ─ cable ─┤ 10.77.1.0/24                  │
//!    10.77.2.254 ─ cable ─┤ az2: …                        │
//!                         └───────────────────────────────┘
//! ```
//!
//! The test, or the program, runs itself once more inside (`isolate`); nothing of it is left when that
//! ends, however it ends. Root is not needed where the system lets everybody have user namespaces.

mod isolate;
mod network;
mod site;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};

use crate::{Process, Ready, Result, SOON};
use site::Site;

pub use site::Fault;

/// Nothing here takes longer: what hangs ends.
const WITHIN: Duration = Duration::from_secs(120);

/// Clusters, and processes beside them.
#[derive(Debug)]
pub struct Sites {
    binary: PathBuf,
    dir: tempfile::TempDir,
    sites: BTreeMap<String, Site>,
    _alone: File,
}

/// How clusters share the traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// All get their part.
    Shared,
    /// The first gets all, the others stand by.
    PrimaryBackup,
}

impl Sites {
    /// The host that the gateway serves.
    pub const HOST: &str = "shop.example.com";

    /// Runs `test` inside, with `binary` (`env!("CARGO_BIN_EXE_tidegate")`). It is the one closure of the test
    /// function around it, whose name is taken from it.
    ///
    /// Without namespaces the test is skipped, loudly; in CI that is a failure.
    ///
    /// # Panics
    /// When the test fails or takes longer than two minutes, after printing what the processes logged.
    pub fn run<F: AsyncFnOnce(&mut Self) -> Result>(binary: &str, test: F) {
        if isolate::inside() {
            if let Err(error) = Self::run_inside(binary, test) {
                panic!("{error:#}");
            }
            return;
        }
        if !isolate::possible() {
            return;
        }
        let name = test_name(std::any::type_name::<F>());
        let output = isolate::again(&["--exact", name, "--nocapture"], Stdio::piped)
            .expect("what was possible just now");
        print!("{}", String::from_utf8_lossy(&output.stdout));
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        let ran = String::from_utf8_lossy(&output.stdout).contains("1 passed");
        assert!(output.status.success(), "{name} failed, see above");
        assert!(ran, "no test has the name {name}");
    }

    /// Runs `program`, the main function of a program with the arguments `args`, inside.
    ///
    /// # Errors
    /// When it fails, takes longer than two minutes, or there are no namespaces.
    pub fn main(
        binary: &str,
        args: &[&str],
        program: impl AsyncFnOnce(&mut Self) -> Result,
    ) -> Result<ExitCode> {
        if isolate::inside() {
            Self::run_inside(binary, program)?;
            return Ok(ExitCode::SUCCESS);
        }
        ensure!(isolate::possible(), "nothing was measured");
        let ended = isolate::again(args, Stdio::inherit)?;
        Ok(match ended.status.success() {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }

    fn run_inside(binary: &str, body: impl AsyncFnOnce(&mut Self) -> Result) -> Result {
        isolate::settle()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let binary = fs::canonicalize(binary).with_context(|| binary.to_owned())?;
        let mut sites = Self {
            _alone: crate::rig::alone(&binary)?,
            binary,
            // Where it vanishes with the namespaces.
            dir: tempfile::tempdir_in("/run")?,
            sites: BTreeMap::new(),
        };
        fs::create_dir(sites.logs())?;
        // On this thread and no other: a child dies with the thread that started it.
        let outcome = runtime.block_on(async {
            let within = tokio::time::timeout(WITHIN, body(&mut sites)).await;
            within.unwrap_or_else(|_| Err(anyhow!("it takes longer than {} s", WITHIN.as_secs())))
        });
        if outcome.is_err() {
            crate::rig::print_logs(&sites.logs());
        }
        outcome
    }

    /// Starts a cluster with so many servers.
    ///
    /// # Errors
    /// When it does not serve.
    pub async fn add(&mut self, name: &str, servers: u8) -> Result {
        let number = u8::try_from(self.sites.len() + 1)?;
        let site = Site::start(&self.binary, &self.logs(), name, number, servers).await?;
        self.sites.insert(name.to_owned(), site);
        Ok(())
    }

    /// All clusters with the addresses of their servers.
    pub fn addresses(&self) -> impl Iterator<Item = (&str, &[SocketAddr])> {
        let all = self.sites.iter();
        all.map(|(name, site)| (name.as_str(), site.addresses()))
    }

    /// Makes a cluster fail.
    ///
    /// # Errors
    /// When there is no such cluster, or it cannot be made to fail.
    pub async fn strike(&mut self, cluster: &str, fault: Fault) -> Result {
        self.site(cluster)?.strike(fault).await
    }

    /// Takes a fault back; returns when it is gone.
    ///
    /// # Errors
    /// When there is no such cluster, or it does not serve again.
    pub async fn heal(&mut self, cluster: &str, fault: Fault) -> Result {
        let (binary, logs) = (self.binary.clone(), self.logs());
        self.site(cluster)?.heal(fault, &binary, &logs).await
    }

    fn site(&mut self, cluster: &str) -> Result<&mut Site> {
        let site = self.sites.get_mut(cluster);
        site.with_context(|| format!("there is no cluster {cluster}"))
    }

    /// How often each path was asked for with `method`, over all servers that ever ran.
    ///
    /// # Errors
    /// When a log cannot be read.
    pub fn arrivals(&self, method: &str) -> Result<BTreeMap<String, u32>> {
        let mut arrivals = BTreeMap::new();
        for entry in fs::read_dir(self.logs())? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "out") {
                continue;
            }
            let log = String::from_utf8_lossy(&fs::read(path)?).into_owned();
            for line in log.lines() {
                // METHOD PATH STATUS
                let words: Vec<&str> = line.split(' ').collect();
                if let [first, path, _] = words[..]
                    && first == method
                {
                    *arrivals.entry(path.to_owned()).or_default() += 1;
                }
            }
        }
        Ok(arrivals)
    }

    /// Starts `tidegate gateway` with one worker and this file; with where it listens.
    ///
    /// # Errors
    /// When it does not get ready.
    pub async fn start_gateway(&self, config: &str) -> Result<(Process, Ready)> {
        let config = self.write("gateway.yaml", config)?;
        let data = self.path("gateway");
        let (config, data) = (config.to_string_lossy(), data.to_string_lossy());
        let place = ["--config", &*config, "--data-dir", &*data, "--workers", "1"];
        let args = [&["gateway", "--http-listen", "127.0.0.1:0"][..], &place].concat();
        let mut gateway = self.spawn("gateway", &args)?;
        let ready = gateway.ready(SOON).await?;
        Ok((gateway, ready))
    }

    /// The gateway's file: everything of [`Sites::HOST`] to all clusters there are. It ends within the backend,
    /// indented by four spaces.
    #[must_use]
    pub fn gateway_config(&self, strategy: Strategy) -> String {
        let clusters = self.addresses().map(|(name, addresses)| {
            let endpoints = addresses.iter();
            let endpoints = endpoints.map(|address| format!("{{ address: \"{address}\" }}"));
            let endpoints: Vec<String> = endpoints.collect();
            format!("      {name}: [{}]\n", endpoints.join(", "))
        });
        let clusters: String = clusters.collect();
        let tiers = self
            .addresses()
            .map(|(name, _)| format!("      - clusters: [{{ cluster: {name} }}]\n"));
        let placement = match strategy {
            Strategy::Shared => String::new(),
            Strategy::PrimaryBackup => {
                format!(
                    "    placement:\n      tiers:\n{}",
                    tiers.collect::<String>()
                )
            }
        };
        format!(
            "hosts:\n  {}:\n  - path: {{ prefix: / }}\n    action: {{ forward: {{ backend: \"shop/shop:80\" }} }}\n\
             backends:\n  \"shop/shop:80\":\n{placement}    clusters:\n{clusters}",
            Self::HOST
        )
    }

    /// Starts `tidegate` with these arguments, beside the clusters.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&self, name: &str, args: &[&str]) -> Result<Process> {
        Process::start(&self.binary, name, args, &self.logs())
    }

    /// Starts any other program there.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn_program(&self, program: &str, args: &[&str]) -> Result<Process> {
        Process::start(Path::new(program), program, args, &self.logs())
    }

    /// Writes a file of this run.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path(name);
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// A path of this run, gone at its end.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn logs(&self) -> PathBuf {
        self.path("logs")
    }
}

/// `file::test` of the path of a closure in it, as the test harness names it.
fn test_name(closure: &str) -> &str {
    let inner = closure.split_once("::").map_or(closure, |(_, rest)| rest);
    inner.split("::{{closure}}").next().unwrap_or(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_has_the_name_of_its_closure() {
        let closure = || ();
        fn name<F>(_: &F) -> &'static str {
            test_name(std::any::type_name::<F>())
        }
        assert_eq!(
            name(&closure),
            "sites::tests::a_test_has_the_name_of_its_closure"
        );
    }
}
