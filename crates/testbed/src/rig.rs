//! The rig: a directory, the processes in it, and their end.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use rustix::process::Signal;

use crate::daemon::Places;
use crate::{Daemon, Finished, Kubectl, Process, ProcessId, Result, SOON, kubectl, wait_for};

/// No test takes longer: one that hangs ends, and shows its logs.
const TEST_WITHIN: Duration = Duration::from_secs(240);

/// The end of each log is what tells why.
const LOG_LINES_SHOWN: usize = 80;

/// The processes of one test.
#[derive(Debug)]
pub struct Rig {
    places: Places,
    server: Option<Daemon>,
    pockets: BTreeMap<String, Daemon>,
    /// Processes without a parent in this rig.
    adopted: BTreeSet<ProcessId>,
    dir: tempfile::TempDir,
    /// Tests that measure shares and failures run one at a time, in this process and beside it: two
    /// fleets on two cores starve each other. The lock ends with the file.
    _alone: File,
}

impl Rig {
    /// Runs `test` with a rig for `binary` (`env!("CARGO_BIN_EXE_tidegate")`), and ends everything after it.
    ///
    /// Without kubectl the test is skipped, loudly; in CI that is a failure.
    ///
    /// # Panics
    /// When the test fails or takes longer than four minutes, after printing what the processes logged.
    pub fn run(binary: &str, test: impl AsyncFnOnce(&mut Self) -> Result) {
        let Some(kubectl) = kubectl::find() else {
            return;
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        let runtime = runtime.expect("a test has threads");
        let mut rig = Self::new(binary, kubectl).expect("a test has a directory of its own");
        // On this thread and no other: a child dies with the thread that started it.
        let outcome = runtime.block_on(async {
            let within = tokio::time::timeout(TEST_WITHIN, test(&mut rig)).await;
            within.unwrap_or_else(|_| {
                Err(anyhow!(
                    "the test takes longer than {} s",
                    TEST_WITHIN.as_secs()
                ))
            })
        });
        if let Err(error) = outcome {
            // The rig is dropped by the panic, prints the logs and ends the processes.
            panic!("{error:#}");
        }
    }

    fn new(binary: &str, kubectl: PathBuf) -> Result<Self> {
        let binary = PathBuf::from(binary);
        let alone = alone(&binary)?;
        let dir = tempfile::Builder::new()
            .prefix("tidegate-test-")
            .tempdir()?;
        let logs = dir.path().join("logs");
        fs::create_dir(&logs)?;
        let cache = dir.path().join("kubectl-cache");
        let places = Places {
            binary,
            kubectl,
            logs,
            cache,
        };
        let pockets = BTreeMap::new();
        Ok(Self {
            places,
            server: None,
            pockets,
            adopted: BTreeSet::new(),
            dir,
            _alone: alone,
        })
    }

    /// A path in the rig's directory, which is removed at the end.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts the hub.
    ///
    /// # Errors
    /// When it does not get ready.
    pub async fn start_server(&mut self) -> Result {
        let args = [
            "server",
            "--api-listen",
            "127.0.0.1:0",
            "--http-listen",
            "127.0.0.1:0",
            "--https-listen",
            "127.0.0.1:0",
        ];
        let server = Daemon::start(&self.places, "server", &args, &self.path("server")).await?;
        self.server = Some(server);
        Ok(())
    }

    /// Starts a pocket cluster.
    ///
    /// # Errors
    /// When it does not get ready.
    pub async fn start_pocket(&mut self, name: &str) -> Result {
        let args = ["pocket", "--name", name, "--api-listen", "127.0.0.1:0"];
        let pocket = Daemon::start(&self.places, name, &args, &self.path(name)).await?;
        self.pockets.insert(name.to_owned(), pocket);
        Ok(())
    }

    /// Starts any other daemon with `--data-dir` in the rig, as the gateway alone.
    ///
    /// # Errors
    /// When it does not get ready.
    pub async fn start_daemon(&self, name: &str, args: &[&str], dir: &Path) -> Result<Daemon> {
        Daemon::start(&self.places, name, args, dir).await
    }

    /// Starts a hub and pocket clusters of these names, and joins them.
    ///
    /// # Errors
    /// When one of them does not get ready, or cannot be joined.
    pub async fn start_fleet(&mut self, clusters: &[&str]) -> Result {
        self.start_server().await?;
        for name in clusters {
            self.start_pocket(name).await?;
            self.join(name, &self.pocket(name).kubeconfig())
                .await?
                .success()?;
        }
        Ok(())
    }

    /// `tidegate cluster join` against the hub; what came of it.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn join(&self, name: &str, kubeconfig: &Path) -> Result<Finished> {
        let hub = self.server().kubeconfig();
        let (hub, kubeconfig) = (hub.to_string_lossy(), kubeconfig.to_string_lossy());
        let args = [
            "cluster",
            "join",
            name,
            "--kubeconfig",
            &kubeconfig,
            "--region",
            "local",
            "--zone",
            name,
            "--hub-kubeconfig",
            &hub,
        ];
        self.spawn(&format!("join-{name}"), &args)?
            .finished(SOON)
            .await
    }

