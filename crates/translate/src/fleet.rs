//! The clusters and what their Services and EndpointSlices say.

use crate::diagnostic::Sink;
use crate::{Freshness, Kind, ObjectRef, Reason, WorldView};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use tidegate_api::cluster::Traffic;
use tidegate_model::{ClusterName, Endpoint, Protocol};

/// All clusters of the fleet, looked up by name.
pub(crate) struct Fleet<'a> {
    pub(crate) clusters: BTreeMap<ClusterName, Member<'a>>,
}

/// One cluster of the fleet.
pub(crate) struct Member<'a> {
    pub(crate) traffic: Traffic,
    pub(crate) freshness: Freshness,
    services: HashMap<(&'a str, &'a str), &'a Service>,
    /// What was looked up. Recorded here, so that nobody can look without being known to depend on it.
    asked: RefCell<BTreeSet<ServiceName>>,
    slices: HashMap<(&'a str, &'a str), Vec<&'a EndpointSlice>>,
}

/// The label by which a slice names its Service.
pub(crate) const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Namespace and name of a Service.
pub(crate) type ServiceName = (String, String);

/// A port of a Service as an Ingress names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PortRef {
    Number(u16),
    Name(String),
}

/// What one cluster says about a Service port.
pub(crate) enum PortIn {
    NoService,
    NoPort,
    Endpoints(Vec<Endpoint>, Protocol),
}

impl<'a> Fleet<'a> {
    pub(crate) fn new(world: &'a WorldView, diagnostics: &mut Sink) -> Self {
        let readable = world.clusters.iter().map(|cluster| {
            let name = cluster.metadata.name.clone().unwrap_or_default();
            (name, cluster.spec.traffic)
        });
        // A Cluster that cannot be read is not one that is gone: it goes on serving.
        let unreadable = world
            .unreadable
            .iter()
            .filter(|u| u.object.kind == Kind::Cluster)
            .map(|u| (u.object.name.clone(), Traffic::Serve));
        let mut clusters = BTreeMap::new();
        for (name, traffic) in readable.chain(unreadable) {
            match ClusterName::new(name.as_str()) {
                Ok(cluster) => {
                    let member = Member::new(world, &cluster, traffic);
                    clusters.insert(cluster, member);
                }
                Err(error) => diagnostics.error(
                    &ObjectRef::cluster_scoped(Kind::Cluster, name),
                    "metadata.name",
                    Reason::InvalidValue,
                    format!("the cluster is not used: {error}"),
                ),
            }
        }
        Self { clusters }
    }

    /// The clusters that may serve, of those named in `attached` (`None`: of all).
    pub(crate) fn serving(
        &self,
        attached: Option<&BTreeSet<ClusterName>>,
    ) -> BTreeSet<ClusterName> {
        self.clusters
            .iter()
            .filter(|(name, member)| {
                member.traffic != Traffic::Exclude && attached.is_none_or(|set| set.contains(*name))
            })
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Whether any cluster of the fleet has the Service.
    pub(crate) fn knows_service(&self, namespace: &str, name: &str) -> bool {
        self.clusters
            .values()
            .any(|member| member.service(namespace, name).is_some())
    }

    /// The Services that were looked up since this was called last, found or not.
    pub(crate) fn take_asked(&self) -> BTreeSet<ServiceName> {
        let members = self.clusters.values();
        members.flat_map(|member| member.asked.take()).collect()
    }
}

impl<'a> Member<'a> {
    fn new(world: &'a WorldView, name: &ClusterName, traffic: Traffic) -> Self {
        let mut member = Self {
            traffic,
            freshness: Freshness::Never,
            services: HashMap::new(),
            asked: RefCell::default(),
            slices: HashMap::new(),
        };
        if let Some(view) = world.members.get(name) {
            member.freshness = view.freshness;
            for service in &view.services {
                if let Some(key) = key(
                    &service.metadata.namespace,
                    service.metadata.name.as_deref(),
                ) {
                    member.services.insert(key, service);
                }
            }
            for slice in &view.slices {
                let service = slice
                    .metadata
                    .labels
                    .as_ref()
                    .and_then(|labels| labels.get(SERVICE_NAME));
                if let Some(key) = key(&slice.metadata.namespace, service.map(String::as_str)) {
                    member.slices.entry(key).or_default().push(slice);
                }
            }
        }
        member
    }

