//! Starts a container: image, environment, log, process, probes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Container, Pod, Secret};
use kube::{Api, ResourceExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Kubelet;
use super::container::Running;
use super::env::{SourceRef, Sources, environment, references};
use super::logs::RunId;
use super::probe::{ProbeKind, ProbeSpec, ProbeState};
use super::process::{self, Launch};
use super::worker::Event;
use crate::shim::Role;

/// How often a new echo server is tried until it takes connections.
const KNOCK_EVERY: Duration = Duration::from_millis(10);

/// Why a container was not started.
#[derive(Debug)]
pub(super) enum Failure {
    /// It will never work: nothing it depends on can change.
    Image(String),
    /// It works once an object of the API, or the pod's description, is different.
    Config(String),
    /// The operating system refused.
    System(String),
}

/// A container to start.
pub(super) struct Start<'a> {
    pub(super) pod: &'a Pod,
    pub(super) container: &'a Container,
    pub(super) slot: usize,
    pub(super) run: RunId,
    pub(super) ip: std::net::Ipv4Addr,
}

/// Starts it. `events` tells what becomes of it.
pub(super) async fn start(
    kubelet: &Kubelet,
    start: Start<'_>,
    events: &mpsc::Sender<Event>,
) -> Result<Running, Failure> {
    let Start {
        pod,
        container,
        slot,
        run,
        ip,
    } = start;
    let image = container.image.as_deref().unwrap_or_default();
    let program = kubelet
        .images
        .resolve(image)
        .map_err(|unknown| Failure::Image(unknown.to_string()))?;
    let sources = sources(kubelet, pod, container).await?;
    let host_ip = kubelet.cidr.node_ip().to_string();
    let env = environment(pod, container, &ip.to_string(), &host_ip, &sources)
        .map_err(|problem| Failure::Config(problem.to_string()))?;
    let role =
        process::role(program, &kubelet.name, pod, container, ip, &env).map_err(Failure::Config)?;
    let began = Instant::now();
    let probes = probes(container, ip, began).map_err(Failure::Config)?;
    let system = |error: std::io::Error| Failure::System(error.to_string());
    let log = kubelet.logs.begin(&run).map_err(system)?;
    let knock = match &role {
        Role::Echo(options) => options.listen.first().copied(),
        Role::Exec { .. } => None,
    };
    let working_dir = container
        .working_dir
        .clone()
        .filter(|dir| !dir.is_empty())
        .map(PathBuf::from);
    let number = run.run;
    let ended = {
        let events = events.clone();
        let logs = kubelet.logs.clone();
        let run = run.clone();
        async move |status| {
            logs.end(&run);
            // Without a worker nobody wants to know.
            let _ = events
                .send(Event::Exited {
                    slot,
                    run: number,
                    status,
                })
                .await;
        }
    };
    let launch = Launch {
        role,
        env,
        working_dir,
        log,
    };
    let process = match process::start(&kubelet.shim, launch, ended).await {
        Ok(process) => process,
        Err(error) => {
            kubelet.logs.end(&run);
            return Err(system(error));
        }
    };
    let asking = CancellationToken::new();
    if let Some(address) = knock {
        let told = Event::Listening { slot, run: number };
        tokio::spawn(asking.clone().run_until_cancelled_owned(knock_until_open(
            address,
            events.clone(),
            told,
        )));
    }
    Ok(Running {
        process,
        since: Timestamp::now(),
        began,
        listening: knock.is_none(),
        probes,
        kill_at: None,
        _asking: asking.drop_guard(),
    })
}

/// An echo server is ready to be asked a moment after it was started. Probes that came before that moment would
/// make every pod a whole probe period late.
async fn knock_until_open(address: SocketAddr, events: mpsc::Sender<Event>, told: Event) {
    while TcpStream::connect(address).await.is_err() {
        tokio::time::sleep(KNOCK_EVERY).await;
    }
    // Without a worker nobody wants to know.
    let _ = events.send(told).await;
}

async fn sources(kubelet: &Kubelet, pod: &Pod, container: &Container) -> Result<Sources, Failure> {
    let namespace = pod.namespace().unwrap_or_default();
    let unread = |error: kube::Error| Failure::Config(error.to_string());
    let mut sources = Sources::default();
    for reference in references(container) {
        match reference {
            SourceRef::ConfigMap(name) => {
                let api: Api<ConfigMap> = Api::namespaced(kubelet.client.clone(), &namespace);
                let found = api.get_opt(&name).await.map_err(unread)?;
                sources.config_maps.extend(found.map(|map| (name, map)));
            }
            SourceRef::Secret(name) => {
                let api: Api<Secret> = Api::namespaced(kubelet.client.clone(), &namespace);
                let found = api.get_opt(&name).await.map_err(unread)?;
                sources.secrets.extend(found.map(|secret| (name, secret)));
            }
        }
    }
    Ok(sources)
}

fn probes(
    container: &Container,
    ip: std::net::Ipv4Addr,
    began: Instant,
) -> Result<BTreeMap<ProbeKind, ProbeState>, String> {
    let given = |kind| match kind {
        ProbeKind::Startup => container.startup_probe.as_ref(),
        ProbeKind::Liveness => container.liveness_probe.as_ref(),
        ProbeKind::Readiness => container.readiness_probe.as_ref(),
    };
    let mut probes = BTreeMap::new();
    for kind in ProbeKind::ALL {
        if let Some(probe) = given(kind) {
            let spec = ProbeSpec::of(probe, container, ip).map_err(|problem| {
                format!(
                    "container {:?}, {} probe: {problem}",
                    container.name,
                    kind.as_str()
                )
            })?;
            probes.insert(kind, ProbeState::new(spec, began));
        }
    }
    Ok(probes)
}
