//! One part of the fleet's Ingresses, translated: those that have hosts in common.

use crate::auth::AuthSecrets;
use crate::backend::Backends;
use crate::class::Classes;
use crate::fleet::{Fleet, ServiceName};
use crate::header_map::ConfigMaps;
use crate::policy::Policies;
use crate::tls::Secrets;
use crate::trust::Trust;
use crate::{
    Diagnostic, ObjectRef, WorldView, alias, diagnostic, host_access, host_tls, ingress,
    passthrough, routes, tls,
};
use k8s_openapi::api::networking::v1::Ingress;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidegate_model::{
    Authorities, Backend, BackendId, Certificate, CertificateId, Forward, Handshake, HostPattern,
    Route, SharedPart,
};

/// What holds for all parts of a world.
pub(crate) struct Context<'a> {
    pub(crate) fleet: Fleet<'a>,
    pub(crate) classes: Classes,
    pub(crate) policies: Policies,
    secrets: Secrets<'a>,
    auth_secrets: AuthSecrets<'a>,
    trust: Trust<'a>,
    config_maps: ConfigMaps<'a>,
}

/// What a part contributes to a translation. No two parts have a host or an Ingress in common; backends and
/// certificates they may, and then have them alike.
#[derive(Default)]
pub(crate) struct Part {
    pub(crate) hosts: BTreeMap<HostPattern, SharedPart<Vec<Route>>>,
    pub(crate) tls: BTreeMap<HostPattern, CertificateId>,
    pub(crate) certificates: BTreeMap<CertificateId, SharedPart<Certificate>>,
    pub(crate) authorities: BTreeMap<CertificateId, SharedPart<Authorities>>,
    pub(crate) handshakes: BTreeMap<HostPattern, SharedPart<Handshake>>,
    pub(crate) passthrough: BTreeMap<HostPattern, SharedPart<Forward>>,
    pub(crate) backends: BTreeMap<BackendId, SharedPart<Backend>>,
    pub(crate) ingresses: BTreeMap<Arc<ObjectRef>, SharedPart<Vec<(HostPattern, Route)>>>,
    pub(crate) diagnostics: Vec<Arc<Diagnostic>>,
    /// What was looked up, found or not: nothing else of members and of ConfigMaps does it depend on.
    pub(crate) asked: BTreeSet<Asked>,
}

/// Something that is looked up by namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Asked {
    Service(ServiceName),
    ConfigMap(ServiceName),
}

impl<'a> Context<'a> {
    /// Reads what is not an Ingress.
    pub(crate) fn new(world: &'a WorldView, diagnostics: &mut diagnostic::Sink) -> Self {
        let fleet = Fleet::new(world, diagnostics);
        let classes = Classes::new(world, &fleet, diagnostics);
        let policies = Policies::new(world, &fleet, diagnostics);
        // What was asked so far concerns no part.
        fleet.take_asked();
        Self {
            fleet,
            classes,
            policies,
            secrets: Secrets::new(&world.tls_secrets),
            auth_secrets: AuthSecrets::new(&world.auth_secrets),
            trust: Trust::new(&world.tls_secrets, &world.auth_secrets),
            config_maps: ConfigMaps::new(&world.config_maps),
        }
    }

    /// Translates a part.
    pub(crate) fn translate(&self, ingresses: &[Arc<Ingress>]) -> Part {
        let mut diagnostics = diagnostic::Sink::default();
        let mut backends = Backends::new(&self.fleet, &self.policies);
        let mut ours = ingress::ours(ingresses, &self.classes, &mut backends, &mut diagnostics);
        let mut part = Part::default();
        for mine in &mut ours {
            self.auth_secrets.apply(mine, &mut diagnostics);
            self.trust.apply(mine, &mut part, &mut diagnostics);
            self.config_maps.apply(mine, &mut diagnostics);
        }
        let mut routes = routes::compile(&ours, &mut backends, &mut diagnostics);
        host_access::apply(&ours, &mut routes, &mut diagnostics);
        let owners = host_tls::guard(&ours, &mut routes, &mut diagnostics);
        let aliases = alias::compile(&ours, &mut routes, &mut diagnostics);
        host_tls::compile(owners, &aliases, &mut part);
        passthrough::compile(&ours, &routes, &aliases, &mut part, &mut diagnostics);
        tls::compile(&self.secrets, &ours, &aliases, &mut part, &mut diagnostics);
        let mut owned: BTreeMap<_, Vec<_>> = ours
            .iter()
            .map(|mine| (Arc::new(mine.object.clone()), Vec::new()))
            .collect();
        for (host, routes) in &routes {
            for (owners, route) in routes {
                for owner in owners {
                    if let Some(owned) = owned.get_mut(owner) {
                        owned.push((host.clone(), route.clone()));
                    }
                }
            }
        }
        part.ingresses = share(owned);
        part.hosts = routes
            .into_iter()
            .map(|(host, routes)| (host, routes.into_iter().map(|(_, route)| route).collect()))
            .collect();
        part.backends = share(backends.finish());
        part.diagnostics = diagnostics.finish();
        let services = self.fleet.take_asked().into_iter().map(Asked::Service);
        let maps = self.config_maps.take_asked().into_iter();
        part.asked = services.chain(maps.map(Asked::ConfigMap)).collect();
        part
    }
}

fn share<K: Ord, V>(map: BTreeMap<K, V>) -> BTreeMap<K, SharedPart<V>> {
    map.into_iter()
        .map(|(key, value)| (key, value.into()))
        .collect()
}
