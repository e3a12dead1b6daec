//! What the hub writes: its kinds and defaults, the status of objects, Events. Each write is compared with
//! what is there first, so that a pass without news writes nothing; each object fails alone.

mod cluster;
mod event;
mod ingress;
mod install;
mod policy;
mod restore;

pub(crate) use install::install;
pub(crate) use restore::Defaults;

use crate::decide::{Decided, Fleet};
use crate::observe::HubObjects;
use futures::{StreamExt, stream};
use kube::Client;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tidegate_feed::ReceiverStatus;
use tidegate_translate::ObjectRef;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Nothing that is written waits longer for the API.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Between looks without any news: for writes that failed and for ages.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Objects that are written to at a time. Most of a write is waiting for the API's disk, which takes several at once.
const WRITES_MAX: usize = 16;

/// Writes status. One task; of one object one write at a time.
pub(crate) struct Actor {
    client: Client,
    objects: Arc<HubObjects>,
    fleet: Fleet,
    addresses: Vec<SocketAddr>,
    programming: ingress::Programming,
    events: event::Emitted,
    failing: BTreeMap<ObjectRef, Failing>,
}

/// An object whose last write failed.
struct Failing {
    attempts: u32,
    not_before: Instant,
}

/// One change to make.
pub(crate) enum Write {
    /// Merge-patches the object.
    Metadata { object: ObjectRef, patch: Value },
    /// Merge-patches its status.
    Status { object: ObjectRef, patch: Value },
}

impl Actor {
    pub(crate) fn new(
        client: Client,
        objects: Arc<HubObjects>,
        fleet: Fleet,
        addresses: Vec<SocketAddr>,
    ) -> Self {
        Self {
            client,
            objects,
            fleet,
            addresses,
            programming: ingress::Programming::default(),
            events: event::Emitted::default(),
            failing: BTreeMap::new(),
        }
    }

    pub(crate) async fn run(
        mut self,
        mut decided: watch::Receiver<Option<Arc<Decided>>>,
        mut receivers: watch::Receiver<Vec<ReceiverStatus>>,
        report_changed: Arc<Notify>,
        shutdown: CancellationToken,
    ) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                changed = decided.changed() => if changed.is_err() { return },
                changed = receivers.changed() => if changed.is_err() { return },
                () = report_changed.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let latest = decided.borrow_and_update().clone();
            let receivers = receivers.borrow_and_update().clone();
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.pass(latest.as_deref(), &receivers) => {}
            }
        }
    }

    async fn pass(&mut self, decided: Option<&Decided>, receivers: &[ReceiverStatus]) {
        let reports = self.fleet.reports();
        // Before the status is: that they are told of is known by it.
        for turn in cluster::turns(&self.objects, &reports) {
            event::tell(&self.client, &turn, &self.objects).await;
        }
        let mut writes = cluster::writes(&self.objects, &reports);
        if let Some(decided) = decided {
            self.programming.note(decided);
            writes.extend(
                self.programming
                    .writes(receivers, &self.objects, &self.addresses),
            );
            writes.extend(policy::writes(decided, &self.objects));
        }
        self.write_all(writes).await;
        if let Some(decided) = decided {
            self.events
                .emit(
                    &self.client,
                    &decided.translation.diagnostics,
                    &self.objects,
                )
                .await;
        }
    }

    async fn write_all(&mut self, writes: Vec<Write>) {
        let now = Instant::now();
        let mut by_object: BTreeMap<ObjectRef, Vec<Write>> = BTreeMap::new();
        for write in writes {
            let (Write::Metadata { object, .. } | Write::Status { object, .. }) = &write;
            let waits = self.failing.get(object).is_some_and(|f| now < f.not_before);
            if !waits {
                by_object.entry(object.clone()).or_default().push(write);
            }
        }
        let client = &self.client;
        let written = stream::iter(by_object).map(async |(object, writes)| {
            let mut done = Ok(());
            for write in &writes {
                done = done.and(write.try_apply(client).await);
            }
            (object, done)
        });
        let mut written = std::pin::pin!(written.buffer_unordered(WRITES_MAX));
        while let Some((object, done)) = written.next().await {
            let Err(error) = done else {
                self.failing.remove(&object);
                continue;
            };
            tracing::warn!(%object, %error, "status cannot be written");
            let failing = self.failing.entry(object).or_insert(Failing {
                attempts: 0,
                not_before: now,
            });
            failing.attempts += 1;
            // 1 s, doubling to about a minute.
            failing.not_before = Instant::now()
                + Duration::from_secs(1 << failing.attempts.min(7).saturating_sub(1));
        }
    }
}

impl Write {
    /// Why it could not be written. An object that is gone meanwhile needs nothing.
    async fn try_apply(&self, client: &Client) -> Result<(), String> {
        match tokio::time::timeout(WRITE_TIMEOUT, self.apply(client)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => Ok(()),
            Ok(Err(error)) => Err(crate::client::chain(&error)),
            Err(_) => Err("no answer in time".to_owned()),
        }
    }

    async fn apply(&self, client: &Client) -> kube::Result<()> {
        use kube::api::{Api, DynamicObject, Patch, PatchParams};
        let (Self::Metadata { object, patch } | Self::Status { object, patch }) = self;
        let resource = api_resource(object);
        let api: Api<DynamicObject> = if object.namespace.is_empty() {
            Api::all_with(client.clone(), &resource)
        } else {
            Api::namespaced_with(client.clone(), &object.namespace, &resource)
        };
        let params = PatchParams {
            field_manager: Some(crate::FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        // A merge patch, unlike an apply, never brings back an object that was just deleted.
        match self {
            Self::Metadata { .. } => {
                api.patch(&object.name, &params, &Patch::Merge(patch))
                    .await?
            }
            Self::Status { .. } => {
                api.patch_status(&object.name, &params, &Patch::Merge(patch))
                    .await?
            }
        };
        Ok(())
    }
}

fn api_resource(object: &ObjectRef) -> kube::api::ApiResource {
    use kube::api::ApiResource;
    use tidegate_translate::Kind;
    match object.kind {
        Kind::Cluster => ApiResource::erase::<tidegate_api::Cluster>(&()),
        Kind::GatewayConfig => ApiResource::erase::<tidegate_api::GatewayConfig>(&()),
        Kind::FailoverPolicy => ApiResource::erase::<tidegate_api::FailoverPolicy>(&()),
        Kind::Ingress => ApiResource::erase::<k8s_openapi::api::networking::v1::Ingress>(&()),
        Kind::IngressClass => {
            ApiResource::erase::<k8s_openapi::api::networking::v1::IngressClass>(&())
        }
    }
}
