//! Wires watches to queues and queues to passes.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, Service, ServiceAccount};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::watcher;
use kube::{Api, Client, Resource, ResourceExt};
use tokio_util::sync::CancellationToken;

use super::cache::{Cache, Change, ObjectKey, observe};
use super::endpoints::{SERVICE_NAME, selects};
use super::owner::{controller_of, is_controlled_by};
use super::queue::{Outcome, Queue};
use super::replicaset::Expectations;
use super::scheduler::{Placement, place};
use super::{ReconcileError, deployment, endpoints, replicaset, write};
use crate::events::Recorder;

type BeliefsBySet = Mutex<HashMap<ObjectKey, Arc<tokio::sync::Mutex<Expectations>>>>;

/// What the controllers know and are about to do.
struct Controllers {
    client: Client,
    recorder: Recorder,
    pods: Arc<Cache<Pod>>,
    services: Arc<Cache<Service>>,
    slices: Arc<Cache<EndpointSlice>>,
    deployments: Arc<Cache<Deployment>>,
    sets: Arc<Cache<ReplicaSet>>,
    nodes: Arc<Cache<Node>>,
    namespaces: Arc<Cache<Namespace>>,
    accounts: Arc<Cache<ServiceAccount>>,
    expected: BeliefsBySet,
    deployment_queue: Queue<ObjectKey>,
    set_queue: Queue<ObjectKey>,
    service_queue: Queue<ObjectKey>,
    pod_queue: Queue<ObjectKey>,
    namespace_queue: Queue<ObjectKey>,
}

/// Runs all controllers until `cancel`.
pub(crate) async fn run(client: Client, recorder: Recorder, cancel: CancellationToken) {
    let all = Arc::new(Controllers {
        client,
        recorder,
        pods: Cache::new(),
        services: Cache::new(),
        slices: Cache::new(),
        deployments: Cache::new(),
        sets: Cache::new(),
        nodes: Cache::new(),
        namespaces: Cache::new(),
        accounts: Cache::new(),
        expected: Mutex::default(),
        deployment_queue: Queue::new(),
        set_queue: Queue::new(),
        service_queue: Queue::new(),
        pod_queue: Queue::new(),
        namespace_queue: Queue::new(),
    });
    tokio::join!(
        Box::pin(all.watch(cancel.clone())),
        Box::pin(all.work(cancel))
    );
}

impl Controllers {
    async fn watch(&self, cancel: CancellationToken) {
        tokio::join!(
            self.observe(&self.pods, &cancel, |change| self.pod_changed(&change)),
            self.observe(&self.services, &cancel, |change| self
                .service_queue
                .add(change.key)),
            self.observe(&self.slices, &cancel, |change| self.slice_changed(&change)),
            self.observe(&self.deployments, &cancel, |change| self
                .deployment_queue
                .add(change.key)),
            self.observe(&self.sets, &cancel, |change| self.set_changed(&change)),
            self.observe(&self.nodes, &cancel, |_| self.node_changed()),
            self.observe(&self.namespaces, &cancel, |change| self
                .namespace_queue
                .add(change.key)),
            self.observe(&self.accounts, &cancel, |change| {
                self.namespace_queue
                    .add(ObjectKey::new("", change.key.namespace));
            }),
        );
    }

    async fn observe<K>(
        &self,
        cache: &Arc<Cache<K>>,
        cancel: &CancellationToken,
        on_change: impl FnMut(Change<K>),
    ) where
        K: Resource<DynamicType = ()>
            + Clone
            + serde::de::DeserializeOwned
            + std::fmt::Debug
            + Send
            + Sync
            + 'static,
    {
        let api = Api::<K>::all(self.client.clone());
        Box::pin(observe(
            api,
            watcher::Config::default(),
            Arc::clone(cache),
            cancel.clone(),
            on_change,
        ))
        .await;
    }

    /// Passes start when everything they read is known: an absent object must not be taken for a deleted one.
    async fn work(&self, cancel: CancellationToken) {
        let pods = async || tokio::join!(self.pods.synced(), self.sets.synced());
        tokio::join!(
            async {
                tokio::join!(self.deployments.synced(), self.sets.synced());
                self.deployment_queue
                    .clone()
                    .drive("deployment", cancel.clone(), |key| self.deployment(key))
                    .await;
            },
            async {
                pods().await;
                self.set_queue
                    .clone()
                    .drive("replicaset", cancel.clone(), |key| self.set(key))
                    .await;
            },
            async {
                tokio::join!(
                    self.services.synced(),
                    self.slices.synced(),
                    self.pods.synced()
                );
                self.service_queue
                    .clone()
                    .drive("endpoints", cancel.clone(), |key| self.service(key))
                    .await;
            },
            async {
                tokio::join!(self.nodes.synced(), self.pods.synced());
                self.pod_queue
                    .clone()
                    .drive("scheduler", cancel.clone(), |key| self.pod(key))
                    .await;
            },
            async {
                tokio::join!(self.namespaces.synced(), self.accounts.synced());
                self.namespace_queue
                    .clone()
                    .drive("namespace", cancel.clone(), |key| self.namespace(key))
                    .await;
            },
        );
    }

    // === what a change concerns ===

