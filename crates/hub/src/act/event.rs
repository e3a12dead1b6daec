//! Events for diagnostics.
//!
//! The name of an Event is made from what it says, so that it is written once, also after a restart: the
//! API refuses the second one.

use crate::FIELD_MANAGER;
use crate::observe::HubObjects;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, PostParams};
use kube::{Client, Resource};
use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use tidegate_translate::{Diagnostic, Kind, ObjectRef, Severity};

/// At most so many Events an object in one pass; the annotation tells the rest.
const PER_OBJECT_MAX: usize = 10;
/// What was written is remembered up to so many; then the API's own refusal of doubles has to do.
const REMEMBERED_MAX: usize = 100_000;

/// The Events written by this process, by the hash in their names.
#[derive(Default)]
pub(crate) struct Emitted(HashSet<u64>);

impl Emitted {
    pub(crate) async fn emit(
        &mut self,
        client: &Client,
        diagnostics: &[Diagnostic],
        objects: &HubObjects,
    ) {
        let mut per_object: BTreeMap<&ObjectRef, usize> = BTreeMap::new();
        for diagnostic in diagnostics.iter().filter(|d| d.severity != Severity::Note) {
            let count = per_object.entry(&diagnostic.object).or_default();
            *count += 1;
            if *count > PER_OBJECT_MAX {
                continue;
            }
            let reference = reference(&diagnostic.object, objects);
            let hash = hash(diagnostic, reference.uid.as_deref());
            if self.0.contains(&hash) {
                continue;
            }
            let namespace = reference
                .namespace
                .clone()
                .unwrap_or_else(|| "default".to_owned());
            let event = event(diagnostic, reference, &namespace, hash);
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
                    continue;
                }
                Err(_) => continue,
            }
            if self.0.len() >= REMEMBERED_MAX {
                self.0.clear();
            }
            self.0.insert(hash);
        }
    }
}

fn hash(diagnostic: &Diagnostic, uid: Option<&str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (diagnostic, uid).hash(&mut hasher);
    hasher.finish()
}

fn event(diagnostic: &Diagnostic, reference: ObjectReference, namespace: &str, hash: u64) -> Event {
    let now = Time(Timestamp::now());
    let mut stem = diagnostic.object.name.clone();
    stem.truncate(200);
    let message = if diagnostic.field.is_empty() {
        diagnostic.message.clone()
    } else {
        format!("{}: {}", diagnostic.field, diagnostic.message)
    };
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{stem}.{hash:016x}")),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        },
        involved_object: reference,
        reason: Some(diagnostic.reason.as_str().to_owned()),
        // The API takes 1,024 bytes.
        message: Some(message.chars().take(1000).collect()),
        type_: Some("Warning".to_owned()),
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

fn reference(object: &ObjectRef, objects: &HubObjects) -> ObjectReference {
    match object.kind {
        Kind::Cluster => of(object, &objects.clusters.readable()),
        Kind::GatewayConfig => of(object, &objects.gateway_configs.readable()),
        Kind::IngressClass => of(object, &objects.ingress_classes.readable()),
        Kind::Ingress => of(object, &objects.ingresses.readable()),
        Kind::FailoverPolicy => of(object, &objects.failover_policies.readable()),
    }
}

fn of<K: Resource<DynamicType = ()>>(object: &ObjectRef, all: &[Arc<K>]) -> ObjectReference {
    let found = all.iter().map(|k| k.meta()).find(|meta| {
        meta.name.as_deref() == Some(&object.name)
            && meta.namespace.as_deref().unwrap_or_default() == object.namespace
    });
    ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(K::kind(&()).into_owned()),
        name: Some(object.name.clone()),
        namespace: (!object.namespace.is_empty()).then(|| object.namespace.clone()),
        uid: found.and_then(|meta| meta.uid.clone()),
        ..ObjectReference::default()
    }
}
