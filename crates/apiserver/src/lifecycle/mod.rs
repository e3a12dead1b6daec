//! What happens to objects without a client asking: garbage collection, the end of namespaces and CRDs.
//!
//! The store's writer reports every event; the parts that may need work go into [`Queues`], sets of
//! keys that one task works off. The sets hold each key once, so they are bounded by what is stored.

mod crds;
mod garbage;
mod namespaces;
mod queue;

pub(crate) use queue::Queues;

use crate::crd;
use crate::object;
use crate::ops::Api;
use crate::registry::Registry;
use crate::store::{Event, EventKind, Observer};
use queue::Work;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Pause after a failed step, so that a failing disk is not hammered.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Keeps the catalog in step with the CRDs and fills the work queues.
pub(crate) struct Watchman {
    pub(crate) registry: Arc<Registry>,
    pub(crate) queues: Arc<Queues>,
}

impl Observer for Watchman {
    fn before_visible(&self, event: &Event) {
        if &*event.key.resource == crd::STORAGE {
            let crd = (event.kind != EventKind::Deleted).then_some(&event.object.value);
            self.registry.set_crd(&event.key.name, crd);
        }
    }

    fn after_visible(&self, event: &Event) {
        let value = &event.object.value;
        match event.kind {
            EventKind::Deleted => {
                self.queues
                    .push(Work::OwnerGone(object::uid(value).to_owned()));
                for owner in crate::store::owner_uids(value) {
                    self.queues.push(Work::DependentGone(owner.to_owned()));
                }
                if !event.key.namespace.is_empty() {
                    self.queues
                        .push(Work::NamespaceShrank(event.key.namespace.clone()));
                }
                self.queues
                    .push(Work::ResourceShrank(event.key.resource.to_string()));
            }
            EventKind::Added | EventKind::Modified => {
                if crate::store::owner_uids(value).next().is_some() {
                    self.queues.push(Work::Dependent(event.key.clone()));
                }
                if object::is_deleting(value) {
                    self.queues.push(Work::Deleting(event.key.clone()));
                }
            }
        }
    }
}

/// Works until shutdown. Starts with a full look, for what was left over by the last run.
pub(crate) async fn run(api: Arc<Api>, shutdown: CancellationToken) {
    look_at_everything(&api);
    loop {
        let work = tokio::select! {
            () = shutdown.cancelled() => return,
            work = api.queues.next() => work,
        };
        let again = work.clone();
        if let Err(status) = step(&api, work).await {
            tracing::warn!(work = ?again, error = %status, "life-cycle step failed");
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(RETRY_AFTER) => api.queues.push(again),
            }
        }
    }
}

fn look_at_everything(api: &Api) {
    let state = api.store.read();
    for resource in state.resources() {
        for stored in state.list(resource, None) {
            let key = || crate::store::Key {
                resource: Arc::clone(resource),
                namespace: object::namespace(&stored.value).to_owned(),
                name: object::name(&stored.value).to_owned(),
            };
            if object::is_deleting(&stored.value) {
                api.queues.push(Work::Deleting(key()));
            }
            if crate::store::owner_uids(&stored.value).next().is_some() {
                api.queues.push(Work::Dependent(key()));
            }
        }
    }
}

async fn step(api: &Api, work: Work) -> crate::status::ApiResult<()> {
    match work {
        Work::Dependent(key) => garbage::check_dependent(api, &key).await,
        Work::OwnerGone(uid) => garbage::owner_gone(api, &uid).await,
        Work::DependentGone(owner) => garbage::dependent_gone(api, &owner).await,
        Work::NamespaceShrank(name) => namespaces::settle(api, &name).await,
        Work::ResourceShrank(resource) => crds::settle_resource(api, &resource).await,
        Work::Deleting(key) => {
            garbage::deleting(api, &key).await?;
            if &*key.resource == "namespaces" {
                namespaces::settle(api, &key.name).await?;
            }
            if &*key.resource == crd::STORAGE {
                crds::settle(api, &key.name).await?;
            }
            Ok(())
        }
    }
}
