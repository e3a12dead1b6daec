//! One member: its connection, its objects, its probes. A task of its own, so that one member's trouble is
//! nobody else's.

use super::follow::{FollowState, Followed, follow};
use super::kept::Kept;
use super::probe::{self, Answer};
use crate::client;
use crate::kubeconfig::MemberKubeconfig;
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::jiff::Timestamp;
use kube::runtime::watcher;
use kube::{Api, Client};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tidegate_api::cluster::SecretKeyRef;
use tidegate_api::condition::joined;
use tidegate_model::ClusterName;
use tidegate_translate::{Freshness, MemberView};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// Between two probes of a member's API, and between two looks at its Secret.
const PROBE_EVERY: Duration = Duration::from_secs(5);
/// Between two tries to use a Secret that cannot be used.
const JOIN_EVERY: Duration = Duration::from_secs(2);
/// At most so often the objects seen are written to disk.
const KEEP_EVERY: Duration = Duration::from_secs(2);
/// A Service label that slices carry; all other labels are dropped.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// A member being observed. Dropping it ends the observation.
pub(crate) struct Member {
    shared: Arc<Shared>,
    secret: watch::Sender<SecretKeyRef>,
    shutdown: CancellationToken,
}

/// What is known of a member beside its objects.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MemberReport {
    pub(crate) joining: Joining,
    pub(crate) answer: Answer,
    pub(crate) last_answer: Option<Timestamp>,
    pub(crate) version: Option<String>,
    pub(crate) freshness: Freshness,
    /// Why objects are not followed, when they are not.
    pub(crate) failure: Option<String>,
    pub(crate) services: i64,
    pub(crate) ready_endpoints: i64,
}

/// Whether there is a kubeconfig that may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Joining {
    NotYet,
    Joined,
    Failed { reason: &'static str, text: String },
}

/// How a member is observed.
pub(crate) struct Observing {
    pub(crate) name: ClusterName,
    pub(crate) hub: Client,
    pub(crate) folder: PathBuf,
    /// Notified when what translation sees has changed.
    pub(crate) objects_changed: Arc<Notify>,
    /// Notified when only the report has changed.
    pub(crate) report_changed: Arc<Notify>,
}

struct Shared(Mutex<State>);

struct State {
    joining: Joining,
    answer: Answer,
    last_answer: Option<Timestamp>,
    version: Option<String>,
    live: Option<Live>,
    kept: Option<Kept>,
}

struct Live {
    services: Followed<Service>,
    slices: Followed<EndpointSlice>,
}

impl Member {
    /// Starts observing; what was kept on disk is there at once.
    pub(crate) fn observe(observing: Observing, secret: SecretKeyRef) -> Self {
        let shared = Arc::new(Shared(Mutex::new(State {
            joining: Joining::NotYet,
            answer: Answer::NotProbed,
            last_answer: None,
            version: None,
            live: None,
            kept: Kept::load(&observing.folder, &observing.name),
        })));
        let (secret, secret_rx) = watch::channel(secret);
        let shutdown = CancellationToken::new();
        tokio::spawn(run(
            observing,
            Arc::clone(&shared),
            secret_rx,
            shutdown.clone(),
        ));
        Self {
            shared,
            secret,
            shutdown,
        }
    }

    /// Where the kubeconfig is, when that changes.
    pub(crate) fn set_secret(&self, secret: &SecretKeyRef) {
        self.secret.send_if_modified(|current| {
            let news = current != secret;
            if news {
                current.clone_from(secret);
            }
            news
        });
    }

    /// What translation sees.
    pub(crate) fn view(&self) -> MemberView {
        self.shared.lock().view()
    }

    /// What is told to people.
    pub(crate) fn report(&self) -> MemberReport {
        self.shared.lock().report()
    }

    /// Whether waiting longer would tell more: objects were seen, or a first try has failed.
    pub(crate) fn settled(&self) -> bool {
        let state = self.shared.lock();
        let failed = matches!(state.joining, Joining::Failed { .. })
            || matches!(state.answer, Answer::Failed { .. });
        state.freshness() != Freshness::Never || failed
    }