    fn pod_changed(&self, change: &Change<Pod>) {
        let namespace = &change.key.namespace;
        let mut orphan = false;
        for pod in change.sides() {
            match controller_of(&pod.metadata) {
                Some(owner) if owner.kind == "ReplicaSet" => {
                    self.set_queue
                        .add(ObjectKey::new(namespace.as_str(), owner.name.as_str()));
                }
                Some(_) => {}
                None => orphan = true,
            }
        }
        if orphan {
            for set in self.sets.list_in(namespace) {
                self.set_queue.add(ObjectKey::of(&*set));
            }
        }
        let none = BTreeMap::new();
        for service in self.services.list_in(namespace) {
            let concerned = change
                .sides()
                .any(|pod| selects(&service, pod.metadata.labels.as_ref().unwrap_or(&none)));
            if concerned {
                self.service_queue.add(ObjectKey::of(&*service));
            }
        }
        match &change.new {
            Some(pod)
                if pod
                    .spec
                    .as_ref()
                    .is_some_and(|spec| spec.node_name.is_none()) =>
            {
                self.pod_queue.add(change.key.clone());
            }
            Some(_) => {}
            None => self.reconsider_waiting(),
        }
    }

    fn slice_changed(&self, change: &Change<EndpointSlice>) {
        for slice in change.sides() {
            if let Some(service) = slice.labels().get(SERVICE_NAME) {
                self.service_queue.add(ObjectKey::new(
                    change.key.namespace.as_str(),
                    service.as_str(),
                ));
            }
        }
    }

    fn set_changed(&self, change: &Change<ReplicaSet>) {
        self.set_queue.add(change.key.clone());
        for set in change.sides() {
            if let Some(owner) = controller_of(&set.metadata) {
                self.deployment_queue.add(ObjectKey::new(
                    change.key.namespace.as_str(),
                    owner.name.as_str(),
                ));
            }
        }
    }

    fn node_changed(&self) {
        self.reconsider_waiting();
    }

    /// Room may have come up for pods that had no place.
    fn reconsider_waiting(&self) {
        for pod in self.pods.list() {
            if pod
                .spec
                .as_ref()
                .is_some_and(|spec| spec.node_name.is_none())
            {
                self.pod_queue.add(ObjectKey::of(&*pod));
            }
        }
    }

    // === passes ===

    async fn deployment(&self, key: ObjectKey) -> Result<Outcome, ReconcileError> {
        let Some(deployment) = self.deployments.get(&key) else {
            return Ok(Outcome::Settled);
        };
        let sets = self.sets.list_in(&key.namespace);
        let (owned, foreign): (Vec<_>, Vec<_>) = sets
            .into_iter()
            .partition(|set| is_controlled_by(&set.metadata, &*deployment));
        let is_foreign = |name: &str| foreign.iter().any(|set| set.name_any() == name);
        let plan = deployment::plan(&deployment, &owned, is_foreign, Timestamp::now());
        let outcome = after(plan.again_after);
        write::deployment(&self.client, &deployment, plan, &self.recorder).await?;
        Ok(outcome)
    }

    async fn set(&self, key: ObjectKey) -> Result<Outcome, ReconcileError> {
        let Some(set) = self.sets.get(&key) else {
            self.lock_expected().remove(&key);
            return Ok(Outcome::Settled);
        };
        let expected = Arc::clone(self.lock_expected().entry(key.clone()).or_default());
        let pods = self.pods.list_in(&key.namespace);
        let (plan, belief) = {
            let now = Instant::now();
            let mut expected = expected.lock().await;
            expected.observe(&pods, now);
            (
                replicaset::plan(&set, &pods, &expected, Timestamp::now()),
                expected.expires_in(now),
            )
        };
        let outcome = after(plan.again_after.into_iter().chain(belief).min());
        let more = plan.create > 0 || !plan.delete.is_empty();
        write::replica_set(&self.client, &set, plan, &expected, &self.recorder).await?;
        // One pass makes a limited number of pods; and own writes must be looked after until they are seen.
        Ok(if more {
            Outcome::After(Duration::from_millis(50))
        } else {
            outcome
        })
    }

    async fn service(&self, key: ObjectKey) -> Result<Outcome, ReconcileError> {
        let Some(service) = self.services.get(&key) else {
            return Ok(Outcome::Settled);
        };
        let pods = self.pods.list_in(&key.namespace);
        let slices = self.slices.list_in(&key.namespace);
        let plan = endpoints::plan(&service, &pods, &slices);
        write::endpoints(&self.client, &service, plan).await?;
        Ok(Outcome::Settled)
    }

    async fn pod(&self, key: ObjectKey) -> Result<Outcome, ReconcileError> {
        let Some(pod) = self.pods.get(&key) else {
            return Ok(Outcome::Settled);
        };
        match place(&pod, &self.nodes.list(), &self.pods.list()) {
            Placement::NotOurs => {}
            Placement::Node(node) => write::bind(&self.client, &pod, &node, &self.recorder).await?,
            Placement::Nowhere(why) => {
                write::unschedulable(&self.client, &pod, why, &self.recorder).await?
            }
        }
        Ok(Outcome::Settled)
    }

    async fn namespace(&self, key: ObjectKey) -> Result<Outcome, ReconcileError> {
        let Some(namespace) = self.namespaces.get(&key) else {
            return Ok(Outcome::Settled);
        };
        let present = self
            .accounts
            .get(&ObjectKey::new(key.name, "default"))
            .is_some();
        if !present && namespace.metadata.deletion_timestamp.is_none() {
            write::service_account(&self.client, &namespace).await?;
        }
        Ok(Outcome::Settled)
    }

    fn lock_expected(
        &self,
    ) -> std::sync::MutexGuard<'_, HashMap<ObjectKey, Arc<tokio::sync::Mutex<Expectations>>>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn after(delay: Option<Duration>) -> Outcome {
    delay.map_or(Outcome::Settled, Outcome::After)
}
