//! Which objects of a world are other ones than in the world before.

use crate::fleet::SERVICE_NAME;
use crate::part::Asked;
use crate::{Freshness, Ingresses, ObjectRef, Objects, Unreadable, WorldView};
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use tidegate_api::{Cluster, FailoverPolicy, GatewayConfig};
use tidegate_model::ClusterName;

/// Where an object is; no other is there while it is kept.
pub(super) type Address = usize;

pub(super) fn address<K>(object: &Arc<K>) -> Address {
    Arc::as_ptr(object).addr()
}

/// The world before.
#[derive(Default)]
pub(super) struct Known {
    clusters: Kept<Cluster>,
    gateway_configs: Kept<GatewayConfig>,
    ingress_classes: Kept<IngressClass>,
    failover_policies: Kept<FailoverPolicy>,
    tls_secrets: Kept<crate::TlsSecret>,
    auth_secrets: Kept<crate::AuthSecret>,
    config_maps: Objects<ConfigMap>,
    unreadable: Vec<Unreadable>,
    deleted: BTreeSet<ObjectRef>,
    freshness: BTreeMap<ClusterName, Freshness>,
    ingresses: Ingresses,
    services: BTreeMap<ClusterName, Kept<Service>>,
    slices: BTreeMap<ClusterName, Kept<EndpointSlice>>,
}

/// What is new.
pub(super) struct News {
    /// Something that may concern every Ingress.
    pub(super) everything: bool,
    pub(super) ingresses: Change<Ingress>,
    /// Services that changed in some member, or whose endpoints did, and ConfigMaps that changed.
    pub(super) asked: HashSet<Asked>,
}

impl Known {
    /// Compares with the world before, and keeps this one.
    pub(super) fn update(&mut self, world: &WorldView) -> News {
        // Every field, by name: one that is forgotten here would change nothing until the next start.
        let WorldView {
            clusters,
            gateway_configs,
            ingress_classes,
            ingresses,
            failover_policies,
            tls_secrets,
            auth_secrets,
            config_maps,
            unreadable,
            deleted,
            members,
        } = world;
        let mut everything = self.clusters.changed(clusters);
        everything |= self.gateway_configs.changed(gateway_configs);
        everything |= self.ingress_classes.changed(ingress_classes);
        everything |= self.failover_policies.changed(failover_policies);
        everything |= self.tls_secrets.changed(tls_secrets);
        everything |= self.auth_secrets.changed(auth_secrets);
        everything |= replace(&mut self.unreadable, unreadable.clone());
        everything |= replace(&mut self.deleted, deleted.clone());
        let freshness = members
            .iter()
            .map(|(name, view)| (name.clone(), view.freshness));
        everything |= replace(&mut self.freshness, freshness.collect());
        let mut asked = HashSet::new();
        for (name, _, _) in config_maps.since(&self.config_maps) {
            asked.insert(Asked::ConfigMap((**name).clone()));
        }
        self.config_maps.clone_from(config_maps);
        for (name, view) in members {
            let known = self.services.entry(name.clone()).or_default();
            for service in known.update(&view.services).objects() {
                let meta = &service.metadata;
                let name = meta.namespace.clone().zip(meta.name.clone());
                asked.extend(name.map(Asked::Service));
            }
            let known = self.slices.entry(name.clone()).or_default();
            for slice in known.update(&view.slices).objects() {
                let meta = &slice.metadata;
                let labels = meta.labels.as_ref();
                let service = labels.and_then(|labels| labels.get(SERVICE_NAME));
                let name = meta.namespace.clone().zip(service.cloned());
                asked.extend(name.map(Asked::Service));
            }
        }
        let mut changed = Change {
            new: Vec::new(),
            gone: Vec::new(),
        };
        for (_, before, now) in ingresses.since(&self.ingresses) {
            changed.gone.extend(before.cloned());
            changed.new.extend(now.cloned());
        }
        self.ingresses.clone_from(ingresses);
        News {
            everything,
            ingresses: changed,
            asked,
        }
    }
}

/// Whether it was another value.
fn replace<T: PartialEq>(known: &mut T, now: T) -> bool {
    let changed = *known != now;
    *known = now;
    changed
}

/// Objects of one kind, kept where they are.
struct Kept<K> {
    /// With the number of the latest set that each was in.
    objects: HashMap<Address, (Arc<K>, u64)>,
    sets: u64,
}

/// The difference between two sets of objects. One that was changed is in both lists.
pub(super) struct Change<K> {
    pub(super) new: Vec<Arc<K>>,
    pub(super) gone: Vec<Arc<K>>,
}

impl<K> Kept<K> {
    fn update(&mut self, now: &[Arc<K>]) -> Change<K> {
        self.sets += 1;
        let mut new = Vec::new();
        for object in now {
            match self.objects.get_mut(&address(object)) {
                Some((_, set)) => *set = self.sets,
                None => new.push(Arc::clone(object)),
            }
        }
        for object in &new {
            let kept = (Arc::clone(object), self.sets);
            self.objects.insert(address(object), kept);
        }
        let mut gone = Vec::new();
        if self.objects.len() > now.len() {
            let left = |_: &Address, (_, set): &mut (Arc<K>, u64)| *set != self.sets;
            gone.extend(self.objects.extract_if(left).map(|(_, (object, _))| object));
        }
        Change { new, gone }
    }

    fn changed(&mut self, now: &[Arc<K>]) -> bool {
        self.update(now).objects().next().is_some()
    }
}

impl<K> Default for Kept<K> {
    fn default() -> Self {
        Self {
            objects: HashMap::new(),
            sets: 0,
        }
    }
}

impl<K> Change<K> {
    fn objects(&self) -> impl Iterator<Item = &Arc<K>> {
        self.new.iter().chain(&self.gone)
    }
}