    /// Starts any other command.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&self, name: &str, args: &[&str]) -> Result<Process> {
        Process::start(&self.places.binary, name, args, &self.places.logs)
    }

    /// The hub.
    ///
    /// # Panics
    /// When the test has not started it.
    #[must_use]
    pub fn server(&self) -> &Daemon {
        self.server
            .as_ref()
            .expect("the test has started the server")
    }

    /// The hub, to end and to start it.
    ///
    /// # Panics
    /// When the test has not started it.
    #[must_use]
    pub fn server_mut(&mut self) -> &mut Daemon {
        self.server
            .as_mut()
            .expect("the test has started the server")
    }

    /// A pocket cluster.
    ///
    /// # Panics
    /// When the test has not started it.
    #[must_use]
    pub fn pocket(&self, name: &str) -> &Daemon {
        self.pockets
            .get(name)
            .expect("the test has started the pocket")
    }

    /// A pocket cluster, to end and to start it.
    ///
    /// # Panics
    /// When the test has not started it.
    #[must_use]
    pub fn pocket_mut(&mut self, name: &str) -> &mut Daemon {
        self.pockets
            .get_mut(name)
            .expect("the test has started the pocket")
    }

    /// kubectl for a pocket cluster.
    #[must_use]
    pub fn member(&self, name: &str) -> &Kubectl {
        self.pocket(name).kubectl()
    }

    /// kubectl for the hub.
    #[must_use]
    pub fn hub(&self) -> &Kubectl {
        self.server().kubectl()
    }

    /// The gateway that serves for the hub. It outlives a hub that is killed; the rig ends it.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub fn gateway(&mut self) -> Result<ProcessId> {
        let found = self.gateways();
        let lines = || {
            found
                .iter()
                .map(|g| g.command_line())
                .collect::<Vec<_>>()
                .join("\n")
        };
        ensure!(
            found.len() == 1,
            "{} gateways run for the hub:\n{}",
            found.len(),
            lines()
        );
        self.adopted.extend(&found);
        found.first().copied().context("there is one")
    }

    fn gateways(&self) -> BTreeSet<ProcessId> {
        let all = ProcessId::mentioning(self.server().dir()).into_iter();
        all.filter(|process| process.command_line().split(' ').nth(1) == Some("gateway"))
            .collect()
    }

    /// Sees to it that `process` ends with the rig.
    pub fn adopt(&mut self, process: ProcessId) {
        self.adopted.insert(process);
    }

    /// Waits until nothing that runs names the rig's directory `dir` any more.
    ///
    /// # Errors
    /// When something still does, with its command line.
    pub async fn nothing_runs_in(&self, dir: &Path) -> Result {
        wait_for("the end of all processes", SOON, async || {
            let left = ProcessId::mentioning(dir);
            let lines: Vec<String> = left.iter().map(|p| p.command_line()).collect();
            ensure!(left.is_empty(), "these still run:\n{}", lines.join("\n"));
            Ok(())
        })
        .await
    }

    /// Everything that this rig is answerable for and that runs now.
    fn processes(&self) -> BTreeSet<ProcessId> {
        let daemons = self
            .server
            .iter()
            .chain(self.pockets.values())
            .map(Daemon::id);
        let roots = daemons
            .chain(self.adopted.iter().copied())
            .chain(ProcessId::mentioning(self.dir.path()));
        roots
            .filter(|p| p.is_alive())
            .flat_map(ProcessId::with_descendants)
            .filter(|p| p.is_alive())
            .collect()
    }
}

impl Drop for Rig {
    /// SIGKILL for everything, again until nothing is left: a process may start another meanwhile.
    fn drop(&mut self) {
        if std::thread::panicking() {
            print_logs(&self.places.logs);
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let left = self.processes();
            if left.is_empty() || Instant::now() > deadline {
                break;
            }
            left.iter().for_each(|process| process.signal(Signal::KILL));
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Waits until no other test that measures runs on this machine; they wait until the file is closed.
pub(crate) fn alone(binary: &Path) -> Result<File> {
    let lock = binary.with_file_name("testbed.lock");
    let alone = File::create(&lock).with_context(|| lock.display().to_string())?;
    alone.lock().with_context(|| lock.display().to_string())?;
    Ok(alone)
}

/// Prints the end of every log in `dir`.
pub(crate) fn print_logs(dir: &Path) {
    let mut logs: Vec<PathBuf> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    logs.sort();
    for path in logs {
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        if lines.is_empty() {
            continue;
        }
        let from = lines.len().saturating_sub(LOG_LINES_SHOWN);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        eprintln!(
            "\n---- {name}, last {} of {} lines",
            lines.len() - from,
            lines.len()
        );
        eprintln!("{}", lines[from..].join("\n"));
    }
}
