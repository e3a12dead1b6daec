//! Events: for diagnostics, and for Clusters that fall silent or answer again.
//!
//! The name of an Event is made from what it says, so that it is written once, also after a restart: the
//! API refuses the second one.

use super::cluster::Turn;
use crate::FIELD_MANAGER;
use crate::observe::HubObjects;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, PostParams};
use kube::{Client, Resource};
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use tidegate_translate::{Diagnostic, Kind, ObjectRef, Severity};

/// At most so many Events an object in one pass; the annotation tells the rest.
const PER_OBJECT_MAX: usize = 10;
/// What was written is remembered up to so many; then the API's own refusal of doubles has to do.
const REMEMBERED_MAX: usize = 100_000;

/// The Events written by this process.
#[derive(Default)]
pub(crate) struct Emitted {
    /// By the hash in their names.
    written: HashSet<u64>,
    /// What all has been told of.
    told: Vec<Arc<Diagnostic>>,
}

impl Emitted {
    pub(crate) async fn emit(
        &mut self,
        client: &Client,
        diagnostics: &[Arc<Diagnostic>],
        objects: &HubObjects,
    ) {
        // By where they are: those of an object that was made anew are equal to those of the old one.
        let is = |(a, b): (&Arc<Diagnostic>, &Arc<Diagnostic>)| Arc::ptr_eq(a, b);
        if self.told.len() == diagnostics.len() && self.told.iter().zip(diagnostics).all(is) {
            return;
        }
        let mut failed = false;
        let mut references = References::new(objects);
        let serious = |diagnostic: &&Arc<Diagnostic>| diagnostic.severity != Severity::Note;
        let per_object = diagnostics
            .chunk_by(|a, b| a.object == b.object)
            .flat_map(|of_one| of_one.iter().filter(serious).take(PER_OBJECT_MAX));
        for diagnostic in per_object {
            let reference = references.of(&diagnostic.object);
            let hash = hash(diagnostic, reference.uid.as_deref());
            if self.written.contains(&hash) {
                continue;
            }
            let namespace = reference
                .namespace
                .clone()
                .unwrap_or_else(|| "default".to_owned());
            let message = match diagnostic.field.is_empty() {
                true => diagnostic.message.clone(),
                false => format!("{}: {}", diagnostic.field, diagnostic.message),
            };
            let said = Said {
                type_: "Warning",
                reason: diagnostic.reason.as_str(),
                message: &message,
            };
            let event = event(said, reference, &namespace, hash);
            let api: Api<Event> = Api::namespaced(client.clone(), &namespace);
            match tokio::time::timeout(
                super::WRITE_TIMEOUT,
                api.create(&PostParams::default(), &event),
            )
            .await
            {
                Ok(Ok(_)) => {}
                Ok(Err(kube::Error::Api(status))) if status.code == 409 => {}
                Ok(Err(error)) => {
                    tracing::warn!(object = %diagnostic.object, error = %crate::client::chain(&error), "event cannot be written");
                    failed = true;
                    continue;
                }
                Err(_) => {
                    failed = true;
                    continue;
                }
            }
            if self.written.len() >= REMEMBERED_MAX {
                self.written.clear();
            }
            self.written.insert(hash);
        }
        if !failed {
            self.told = diagnostics.to_vec();
        }
    }
}

/// Tells that a Cluster's API has fallen silent, or answers again. What cannot be written is left: the condition says it
/// too.
pub(crate) async fn tell(client: &Client, turn: &Turn, objects: &HubObjects) {
    let cluster = ObjectRef::cluster_scoped(Kind::Cluster, turn.name.as_str());
    let reference = References::new(objects).of(&cluster);
    let mut hasher = DefaultHasher::new();
    (&reference.uid, turn.reachable, turn.before_since).hash(&mut hasher);
    let type_ = match turn.reachable {
        true => "Normal",
        false => "Warning",
    };
    let said = Said {
        type_,
        reason: turn.reason,
        message: &turn.message,
    };
    let event = event(said, reference, "default", hasher.finish());
    let api: Api<Event> = Api::namespaced(client.clone(), "default");
    let params = PostParams::default();
    let written = api.create(&params, &event);
    match tokio::time::timeout(super::WRITE_TIMEOUT, written).await {
        Ok(Ok(_)) => {}
        Ok(Err(kube::Error::Api(status))) if status.code == 409 => {}
        Ok(Err(error)) => {
            tracing::warn!(%cluster, error = %crate::client::chain(&error), "event cannot be written");
        }
        Err(_) => tracing::warn!(%cluster, "event cannot be written: no answer in time"),
    }
}

/// What an Event says.
struct Said<'a> {
    type_: &'static str,
    reason: &'static str,
    message: &'a str,
}

fn hash(diagnostic: &Diagnostic, uid: Option<&str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (diagnostic, uid).hash(&mut hasher);
    hasher.finish()
}

fn event(said: Said<'_>, reference: ObjectReference, namespace: &str, hash: u64) -> Event {
    let now = Time(Timestamp::now());
    let mut stem = reference.name.clone().unwrap_or_default();
    stem.truncate(200);
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{stem}.{hash:016x}")),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        },
        involved_object: reference,
        reason: Some(said.reason.to_owned()),
        // The API takes 1,024 bytes.
        message: Some(said.message.chars().take(1000).collect()),
        type_: Some(said.type_.to_owned()),
        source: Some(EventSource {
            component: Some(FIELD_MANAGER.to_owned()),
            host: None,
        }),
        first_timestamp: Some(now.clone()),
        last_timestamp: Some(now),
        count: Some(1),
        ..Event::default()
    }
}

/// References to objects, with their uids: the kinds that are asked for are read once.
struct References<'a> {
    objects: &'a HubObjects,
    uids: HashMap<Kind, HashMap<(String, String), String>>,
}

impl<'a> References<'a> {
    fn new(objects: &'a HubObjects) -> Self {
        Self {
            objects,
            uids: HashMap::new(),
        }
    }

    fn of(&mut self, object: &ObjectRef) -> ObjectReference {
        match object.kind {
            Kind::Cluster => self.named(object, |objects| objects.clusters.readable()),
            Kind::GatewayConfig => self.named(object, |objects| objects.gateway_configs.readable()),
            Kind::IngressClass => self.named(object, |objects| objects.ingress_classes.readable()),
            Kind::Ingress => self.named(object, |objects| objects.ingresses.readable()),
            Kind::FailoverPolicy => {
                self.named(object, |objects| objects.failover_policies.readable())
            }
        }
    }

    fn named<K: Resource<DynamicType = ()>>(
        &mut self,
        object: &ObjectRef,
        all: impl FnOnce(&HubObjects) -> Vec<Arc<K>>,
    ) -> ObjectReference {
        let uids = self.uids.entry(object.kind).or_insert_with(|| {
            let all = all(self.objects);
            let metas = all.iter().map(|object| object.meta());
            metas
                .filter_map(|meta| {
                    let namespace = meta.namespace.clone().unwrap_or_default();
                    Some(((namespace, meta.name.clone()?), meta.uid.clone()?))
                })
                .collect()
        });
        let key = (object.namespace.clone(), object.name.clone());
        ObjectReference {
            api_version: Some(K::api_version(&()).into_owned()),
            kind: Some(K::kind(&()).into_owned()),
            name: Some(object.name.clone()),
            namespace: (!object.namespace.is_empty()).then(|| object.namespace.clone()),
            uid: uids.get(&key).cloned(),
            ..ObjectReference::default()
        }
    }
}