    /// Forgets what was kept: the cluster has left the fleet.
    pub(crate) fn forget(folder: &std::path::Path, name: &ClusterName) {
        Kept::forget(folder, name);
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    fn states(&self) -> [FollowState; 2] {
        [self.services.state(), self.slices.state()]
    }

    fn synced(&self) -> bool {
        self.states().iter().all(|state| state.synced)
    }

    fn failure(&self) -> Option<String> {
        self.states()
            .iter()
            .find_map(|state| state.failure().map(str::to_owned))
    }
}

/// What was seen of a member.
type Objects = (Vec<Arc<Service>>, Vec<Arc<EndpointSlice>>);

impl State {
    /// The live objects once all were listed, else those kept.
    fn objects(&self) -> Option<Objects> {
        match (&self.live, &self.kept) {
            (Some(live), _) if live.synced() => {
                Some((live.services.readable(), live.slices.readable()))
            }
            (_, Some(kept)) => Some((kept.services.clone(), kept.slices.clone())),
            (_, None) => None,
        }
    }

    fn freshness(&self) -> Freshness {
        match (&self.live, &self.kept) {
            (Some(live), _) if live.synced() => {
                if live.failure().is_none() && !matches!(self.answer, Answer::Failed { .. }) {
                    Freshness::Known
                } else {
                    Freshness::Stale
                }
            }
            (_, Some(_)) => Freshness::Stale,
            (_, None) => Freshness::Never,
        }
    }

    fn view(&self) -> MemberView {
        let (services, slices) = self.objects().unwrap_or_default();
        MemberView {
            freshness: self.freshness(),
            services,
            slices,
        }
    }

    fn report(&self) -> MemberReport {
        let (services, slices) = self.objects().unwrap_or_default();
        let ready = slices
            .iter()
            .flat_map(|slice| slice.endpoints.iter().flatten())
            .filter(|endpoint| endpoint.conditions.as_ref().and_then(|c| c.ready) != Some(false))
            .count();
        MemberReport {
            joining: self.joining.clone(),
            answer: self.answer.clone(),
            last_answer: self.last_answer,
            version: self.version.clone(),
            freshness: self.freshness(),
            failure: self.live.as_ref().and_then(Live::failure),
            services: i64::try_from(services.len()).unwrap_or(i64::MAX),
            ready_endpoints: i64::try_from(ready).unwrap_or(i64::MAX),
        }
    }
}

/// Joins, observes until the kubeconfig changes, and again.
async fn run(
    observing: Observing,
    shared: Arc<Shared>,
    mut secret: watch::Receiver<SecretKeyRef>,
    shutdown: CancellationToken,
) {
    while !shutdown.is_cancelled() {
        let wanted = secret.borrow_and_update().clone();
        match join(&observing, &wanted).await {
            Ok((kubeconfig, client)) => {
                shared.lock().joining = Joining::Joined;
                observing.report_changed.notify_one();
                session(
                    &observing,
                    &shared,
                    &client,
                    &kubeconfig,
                    &mut secret,
                    &shutdown,
                )
                .await;
            }
            Err((reason, text)) => {
                let failed = Joining::Failed { reason, text };
                let news = std::mem::replace(&mut shared.lock().joining, failed.clone()) != failed;
                if news {
                    tracing::warn!(cluster = %observing.name, joining = ?failed, "member cannot be joined");
                    observing.objects_changed.notify_one();
                    observing.report_changed.notify_one();
                }
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    _ = secret.changed() => {}
                    () = tokio::time::sleep(JOIN_EVERY) => {}
                }
            }
        }
    }
}

/// Reads the Secret. An error is a reason and a text for the condition.
async fn read_secret(
    observing: &Observing,
    secret: &SecretKeyRef,
) -> Result<String, (&'static str, String)> {
    let api: Api<Secret> = Api::namespaced(observing.hub.clone(), &secret.namespace);
    let place = format!("Secret {}/{}", secret.namespace, secret.name);
    let found = api
        .get_opt(&secret.name)
        .await
        .map_err(|error| {
            (
                joined::SECRET_NOT_FOUND,
                format!("{place} cannot be read: {}", client::chain(&error)),
            )
        })?
        .ok_or_else(|| {
            (
                joined::SECRET_NOT_FOUND,
                format!("{place} does not exist; run `tidegate cluster join`"),
            )
        })?;
    let bytes = found
        .data
        .and_then(|mut data| data.remove(&secret.key))
        .ok_or_else(|| {
            (
                joined::SECRET_NOT_FOUND,
                format!("{place} has no key {:?}", secret.key),
            )
        })?;
    String::from_utf8(bytes.0).map_err(|_| {
        (
            joined::KUBECONFIG_REFUSED,
            format!("{place} does not hold text"),
        )
    })
}