    fn service(&self, namespace: &str, name: &str) -> Option<&'a Service> {
        let asked = (namespace.to_owned(), name.to_owned());
        self.asked.borrow_mut().insert(asked);
        self.services.get(&(namespace, name)).copied()
    }

    /// The first port of a Service, which an annotation that names only the Service means.
    pub(crate) fn first_port(&self, namespace: &str, service: &str) -> Option<u16> {
        let service = self.service(namespace, service)?;
        let first = service.spec.as_ref()?.ports.as_ref()?.first()?;
        u16::try_from(first.port).ok()
    }

    /// The ready endpoints behind a Service port, sorted by address.
    ///
    /// The Service's port gives a port name, the slices give its number per pod: that is where a named
    /// or different `targetPort` is resolved.
    pub(crate) fn resolve(&self, namespace: &str, service: &str, port: &PortRef) -> PortIn {
        let Some(found) = self.service(namespace, service) else {
            return PortIn::NoService;
        };
        let ports = found.spec.as_ref().and_then(|spec| spec.ports.as_ref());
        let service_port = ports.into_iter().flatten().find(|candidate| match port {
            PortRef::Number(number) => candidate.port == i32::from(*number),
            PortRef::Name(name) => candidate.name.as_deref() == Some(name),
        });
        let Some(service_port) = service_port else {
            return PortIn::NoPort;
        };
        let name = service_port.name.as_deref().unwrap_or_default();
        let mut endpoints = BTreeSet::new();
        for slice in self.slices.get(&(namespace, service)).into_iter().flatten() {
            let number = slice
                .ports
                .iter()
                .flatten()
                .find(|candidate| candidate.name.as_deref().unwrap_or_default() == name)
                .and_then(|candidate| candidate.port)
                .and_then(|number| u16::try_from(number).ok());
            if let Some(number) = number {
                collect_ready(slice, number, &mut endpoints);
            }
        }
        let protocol = protocol(service_port.app_protocol.as_deref());
        PortIn::Endpoints(endpoints.into_iter().collect(), protocol)
    }
}

/// What `appProtocol` says (GEP-1911). `grpc` is no name of a standard, but the one that people write.
fn protocol(app_protocol: Option<&str>) -> Protocol {
    match app_protocol {
        Some("kubernetes.io/h2c" | "grpc") => Protocol::Http2,
        Some(_) | None => Protocol::Http1,
    }
}

/// Adds the addresses that may get requests. `ready` unset means ready (discovery.k8s.io/v1); a
/// terminating pod is left out even where its Service publishes addresses that are not ready.
fn collect_ready(slice: &EndpointSlice, port: u16, into: &mut BTreeSet<Endpoint>) {
    for endpoint in slice.endpoints.iter().flatten() {
        let conditions = endpoint.conditions.as_ref();
        let ready = conditions.and_then(|c| c.ready) != Some(false);
        let terminating = conditions.and_then(|c| c.terminating) == Some(true);
        if !ready || terminating {
            continue;
        }
        // All addresses of one endpoint lead to the same pod: the first is enough.
        let address = endpoint
            .addresses
            .first()
            .and_then(|text| text.parse::<IpAddr>().ok());
        if let Some(address) = address {
            into.insert(Endpoint {
                address: SocketAddr::new(address, port),
            });
        }
    }
}

fn key<'a>(namespace: &'a Option<String>, name: Option<&'a str>) -> Option<(&'a str, &'a str)> {
    Some((namespace.as_deref()?, name?))
}

impl std::fmt::Display for PortRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}
