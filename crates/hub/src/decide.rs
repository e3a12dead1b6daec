//! The world view of one pass, and the members it is made from.

mod remembered;

pub(crate) use remembered::Remembered;

use crate::observe::{HubObjects, Member, MemberReport, Observing};
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tidegate_model::{ClusterName, Generation, differences};
use tidegate_translate::{AuthSecret, TlsSecret, Translation, WorldView};
use tokio::sync::Notify;

/// The outcome of a pass.
pub(crate) struct Decided {
    pub(crate) translation: Translation,
    /// The generation that gateways get it under.
    pub(crate) generation: Generation,
}

impl Decided {
    /// Whether it says what `other` says. What they share is not looked at.
    pub(crate) fn is_as(&self, other: &Self) -> bool {
        let (a, b) = (&self.translation, &other.translation);
        // Equal snapshots get one generation.
        self.generation == other.generation
            && a.diagnostics == b.diagnostics
            && a.policies == b.policies
            && differences(Some(&a.ingresses), &b.ingresses).is_empty()
    }
}

/// The members under observation.
#[derive(Clone)]
pub(crate) struct Fleet {
    hub: Client,
    folder: PathBuf,
    objects_changed: Arc<Notify>,
    report_changed: Arc<Notify>,
    members: Arc<Mutex<BTreeMap<ClusterName, Member>>>,
}

impl Fleet {
    pub(crate) fn new(
        hub: Client,
        folder: PathBuf,
        objects_changed: &Arc<Notify>,
        report_changed: &Arc<Notify>,
    ) -> Self {
        Self {
            hub,
            folder,
            objects_changed: Arc::clone(objects_changed),
            report_changed: Arc::clone(report_changed),
            members: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ClusterName, Member>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Observes exactly the Clusters there are. Only to be called when they are known.
    pub(crate) fn reconcile(&self, objects: &HubObjects) {
        let mut members = self.lock();
        let mut wanted = BTreeMap::new();
        for cluster in objects.clusters.readable() {
            let name = cluster.metadata.name.clone().unwrap_or_default();
            if let Ok(name) = ClusterName::new(name) {
                wanted.insert(
                    name,
                    Some(cluster.spec.connection.kubeconfig_secret_ref.clone()),
                );
            }
        }
        for (_, name, _) in objects.clusters.unreadable() {
            // It is there, whatever it says: what is being observed stays observed.
            if let Ok(name) = ClusterName::new(name) {
                wanted.insert(name, None);
            }
        }
        members.retain(|name, _| {
            let stays = wanted.contains_key(name);
            if !stays {
                tracing::info!(cluster = %name, "member has left the fleet");
                Member::forget(&self.folder, name);
            }
            stays
        });
        for (name, secret) in wanted {
            let Some(secret) = secret else { continue };
            match members.get(&name) {
                Some(member) => member.set_secret(&secret),
                None => {
                    let observing = Observing {
                        name: name.clone(),
                        hub: self.hub.clone(),
                        folder: self.folder.clone(),
                        objects_changed: Arc::clone(&self.objects_changed),
                        report_changed: Arc::clone(&self.report_changed),
                    };
                    members.insert(name, Member::observe(observing, secret));
                }
            }
        }
    }

    /// Whether waiting would tell more about any member.
    pub(crate) fn settled(&self) -> bool {
        self.lock().values().all(Member::settled)
    }

    pub(crate) fn reports(&self) -> BTreeMap<ClusterName, MemberReport> {
        self.lock()
            .iter()
            .map(|(name, member)| (name.clone(), member.report()))
            .collect()
    }
}

/// Secrets that were looked into, each for as long as it does not change.
pub(crate) struct Read<T> {
    known: Vec<(Arc<Secret>, Arc<T>)>,
}

/// All Secrets that were looked into.
#[derive(Default)]
pub(crate) struct Secrets {
    tls: Read<TlsSecret>,
    auth: Read<AuthSecret>,
}

impl<T> Read<T> {
    /// What these Secrets mean.
    fn read(&mut self, secrets: Vec<Arc<Secret>>, look: impl Fn(&Secret) -> T) -> Vec<Arc<T>> {
        let before: HashMap<_, _> = std::mem::take(&mut self.known)
            .into_iter()
            .map(|(secret, read)| (Arc::as_ptr(&secret), (secret, read)))
            .collect();
        let read = |secret: Arc<Secret>| match before.get(&Arc::as_ptr(&secret)) {
            Some((_, read)) => (secret, Arc::clone(read)),
            None => {
                let read = Arc::new(look(&secret));
                (secret, read)
            }
        };
        self.known = secrets.into_iter().map(read).collect();
        self.known
            .iter()
            .map(|(_, read)| Arc::clone(read))
            .collect()
    }
}

impl<T> Default for Read<T> {
    fn default() -> Self {
        Self { known: Vec::new() }
    }
}

/// The immutable input of one pass.
pub(crate) fn world(
    objects: &HubObjects,
    fleet: &Fleet,
    secrets: &mut Secrets,
    remembered: &mut Remembered,
) -> WorldView {
    let mut world = WorldView {
        clusters: objects.clusters.readable(),
        gateway_configs: objects.gateway_configs.readable(),
        ingress_classes: objects.ingress_classes.readable(),
        ingresses: objects.ingresses.objects(),
        failover_policies: objects.failover_policies.readable(),
        tls_secrets: secrets
            .tls
            .read(objects.tls_secrets.readable(), TlsSecret::read),
        auth_secrets: secrets
            .auth
            .read(objects.auth_secrets.readable(), AuthSecret::read),
        config_maps: objects.config_maps.objects(),
        unreadable: objects.unreadable(),
        deleted: BTreeSet::new(),
        members: fleet
            .lock()
            .iter()
            .map(|(name, member)| (name.clone(), member.view()))
            .collect(),
    };
    remembered.complete(&mut world);
    world
}
