//! `tidegate cluster`: which clusters belong to the fleet.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tidegate_hub::join::{
    self, JoinReport, JoinRequest, KUBECONFIG_LIMIT, MemberKubeconfig, Outcome,
};

use crate::process;

const EXAMPLES: &str = "\
Examples:
  $ tidegate cluster join az1 --kubeconfig az1.kubeconfig --hub-kubeconfig hub.kubeconfig
  $ tidegate cluster join az1 --kubeconfig - --region eu --zone a

Joining again is harmless: it renews the kubeconfig, the region and the zone. The kubeconfig must be
self-contained: `kubectl config view --raw --flatten --minify` prints one. The hub needs to read
Services, EndpointSlices and Namespaces of the member, and nothing else.";

/// Says which clusters belong to the fleet.
#[derive(Debug, Subcommand)]
pub(crate) enum Cluster {
    Join(Join),
}

/// Registers a cluster on the hub, after checking that it can be used.
///
/// It asks the cluster for its version, its identity and the rights of the kubeconfig's user, and
/// says what is missing. Only if nothing is, something is written to the hub.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Join {
    /// The name of the cluster on the hub.
    name: String,
    /// How the hub reaches it; "-" reads standard input.
    #[arg(long, value_name = "FILE")]
    kubeconfig: PathBuf,
    /// The region it is in.
    #[arg(long)]
    region: Option<String>,
    /// The availability zone it is in.
    #[arg(long)]
    zone: Option<String>,
    /// The hub's kubeconfig [default: as kubectl: $KUBECONFIG, or ~/.kube/config].
    #[arg(long, value_name = "FILE")]
    hub_kubeconfig: Option<PathBuf>,
    /// Lets the name stand for this cluster from now on, even if it stood for another one.
    #[arg(long)]
    replace: bool,
}

impl Cluster {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Join(command) => process::small_runtime()?.block_on(command.run()),
        }
    }
}

impl Join {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let text = read(&self.kubeconfig)
            .with_context(|| format!("--kubeconfig {}", self.kubeconfig.display()))?;
        let hub = hub_client(self.hub_kubeconfig.as_deref()).await?;
        let kubeconfig =
            MemberKubeconfig::parse(&text).with_context(|| format!("joining {}", self.name))?;
        let request = JoinRequest {
            name: self.name,
            kubeconfig,
            region: self.region,
            zone: self.zone,
            replace: self.replace,
        };
        let report = join(&hub, &request).await?;
        println!("{}", in_words(&report));
        Ok(ExitCode::SUCCESS)
    }
}

/// Registers a cluster on the hub, as the command does.
///
/// # Errors
/// What keeps it from joining, and what to do.
pub(crate) async fn join_cluster(
    hub: &Client,
    name: &str,
    kubeconfig: &str,
    region: &str,
    zone: &str,
) -> anyhow::Result<()> {
    let request = JoinRequest {
        name: name.to_owned(),
        kubeconfig: MemberKubeconfig::parse(kubeconfig)
            .with_context(|| format!("joining {name}"))?,
        region: Some(region.to_owned()),
        zone: Some(zone.to_owned()),
        replace: false,
    };
    join(hub, &request).await?;
    Ok(())
}

async fn join(hub: &Client, request: &JoinRequest) -> anyhow::Result<JoinReport> {
    join::join(hub, request).await.map_err(|error| {
        let hint = error.hint();
        // Manifests are for copying: they keep their lines, and come before the last word.
        let advice = match hint.split_once("\n\n") {
            Some((advice, manifests)) => {
                eprintln!("{}", manifests.trim_end());
                advice.trim_end_matches(':').to_owned()
            }
            None => hint,
        };
        let cause = anyhow::Error::new(error);
        anyhow::anyhow!(
            "joining {}: {}: {advice}",
            request.name,
            process::one_line(&cause)
        )
    })
}

fn in_words(report: &JoinReport) -> String {
    let JoinReport {
        name,
        server,
        version,
        uid,
        namespaces,
        outcome,
    } = report;
    let done = match outcome {
        Outcome::Joined => "joined",
        Outcome::Renewed => "renewed",
        Outcome::Replaced => "replaced",
    };
    format!("{done} {name}: {server}, {version}, {namespaces} namespaces, uid {uid}")
}

/// A kubeconfig's text; one that is longer than allowed is cut a byte later, so that parsing says so.
fn read(path: &Path) -> anyhow::Result<String> {
    let limit = u64::try_from(KUBECONFIG_LIMIT)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(limit)
            .read_to_string(&mut text)?;
    } else {
        std::fs::File::open(path)?
            .take(limit)
            .read_to_string(&mut text)?;
    }
    Ok(text)
}

/// A client for the hub. Its kubeconfig is the user's own, so whatever kubectl accepts is accepted.
async fn hub_client(path: Option<&Path>) -> anyhow::Result<Client> {
    let (file, from) = match path {
        Some(path) => (
            Kubeconfig::read_from(path),
            format!("--hub-kubeconfig {}", path.display()),
        ),
        None => (
            Kubeconfig::read(),
            "the hub's kubeconfig ($KUBECONFIG or ~/.kube/config; name it with --hub-kubeconfig)"
                .to_owned(),
        ),
    };
    let file = file.with_context(|| from.clone())?;
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
    Client::try_from(config.with_context(|| from.clone())?).context(from)
}
