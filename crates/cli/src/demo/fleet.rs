//! The demo's fleet: a hub and two pocket clusters, and what is done to them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures::future::try_join_all;
use futures::{FutureExt, try_join};
use kube::Client;
use rustix::process::Signal;
use tidegate_hub::gateway_process::GATEWAY_PID_FILE;

use super::children::{Child, DieBy, Recipe};
use super::place::{self, DemoDir};
use super::view::State;
use super::{CLUSTERS, Options, errors, sample};
use crate::process::ready::Ready;
use crate::process::tree::{Process, noted};
use crate::values::Fault;

/// Processes that were asked to end get so long, then they are killed.
const END_WITHIN: Duration = Duration::from_secs(10);

/// The running processes. Dropping it ends all of them.
#[derive(Debug)]
pub(crate) struct Fleet {
    dir: DemoDir,
    server: Child,
    /// What the hub said when it was ready.
    pub(crate) hub: Ready,
    members: Vec<Member>,
}

/// One pocket cluster.
#[derive(Debug)]
pub(crate) struct Member {
    /// Its name.
    pub(crate) name: &'static str,
    /// What was done to it.
    pub(crate) state: State,
    /// What it said when it was ready.
    pub(crate) ready: Ready,
    recipe: Recipe,
    child: Child,
    /// What a hang stopped.
    stopped: Vec<Process>,
}

