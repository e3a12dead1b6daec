//! The hub's one loop: something changed, decide, publish, tell the actor.

use crate::act::{self, Actor};
use crate::decide::{self, Decided, Fleet};
use crate::gateways;
use crate::metrics::{self, HubMetrics};
use crate::observe::HubObjects;
use kube::Client;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tidegate_feed::{PublishError, Publisher};
use tidegate_translate::Translator;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Passes are at least so far apart: a change after a pause is decided on at once, those that come together with it, together.
const APART: Duration = Duration::from_millis(2);
/// After the start, members that were never seen are waited for so long before the first publication.
const SETTLE: Duration = Duration::from_secs(5);

/// How to run a hub.
pub struct HubConfig {
    /// The hub's own API.
    pub client: Client,
    /// Where snapshots go.
    pub publisher: Publisher,
    /// For what was seen of members: `DIR/observed`.
    pub data_dir: PathBuf,
    /// The gateway's addresses as users reach them, published in the status of Ingresses.
    pub ingress_addresses: Vec<SocketAddr>,
    /// Where it tells how long its decisions take and how old its knowledge is.
    pub metrics: HubMetrics,
    /// Cancelled by the hub when it has published for the first time: it is ready.
    pub ready: CancellationToken,
}

/// Why a hub ended.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// Nothing can be published.
    #[error("the snapshot cannot be published")]
    Publish(#[source] PublishError),
}

/// The controllers.
pub struct Hub;

impl Hub {
    /// A client for the hub's own API from its kubeconfig, with the limits that following needs.
    ///
    /// # Errors
    /// [`crate::ClientError`] when the kubeconfig is refused or its content cannot be used.
    pub async fn client(kubeconfig: &str) -> Result<Client, crate::ClientError> {
        let kubeconfig = crate::kubeconfig::MemberKubeconfig::parse(kubeconfig)?;
        crate::client::connect(&kubeconfig).await
    }

    /// Runs until `shutdown`. Its API may come and go meanwhile.
    ///
    /// # Errors
    /// [`HubError`] when it can no longer do its work.
    pub async fn run(config: HubConfig, shutdown: CancellationToken) -> Result<(), HubError> {
        if !act::install(&config.client, &shutdown).await {
            return Ok(());
        }
        let ended = shutdown.child_token();
        let _ends_all_followers = ended.clone().drop_guard();
        let changed = Arc::new(Notify::new());
        let report_changed = Arc::new(Notify::new());
        let objects = Arc::new(HubObjects::follow(&config.client, &changed, &ended));
        let fleet = Fleet::new(
            config.client.clone(),
            config.data_dir.join("observed"),
            &changed,
            &report_changed,
        );
        let (decided, decided_rx) = watch::channel(None);
        config.metrics.follow(metrics::State {
            fleet: fleet.clone(),
            decided: decided_rx.clone(),
            receivers: config.publisher.receivers(),
        });
        let actor = Actor::new(
            config.client.clone(),
            Arc::clone(&objects),
            fleet.clone(),
            config.ingress_addresses.clone(),
        );
        let acting = tokio::spawn(actor.run(
            decided_rx,
            config.publisher.receivers(),
            report_changed,
            ended.clone(),
        ));
        let result = steer(&config, &objects, &fleet, &changed, &decided, &shutdown).await;
        ended.cancel();
        // The actor ends at its next await; a write it has begun is idempotent.
        let _ = acting.await;
        config.publisher.close().await;
        result
    }
}

async fn steer(
    config: &HubConfig,
    objects: &HubObjects,
    fleet: &Fleet,
    changed: &Notify,
    decided: &watch::Sender<Option<Arc<Decided>>>,
    shutdown: &CancellationToken,
) -> Result<(), HubError> {
    let settle = Instant::now() + SETTLE;
    let mut secrets = decide::Secrets::default();
    let mut remembered = decide::Remembered::load(&config.data_dir);
    let mut restoring: Option<tokio::task::JoinHandle<()>> = None;
    let mut translator = Translator::default();
    let mut gateways = gateways::follow(config.publisher.receivers(), shutdown.child_token());
    let mut rested = Instant::now();
    loop {
        let published_once = decided.borrow().is_some();
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = changed.notified() => {}
            // It ends with the hub.
            Ok(()) = gateways.changed() => {}
            () = tokio::time::sleep_until(settle), if !published_once && Instant::now() < settle => {}
            // Whatever event was missed, the next look is at most so far away.
            () = tokio::time::sleep(Duration::from_secs(30)) => {}
        }
        tokio::time::sleep_until(rested).await;
        // Unknown is not absent: nothing is published from half a view.
        if !objects.synced() {
            continue;
        }
        fleet.reconcile(objects);
        if !published_once && !fleet.settled() && Instant::now() < settle {
            continue;
        }
        let begun = Instant::now();
        let world = decide::world(objects, fleet, &mut secrets, &mut remembered);
        let missing = act::Defaults::missing(&world);
        let busy = restoring.as_ref().is_some_and(|task| !task.is_finished());
        if let Some(defaults) = missing.filter(|_| !busy) {
            restoring = Some(tokio::spawn(defaults.restore(config.client.clone())));
        }
        let mut translation = translator.translate(&world);
        translation.snapshot.settings.gateways = *gateways.borrow_and_update();
        let decided_at = Instant::now();
        let generation = config
            .publisher
            .publish(translation.snapshot.clone())
            .map_err(HubError::Publish)?;
        let times = &config.metrics;
        times
            .decide
            .observe(decided_at.duration_since(begun).as_secs_f64());
        times.publish.observe(decided_at.elapsed().as_secs_f64());
        let now = Decided {
            translation,
            generation,
        };
        decided.send_if_modified(|last| {
            let news = !last.as_ref().is_some_and(|last| last.is_as(&now));
            if news {
                tracing::debug!(%generation, "decided");
                *last = Some(Arc::new(now));
            }
            news
        });
        config.ready.cancel();
        rested = Instant::now() + APART;
    }
}