async fn join(
    observing: &Observing,
    secret: &SecretKeyRef,
) -> Result<(String, Client), (&'static str, String)> {
    let text = read_secret(observing, secret).await?;
    let kubeconfig = MemberKubeconfig::parse(&text)
        .map_err(|error| (joined::KUBECONFIG_REFUSED, error.to_string()))?;
    let client = client::connect(&kubeconfig)
        .await
        .map_err(|error| (joined::KUBECONFIG_REFUSED, error.to_string()))?;
    Ok((text, client))
}

/// Observes with one client, until shutdown or until the kubeconfig is another.
async fn session(
    observing: &Observing,
    shared: &Shared,
    client: &Client,
    kubeconfig: &str,
    secret: &mut watch::Receiver<SecretKeyRef>,
    shutdown: &CancellationToken,
) {
    let ended = shutdown.child_token();
    let guard = ended.clone().drop_guard();
    let seen = Arc::new(Notify::new());
    {
        let mut state = shared.lock();
        if let Some((services, slices)) = state.objects() {
            // Until the new connection has listed everything, what the old one saw stays in use.
            state.kept = Some(Kept::new(services, slices));
        }
        state.live = Some(Live {
            services: follow(
                Api::all(client.clone()),
                watcher::Config::default(),
                trim_service,
                Arc::clone(&seen),
                ended.clone(),
            ),
            slices: follow(
                Api::all(client.clone()),
                watcher::Config::default(),
                trim_slice,
                Arc::clone(&seen),
                ended.clone(),
            ),
        });
    }
    let mut probes = tokio::time::interval(PROBE_EVERY);
    probes.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut keeps = tokio::time::interval(KEEP_EVERY);
    keeps.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut unsaved = false;
    let mut probing = std::pin::pin!(None);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            _ = secret.changed() => break,
            () = seen.notified() => {
                unsaved = true;
                observing.objects_changed.notify_one();
            }
            _ = keeps.tick() => if unsaved {
                unsaved = !save(observing, shared).await;
            },
            _ = probes.tick(), if probing.is_none() => {
                probing.set(Some(look(observing, client, secret.borrow().clone())));
            }
            look = async { match probing.as_mut().as_pin_mut() { Some(look) => look.await, None => std::future::pending().await } } => {
                probing.set(None);
                note(observing, shared, look.0, look.1);
                if look.2.is_some_and(|text| text != kubeconfig) {
                    tracing::info!(cluster = %observing.name, "kubeconfig changed, connecting anew");
                    break;
                }
            }
        }
    }
    if unsaved {
        save(observing, shared).await;
    }
    drop(guard);
}

/// One probe, the version, and the kubeconfig as it is in the Secret now.
async fn look(
    observing: &Observing,
    client: &Client,
    secret: SecretKeyRef,
) -> (Answer, Option<String>, Option<String>) {
    let answer = probe::probe(client).await;
    let version = match answer {
        Answer::Ready => probe::version(client).await,
        Answer::NotProbed | Answer::Failed { .. } => None,
    };
    let kubeconfig = tokio::time::timeout(PROBE_EVERY, read_secret(observing, &secret)).await;
    (answer, version, kubeconfig.ok().and_then(Result::ok))
}

fn note(observing: &Observing, shared: &Shared, answer: Answer, version: Option<String>) {
    let mut state = shared.lock();
    if answer == Answer::Ready {
        state.last_answer = Some(Timestamp::now());
    }
    state.version = version.or_else(|| state.version.take());
    let before = std::mem::replace(&mut state.answer, answer);
    let news = before != state.answer;
    if news {
        tracing::info!(cluster = %observing.name, answer = ?state.answer, "member's API was probed");
        observing.objects_changed.notify_one();
    }
    observing.report_changed.notify_one();
}

/// Writes what was seen to disk. Whether it is there now.
async fn save(observing: &Observing, shared: &Shared) -> bool {
    let kept = {
        let state = shared.lock();
        match &state.live {
            Some(live) if live.synced() => {
                Kept::new(live.services.readable(), live.slices.readable())
            }
            _ => return false,
        }
    };
    let (folder, name) = (observing.folder.clone(), observing.name.clone());
    let saved = tokio::task::spawn_blocking(move || kept.save(&folder, &name)).await;
    match saved {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(cluster = %observing.name, %error, "objects seen cannot be kept on disk");
            false
        }
        Err(_) => false,
    }
}

fn trim_service(service: &mut Service) {
    service.metadata.annotations = None;
    service.metadata.labels = None;
    service.status = None;
}

fn trim_slice(slice: &mut EndpointSlice) {
    slice.metadata.annotations = None;
    if let Some(labels) = &mut slice.metadata.labels {
        labels.retain(|key, _| key == SERVICE_NAME);
    }
    slice.metadata.owner_references = None;
}