impl Fleet {
    /// Starts everything at once, deploys the shop, joins the clusters and puts the route on the hub.
    ///
    /// # Errors
    /// What failed first; whatever runs by then is ended.
    pub(crate) async fn start(dir: DemoDir, options: &Options) -> anyhow::Result<Self> {
        let logs = dir.path().join("logs");
        let hub_recipe = hub_recipe(dir.path(), options);
        let server = StartedChild::start(&hub_recipe, &logs)?;
        let pockets = CLUSTERS
            .iter()
            .map(|name| {
                let recipe = pocket_recipe(dir.path(), name);
                Ok((*name, StartedChild::start(&recipe, &logs)?, recipe))
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let hub = async {
            let (server, hub) = server.ready().await?;
            let client = sample::client(kubeconfig(&hub)?).await?;
            sample::route(&client, options.strategy).await?;
            anyhow::Ok((server, hub, client))
        };
        let members = try_join_all(pockets.into_iter().map(|(name, child, recipe)| {
            async move {
                let (child, ready) = child.ready().await?;
                let client = sample::client(kubeconfig(&ready)?).await?;
                sample::deploy(&client)
                    .await
                    .with_context(|| format!("deploying to {name}"))?;
                let recipe = at_the_same_address(recipe, &ready)?;
                let stopped = Vec::new();
                anyhow::Ok(Member {
                    name,
                    state: State::Up,
                    ready,
                    recipe,
                    child,
                    stopped,
                })
            }
            .boxed()
        }));
        let ((server, hub, client), members) = try_join!(hub, members)?;
        let fleet = Self {
            dir,
            server,
            hub,
            members,
        };
        fleet.record()?;
        fleet.join(&client).await?;
        Ok(fleet)
    }

    /// Registers the clusters, as `tidegate cluster join` does.
    async fn join(&self, hub: &Client) -> anyhow::Result<()> {
        let joins = self.members.iter().map(|member| {
            async move {
                let kubeconfig = std::fs::read_to_string(kubeconfig(&member.ready)?)?;
                crate::commands::join_cluster(hub, member.name, &kubeconfig, "local", member.name)
                    .await
            }
            .boxed()
        });
        try_join_all(joins).await?;
        Ok(())
    }

    /// Breaks `cluster`; the sentence that says what was done.
    ///
    /// # Errors
    /// When it is broken already, or cannot be.
    pub(crate) async fn fail(&mut self, cluster: &str, fault: Fault) -> anyhow::Result<String> {
        let member = self.member(cluster)?;
        if member.state != State::Up {
            bail!("{cluster} is not up; heal it first");
        }
        let tree = member.child.process().with_descendants();
        let count = tree.len();
        let done = match fault {
            Fault::Kill => {
                place::end(&tree);
                member.child.ended().await?;
                member.state = State::Killed;
                format!("killed {cluster}: {count} processes, SIGKILL")
            }
            Fault::Hang => {
                tree.iter().for_each(|process| process.signal(Signal::STOP));
                member.stopped = tree;
                member.state = State::Hung;
                format!("hung {cluster}: {count} processes, SIGSTOP")
            }
            Fault::Errors => {
                let pods = errors::set(kubeconfig(&member.ready)?, errors::Mode::Errors).await?;
                member.state = State::Errors;
                format!("made {cluster} fail: {pods} pods answer 503")
            }
        };
        self.record()?;
        Ok(done)
    }

    /// Takes back what was done to `cluster`; the sentence that says so.
    ///
    /// # Errors
    /// When nothing was done to it, or it does not come back.
    pub(crate) async fn heal(&mut self, cluster: &str) -> anyhow::Result<String> {
        let logs = self.dir.path().join("logs");
        let member = self.member(cluster)?;
        let was = std::mem::replace(&mut member.state, State::Healing);
        let healed = member.heal(was, &logs).await;
        match &healed {
            Ok(_) => member.state = State::Up,
            Err(_) => member.state = was,
        }
        self.record()?;
        healed
    }

    fn member(&mut self, cluster: &str) -> anyhow::Result<&mut Member> {
        let found = self
            .members
            .iter_mut()
            .find(|member| member.name == cluster);
        found.with_context(|| {
            format!(
                "there is no cluster {cluster}; the demo has {}",
                CLUSTERS.join(" and ")
            )
        })
    }

    /// The clusters, in the order of their names.
    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// What ended though nobody asked it to.
    pub(crate) fn died(&mut self) -> Option<String> {
        let members = self
            .members
            .iter_mut()
            .filter(|member| member.state != State::Killed);
        let children = members.map(|member| &mut member.child);
        std::iter::once(&mut self.server)
            .chain(children)
            .find_map(Child::has_died)
    }

    /// All processes of the demo but itself.
    pub(crate) fn processes(&self) -> Vec<Process> {
        let children = self.members.iter().map(|member| member.child.process());
        let roots = std::iter::once(self.server.process()).chain(children);
        let mut all: Vec<Process> = roots
            .filter(|process| process.is_alive())
            .flat_map(Process::with_descendants)
            .collect();
        // A gateway that outlived its server is nobody's child.
        all.extend(self.gateway().filter(|gateway| !all.contains(gateway)));
        all
    }

    /// Where the hub's gateway keeps its data.
    pub(crate) fn gateway_dir(&self) -> PathBuf {
        crate::commands::gateway_dir(&self.dir.path().join("server"))
    }

    fn gateway(&self) -> Option<Process> {
        noted(&self.gateway_dir().join(GATEWAY_PID_FILE))
    }

    fn record(&self) -> anyhow::Result<()> {
        self.dir.record(&self.processes())
    }
}

impl Member {
    async fn heal(&mut self, was: State, logs: &Path) -> anyhow::Result<String> {
        let name = self.name;
        match was {
            State::Up | State::Healing => bail!("{name} is not broken"),
            State::Killed => {
                // One that an earlier attempt started, and that never got ready, would hold the store.
                place::end(&[self.child.process()]);
                self.child = self.recipe.start(logs)?;
                self.ready = self.child.ready().await?;
                Ok(format!("healed {name}: started again with its data"))
            }
            State::Hung => {
                // Parents last: a kubelet that wakes first would find its pods silent.
                let stopped = std::mem::take(&mut self.stopped);
                stopped
                    .iter()
                    .rev()
                    .for_each(|process| process.signal(Signal::CONT));
                Ok(format!("healed {name}: {} processes go on", stopped.len()))
            }
            State::Errors => {
                let pods = errors::set(kubeconfig(&self.ready)?, errors::Mode::Normal).await?;
                Ok(format!("healed {name}: {pods} pods answer again"))
            }
        }
    }
}

impl Drop for Fleet {
    /// SIGTERM for everything, the hub's gateway through the hub; SIGKILL for what is left after ten
    /// seconds. Blocks that long at most: nothing may be left running.
    fn drop(&mut self) {
        let all = self.processes();
        // What is stopped does not hear SIGTERM.
        for process in self.members.iter().flat_map(|member| &member.stopped) {
            process.signal(Signal::CONT);
        }
        self.server.terminate();
        self.members
            .iter()
            .for_each(|member| member.child.terminate());
        let deadline = Instant::now() + END_WITHIN;
        while all.iter().any(|process| process.is_alive()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        place::end(&all);
    }
}

/// A child on its way to be ready: ended if nobody waits for that any more.
struct StartedChild(Option<Child>);

impl StartedChild {
    fn start(recipe: &Recipe, logs: &Path) -> anyhow::Result<Self> {
        Ok(Self(Some(recipe.start(logs)?)))
    }

    async fn ready(mut self) -> anyhow::Result<(Child, Ready)> {
        let child = self.0.as_mut().expect("taken only below, once");
        let ready = child.ready().await?;
        Ok((self.0.take().expect("still there"), ready))
    }
}

impl Drop for StartedChild {
    fn drop(&mut self) {
        if let Some(child) = &self.0 {
            place::end(&[child.process()]);
        }
    }
}

fn hub_recipe(dir: &Path, options: &Options) -> Recipe {
    let args: Vec<OsString> = vec![
        "server".into(),
        "--data-dir".into(),
        dir.join("server").into(),
        "--api-listen".into(),
        options.api_listen.to_string().into(),
        "--http-listen".into(),
        options.http_listen.to_string().into(),
    ];
    Recipe {
        name: "server".to_owned(),
        args,
        die_by: DieBy::Term,
    }
}

fn pocket_recipe(dir: &Path, name: &str) -> Recipe {
    let args: Vec<OsString> = vec![
        "pocket".into(),
        "--name".into(),
        name.into(),
        "--data-dir".into(),
        dir.join(name).into(),
    ];
    Recipe {
        name: name.to_owned(),
        args,
        die_by: DieBy::Kill,
    }
}

/// A restarted cluster must be found where it was: the hub and the kubeconfigs in people's hands name
/// its address.
fn at_the_same_address(mut recipe: Recipe, ready: &Ready) -> anyhow::Result<Recipe> {
    let api = ready
        .values
        .get("api")
        .context("the cluster did not say where its API is")?;
    let address = api.strip_prefix("https://").unwrap_or(api);
    recipe.args.extend(["--api-listen".into(), address.into()]);
    Ok(recipe)
}

/// The admin kubeconfig that a ready line names.
pub(crate) fn kubeconfig(ready: &Ready) -> anyhow::Result<&PathBuf> {
    ready
        .kubeconfig
        .as_ref()
        .with_context(|| format!("{} named no kubeconfig", ready.what))
}
