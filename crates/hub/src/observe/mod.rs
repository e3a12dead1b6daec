//! What the hub sees: its own objects and those of members.

mod follow;
mod kept;
mod member;
mod probe;

pub(crate) use member::{Joining, Member, MemberReport, Observing};
pub(crate) use probe::Answer;

use follow::{Followed, follow};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use kube::runtime::watcher;
use kube::{Api, Client};
use std::sync::Arc;
use tidegate_api::{Cluster, FailoverPolicy, GatewayConfig, SYSTEM_NAMESPACE};
use tidegate_translate::{Kind, ObjectRef, Unreadable};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The hub's own objects, followed.
pub(crate) struct HubObjects {
    pub(crate) clusters: Followed<Cluster>,
    pub(crate) gateway_configs: Followed<GatewayConfig>,
    pub(crate) ingress_classes: Followed<IngressClass>,
    pub(crate) ingresses: Followed<Ingress>,
    pub(crate) failover_policies: Followed<FailoverPolicy>,
    /// Those with certificates; no others are asked for.
    pub(crate) tls_secrets: Followed<Secret>,
    /// Those that may hold users.
    pub(crate) auth_secrets: Followed<Secret>,
    /// Those that may hold headers.
    pub(crate) config_maps: Followed<ConfigMap>,
}

/// Those of members are no users, and are not kept in memory longer than they are needed.
fn forget_kubeconfigs(secret: &mut Secret) {
    if secret.metadata.namespace.as_deref() == Some(SYSTEM_NAMESPACE) {
        secret.data = None;
    }
}

/// Only texts are of use, and there may be many.
fn keep_texts(map: &mut ConfigMap) {
    map.binary_data = None;
    map.metadata.managed_fields = None;
    map.metadata.annotations = None;
}

impl HubObjects {
    pub(crate) fn follow(
        client: &Client,
        changed: &Arc<Notify>,
        shutdown: &CancellationToken,
    ) -> Self {
        macro_rules! all {
            () => {
                all!(watcher::Config::default())
            };
            ($config:expr) => {
                all!($config, |_| {})
            };
            ($config:expr, $trim:expr) => {
                follow(
                    Api::all(client.clone()),
                    $config,
                    $trim,
                    Arc::clone(changed),
                    shutdown.clone(),
                )
            };
        }
        Self {
            clusters: all!(),
            gateway_configs: all!(),
            ingress_classes: all!(),
            ingresses: all!(),
            failover_policies: all!(),
            tls_secrets: all!(watcher::Config::default().fields("type=kubernetes.io/tls")),
            auth_secrets: all!(
                watcher::Config::default().fields("type=Opaque"),
                forget_kubeconfigs
            ),
            config_maps: all!(watcher::Config::default(), keep_texts),
        }
    }

    /// Whether every kind was listed once: before that, what is missing is unknown, not absent.
    pub(crate) fn synced(&self) -> bool {
        self.clusters.state().synced
            && self.gateway_configs.state().synced
            && self.ingress_classes.state().synced
            && self.ingresses.state().synced
            && self.failover_policies.state().synced
            && self.tls_secrets.state().synced
            && self.auth_secrets.state().synced
            && self.config_maps.state().synced
    }

    /// The objects that cannot be read.
    pub(crate) fn unreadable(&self) -> Vec<Unreadable> {
        let all = [
            (Kind::Cluster, self.clusters.unreadable()),
            (Kind::GatewayConfig, self.gateway_configs.unreadable()),
            (Kind::IngressClass, self.ingress_classes.unreadable()),
            (Kind::Ingress, self.ingresses.unreadable()),
            (Kind::FailoverPolicy, self.failover_policies.unreadable()),
        ];
        let flat = all.into_iter().flat_map(|(kind, objects)| {
            objects
                .into_iter()
                .map(move |(namespace, name, error)| Unreadable {
                    object: ObjectRef::new(kind, namespace, name),
                    error,
                })
        });
        flat.collect()
    }
}
