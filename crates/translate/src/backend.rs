//! Backends: the same-named Service of all attached clusters.

use crate::annotation::Manner;
use crate::class::Class;
use crate::fleet::{Fleet, PortIn, PortRef};
use crate::policy::{Effective, Policies};
use crate::{Freshness, ObjectRef};
use std::collections::{BTreeMap, BTreeSet};
use tidegate_api::cluster::Traffic;
use tidegate_model::{
    Backend, BackendId, BackendTls, ClusterName, Placement, Protocol, Tier, TierMember, Verify,
    Weight,
};

/// The backends that routes have asked for so far.
pub(crate) struct Backends<'a> {
    pub(crate) fleet: &'a Fleet<'a>,
    policies: &'a Policies,
    built: BTreeMap<BackendId, Backend>,
    manners: BTreeMap<BackendId, Manner>,
}

/// A Service port as an Ingress means it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceRef {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) port: PortRef,
}

/// What became of a [`ServiceRef`].
pub(crate) enum Resolved {
    /// A backend, perhaps without endpoints. `without_port` are clusters whose Service lacks the port;
    /// `unlike` are those that do not say, as others do, that it speaks HTTP/2.
    Backend {
        id: BackendId,
        without_port: Vec<ClusterName>,
        unlike: Vec<ClusterName>,
    },
    /// No attached cluster has the Service. `unseen` are clusters that might.
    NoService { unseen: Vec<ClusterName> },
    /// Some have the Service, none has the port.
    NoPort,
}

impl<'a> Backends<'a> {
    pub(crate) fn new(fleet: &'a Fleet<'a>, policies: &'a Policies) -> Self {
        Self {
            fleet,
            policies,
            built: BTreeMap::new(),
            manners: BTreeMap::new(),
        }
    }

    /// The backend of a Service port for an Ingress of a class.
    pub(crate) fn resolve(
        &mut self,
        class: &Class,
        ingress: &ObjectRef,
        service: &ServiceRef,
        manner: &Manner,
    ) -> Resolved {
        let own_policy = self.policies.of_ingress(&ingress.namespace, &ingress.name);
        // The backend of one name may differ by Ingress or by class; then they are told apart here.
        let own = own_policy.is_some() || *manner != Manner::default();
        let variant = match (own, &class.limited_by) {
            (true, _) => format!("@ingress.{}", ingress.name),
            (false, Some(config)) => format!("@config.{config}"),
            (false, None) => String::new(),
        };
        let port = format!("{}{variant}", service.port);
        let Ok(id) = BackendId::new(&service.namespace, &service.name, &port) else {
            return Resolved::NoService { unseen: Vec::new() };
        };
        let mut clusters = BTreeMap::new();
        let mut without_port = Vec::new();
        let mut unseen = Vec::new();
        let mut unlike = Vec::new();
        for cluster in &class.clusters {
            let Some(member) = self.fleet.clusters.get(cluster) else {
                continue;
            };
            match member.resolve(&service.namespace, &service.name, &service.port) {
                PortIn::Endpoints(endpoints, protocol) => {
                    clusters.insert(cluster.clone(), endpoints);
                    match protocol {
                        Protocol::Http1 => unlike.push(cluster.clone()),
                        Protocol::Http2 => {}
                    }
                }
                PortIn::NoPort => without_port.push(cluster.clone()),
                PortIn::NoService if member.freshness == Freshness::Never => {
                    unseen.push(cluster.clone())
                }
                PortIn::NoService => {}
            }
        }
        if clusters.is_empty() {
            return if without_port.is_empty() {
                Resolved::NoService { unseen }
            } else {
                Resolved::NoPort
            };
        }
        // The same application in all of them: whoever says nothing has been forgotten.
        let protocol = match unlike.len() == clusters.len() {
            true => Protocol::Http1,
            false => Protocol::Http2,
        };
        let protocol = manner.protocol.unwrap_or(protocol);
        if protocol == Protocol::Http1 || manner.protocol.is_some() {
            unlike.clear();
        }
        if !self.built.contains_key(&id) {
            let policy =
                own_policy.or_else(|| self.policies.of_service(&service.namespace, &service.name));
            let backend = Backend {
                balance: manner.balance.clone(),
                tls: manner.tls.clone().map(|tls| for_service(tls, service)),
                ..self.build(class, policy, protocol, clusters)
            };
            self.built.insert(id.clone(), backend);
            self.manners.insert(id.clone(), manner.clone());
        }
        Resolved::Backend {
            id,
            without_port,
            unlike,
        }
    }

    /// How a backend is asked.
    pub(crate) fn manner_of(&self, id: &BackendId) -> Option<&Manner> {
        self.manners.get(id)
    }

    fn build(
        &self,
        class: &Class,
        policy: Option<&Effective>,
        protocol: Protocol,
        clusters: BTreeMap<ClusterName, Vec<tidegate_model::Endpoint>>,
    ) -> Backend {
        let policy = policy.cloned().unwrap_or_default();
        Backend {
            placement: self.placement(class, policy.placement),
            protocol,
            health: policy.health,
            clusters,
            ..Backend::default()
        }
    }

    /// The policy's tiers over the attached clusters, with those that are being drained moved last.
    fn placement(&self, class: &Class, mut placement: Placement) -> Placement {
        let drained: Vec<&ClusterName> = class
            .clusters
            .iter()
            .filter(|name| {
                self.fleet
                    .clusters
                    .get(*name)
                    .is_some_and(|m| m.traffic == Traffic::Drain)
            })
            .collect();
        for tier in &mut placement.tiers {
            tier.clusters
                .retain(|m| class.clusters.contains(&m.cluster) && !drained.contains(&&m.cluster));
        }
        placement.tiers.retain(|tier| !tier.clusters.is_empty());
        if !drained.is_empty() {
            let named: BTreeSet<ClusterName> = placement
                .tiers
                .iter()
                .flat_map(|tier| tier.clusters.iter().map(|m| m.cluster.clone()))
                .collect();
            let unnamed = class
                .clusters
                .iter()
                .filter(|name| !named.contains(*name) && !drained.contains(name));
            let last_tiers = [tier_of(unnamed), tier_of(drained.iter().copied())];
            placement.tiers.extend(
                last_tiers
                    .into_iter()
                    .filter(|tier| !tier.clusters.is_empty()),
            );
        }
        placement
    }

    pub(crate) fn finish(self) -> BTreeMap<BackendId, Backend> {
        self.built
    }
}

/// Fills in the name that certificates are checked for where none is said: that of the Service in its cluster.
fn for_service(mut tls: BackendTls, service: &ServiceRef) -> BackendTls {
    if let Verify::By { name, .. } = &mut tls.verify
        && name.is_empty()
    {
        *name = format!("{}.{}.svc", service.name, service.namespace);
    }
    tls
}

fn tier_of<'n>(names: impl Iterator<Item = &'n ClusterName>) -> Tier {
    Tier {
        clusters: names
            .map(|name| TierMember {
                cluster: name.clone(),
                weight: Weight::ReadyEndpoints,
            })
            .collect(),
    }
}
