//! What Ingresses have in common: hosts. Those that share none, also through others, never affect one another.

use k8s_openapi::api::networking::v1::Ingress;
use std::collections::BTreeSet;
use tidegate_model::HostPattern;

/// The hosts that an Ingress has a say in, or whose routes it looks at: more does no harm, less would.
pub(crate) fn hosts(ingress: &Ingress) -> BTreeSet<HostPattern> {
    let mut hosts = BTreeSet::new();
    let Some(spec) = &ingress.spec else {
        return hosts;
    };
    if spec.default_backend.is_some() {
        hosts.insert(HostPattern::Any);
    }
    let named = spec.tls.iter().flatten().flat_map(|tls| tls.hosts.iter());
    // One that cannot be read has no routes.
    let named = named
        .flatten()
        .filter_map(|text| HostPattern::parse(text).ok());
    hosts.extend(crate::ingress::hosts(ingress).chain(named));
    hosts.extend(crate::annotation::possible_hosts(ingress));
    hosts
}
