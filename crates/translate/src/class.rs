//! Which Ingresses are ours, which clusters they lead to, and the gateway's settings.

use crate::diagnostic::Sink;
use crate::fleet::Fleet;
use crate::{Kind, ObjectRef, Reason, WorldView};
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tidegate_api::{GatewayConfig, INGRESS_CONTROLLER, ORIGINAL_INGRESS_CONTROLLER};
use tidegate_model::{ClusterName, Settings};

/// The annotation that marks an IngressClass as the default one.
pub const DEFAULT_CLASS: &str = "ingressclass.kubernetes.io/is-default-class";
const LEGACY_CLASS: &str = "kubernetes.io/ingress.class";

/// Our IngressClasses.
pub(crate) struct Classes {
    ours: BTreeMap<String, Class>,
    /// All classes, ours or not.
    all: BTreeSet<String>,
    default: Option<String>,
    /// Classes that are served on although they were deleted.
    deleted: BTreeSet<String>,
    pub(crate) settings: Settings,
}

/// One of our IngressClasses.
pub(crate) struct Class {
    /// The GatewayConfig that limits its clusters, when one does: it makes backends its own.
    pub(crate) limited_by: Option<String>,
    /// The clusters its routes lead to.
    pub(crate) clusters: BTreeSet<ClusterName>,
}

impl Classes {
    pub(crate) fn new(world: &WorldView, fleet: &Fleet<'_>, diagnostics: &mut Sink) -> Self {
        let configs: BTreeMap<&str, &GatewayConfig> = world
            .gateway_configs
            .iter()
            .filter_map(|config| Some((config.metadata.name.as_deref()?, config.as_ref())))
            .collect();
        let attached = attached_clusters(&configs, fleet, diagnostics);
        let mut ours = BTreeMap::new();
        let mut config_of = BTreeMap::new();
        for class in world.ingress_classes.iter().filter(|class| is_ours(class)) {
            let name = class.metadata.name.clone().unwrap_or_default();
            let config = config_name(class, &configs, diagnostics);
            if let Some(config) = config {
                tell_deleted(class, config, world, diagnostics);
            }
            let limit = config.and_then(|config| attached.get(config));
            ours.insert(
                name.clone(),
                Class {
                    limited_by: limit.and(config).map(str::to_owned),
                    clusters: fleet.serving(limit),
                },
            );
            if let Some(config) = config {
                config_of.insert(name, config);
            }
        }
        let default = default_class(world, diagnostics);
        // One gateway serves all classes: only one config's limits can hold.
        let leading = default
            .as_ref()
            .and_then(|name| config_of.get(name))
            .or_else(|| config_of.values().next())
            .copied();
        let settings = settings(leading, &configs, diagnostics);
        Self {
            ours,
            all: world
                .ingress_classes
                .iter()
                .filter_map(|class| class.metadata.name.clone())
                .collect(),
            default,
            deleted: world
                .deleted
                .iter()
                .filter(|object| object.kind == Kind::IngressClass)
                .map(|object| object.name.clone())
                .collect(),
            settings,
        }
    }

    /// The class of an Ingress when it is one of ours.
    pub(crate) fn of(
        &self,
        ingress: &Ingress,
        object: &ObjectRef,
        diagnostics: &mut Sink,
    ) -> Option<&Class> {
        let (name, field) = match ClassUse::of(ingress) {
            ClassUse::Named(name) => {
                let spec = ingress.spec.as_ref();
                let by_field = spec.is_some_and(|spec| spec.ingress_class_name.is_some());
                let field = match by_field {
                    true => "spec.ingressClassName".to_owned(),
                    false => format!("metadata.annotations[{LEGACY_CLASS}]"),
                };
                (name, field)
            }
            ClassUse::Default => (self.default.as_deref()?, "spec.ingressClassName".to_owned()),
        };
        if !self.all.contains(name) {
            diagnostics.error(
                object,
                &field,
                Reason::UnknownClass,
                format!(
                    "there is no IngressClass {}, so nobody serves this Ingress; see `kubectl get ingressclass`",
                    crate::diagnostic::quote(name)
                ),
            );
        }
        let ours = self.ours.get(name)?;
        if self.deleted.contains(name) {
            let text = format!(
                "IngressClass {name} was deleted; the Ingress is served as before until it names another class or is deleted itself"
            );
            diagnostics.warning(object, field, Reason::UnknownClass, text);
        }
        Some(ours)
    }
}

/// The class an Ingress goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClassUse<'a> {
    /// It names one, in its field or by the old annotation.
    Named(&'a str),
    /// It names none: the default class.
    Default,
}

impl<'a> ClassUse<'a> {
    /// What an Ingress says; the field goes before the annotation.
    pub fn of(ingress: &'a Ingress) -> Self {
        let spec = ingress.spec.as_ref();
        let field = spec.and_then(|spec| spec.ingress_class_name.as_deref());
        let annotations = ingress.metadata.annotations.as_ref();
        let legacy = annotations.and_then(|all| all.get(LEGACY_CLASS));
        match field.or(legacy.map(String::as_str)) {
            Some(name) => Self::Named(name),
            None => Self::Default,
        }
    }
}

/// Whether a class is marked as the default one.
pub fn is_default(class: &IngressClass) -> bool {
    let annotations = class.metadata.annotations.as_ref();
    annotations
        .and_then(|all| all.get(DEFAULT_CLASS))
        .is_some_and(|value| value == "true")
}

/// A GatewayConfig that is used although it was deleted.
fn tell_deleted(class: &IngressClass, config: &str, world: &WorldView, diagnostics: &mut Sink) {
    let deleted = ObjectRef::cluster_scoped(Kind::GatewayConfig, config);
    if world.deleted.contains(&deleted) {
        let object = ObjectRef::cluster_scoped(Kind::IngressClass, name_of(class));
        let text = format!(
            "GatewayConfig {config} was deleted; what it said last holds until the class names another or none"
        );
        diagnostics.warning(
            &object,
            "spec.parameters.name",
            Reason::UnknownParameters,
            text,
        );
    }
}

fn name_of(class: &IngressClass) -> String {
    class.metadata.name.clone().unwrap_or_default()
}

fn is_ours(class: &IngressClass) -> bool {
    let controller = class
        .spec
        .as_ref()
        .and_then(|spec| spec.controller.as_deref());
    matches!(
        controller,
        Some(INGRESS_CONTROLLER | ORIGINAL_INGRESS_CONTROLLER)
    )
}

/// The newest default class wins, as in the admission plugin of Kubernetes; ties go to the first name.
fn default_class(world: &WorldView, diagnostics: &mut Sink) -> Option<String> {
    let mut defaults: Vec<&IngressClass> = world
        .ingress_classes
        .iter()
        .map(AsRef::as_ref)
        .filter(|class| is_default(class))
        .collect();
    defaults.sort_by_cached_key(|class| {
        let created = class.metadata.creation_timestamp.as_ref();
        (
            std::cmp::Reverse(created.map(|time| time.0)),
            name_of(class),
        )
    });
    let (newest, older) = defaults.split_first()?;
    for class in older {
        let text = format!(
            "IngressClass {} is marked as the default too and is newer, so Ingresses without a class go by that one; \
             mark one only",
            name_of(newest)
        );
        let object = ObjectRef::cluster_scoped(Kind::IngressClass, name_of(class));
        let field = format!("metadata.annotations[{DEFAULT_CLASS}]");
        diagnostics.warning(&object, field, Reason::Conflict, text);
    }
    Some(name_of(newest))
}

/// The name of the class's GatewayConfig, when it names one that exists.
fn config_name<'a>(
    class: &IngressClass,
    configs: &BTreeMap<&'a str, &GatewayConfig>,
    diagnostics: &mut Sink,
) -> Option<&'a str> {
    let parameters = class.spec.as_ref()?.parameters.as_ref()?;
    let object = ObjectRef::cluster_scoped(
        Kind::IngressClass,
        class.metadata.name.clone().unwrap_or_default(),
    );
    let group = parameters.api_group.as_deref().unwrap_or_default();
    let fallback = "until then its routes lead to all clusters";
    if (group, parameters.kind.as_str()) != ("traffic.tidegate.io", "GatewayConfig") {
        diagnostics.error(
            &object,
            "spec.parameters",
            Reason::UnknownParameters,
            format!(
                "{group}/{} cannot be used, name a traffic.tidegate.io GatewayConfig; {fallback}",
                parameters.kind
            ),
        );
        return None;
    }
    let found = configs
        .get_key_value(parameters.name.as_str())
        .map(|(name, _)| *name);
    if found.is_none() {
        diagnostics.error(
            &object,
            "spec.parameters.name",
            Reason::UnknownParameters,
            format!("there is no GatewayConfig {}; {fallback}", parameters.name),
        );
    }
    found
}

/// The named clusters of each config that names some.
fn attached_clusters<'a>(
    configs: &BTreeMap<&'a str, &GatewayConfig>,
    fleet: &Fleet<'_>,
    diagnostics: &mut Sink,
) -> BTreeMap<&'a str, BTreeSet<ClusterName>> {
    let mut attached = BTreeMap::new();
    for (&name, config) in configs {
        let Some(names) = &config.spec.clusters else {
            continue;
        };
        let object = ObjectRef::cluster_scoped(Kind::GatewayConfig, name);
        let mut set = BTreeSet::new();
        for (i, cluster) in names.iter().enumerate() {
            match ClusterName::new(cluster.as_str()) {
                Ok(cluster) if fleet.clusters.contains_key(&cluster) => {
                    set.insert(cluster);
                }
                _ => diagnostics.warning(
                    &object,
                    format!("spec.clusters[{i}]"),
                    Reason::UnknownCluster,
                    format!(
                        "there is no Cluster {}; it takes part once it joins",
                        crate::diagnostic::quote(cluster)
                    ),
                ),
            }
        }
        attached.insert(name, set);
    }
    attached
}

fn settings(
    leading: Option<&str>,
    configs: &BTreeMap<&str, &GatewayConfig>,
    diagnostics: &mut Sink,
) -> Settings {
    let mut settings = Settings::default();
    for (&name, config) in configs {
        let object = ObjectRef::cluster_scoped(Kind::GatewayConfig, name);
        let set = [
            ("spec.timeouts", config.spec.timeouts.is_some()),
            ("spec.retries", config.spec.retries.is_some()),
            ("spec.trustedProxies", config.spec.trusted_proxies.is_some()),
            (
                "spec.proxyProtocolPeers",
                config.spec.proxy_protocol_peers.is_some(),
            ),
        ];
        if leading == Some(name) {
            apply(&object, config, &mut settings, diagnostics);
            continue;
        }
        for (field, _) in set.iter().filter(|(_, set)| *set) {
            diagnostics.warning(
                &object,
                *field,
                Reason::NoEffect,
                match leading {
                    Some(leading) => format!("one gateway serves all classes, and GatewayConfig {leading} sets its limits"),
                    None => "no IngressClass of Tidegate uses this GatewayConfig".to_owned(),
                },
            );
        }
    }
    settings
}

fn apply(
    object: &ObjectRef,
    config: &GatewayConfig,
    settings: &mut Settings,
    diagnostics: &mut Sink,
) {
    for (i, range) in config.spec.trusted_proxies.iter().flatten().enumerate() {
        match range.parse() {
            Ok(range) => settings.trusted_proxies.push(range),
            Err(error) => diagnostics.error(
                object,
                format!("spec.trustedProxies[{i}]"),
                Reason::InvalidValue,
                format!("{error}; this proxy is not believed"),
            ),
        }
    }
    let peers = config.spec.proxy_protocol_peers.iter().flatten();
    for (i, range) in peers.enumerate() {
        match range.parse() {
            Ok(range) => settings.proxy_protocol_peers.push(range),
            Err(error) => diagnostics.error(
                object,
                format!("spec.proxyProtocolPeers[{i}]"),
                Reason::InvalidValue,
                format!("{error}; a PROXY header from it is refused"),
            ),
        }
    }
    if let Some(timeouts) = &config.spec.timeouts {
        let target = &mut settings.timeouts;
        let fields: [(&str, Option<tidegate_api::Duration>, &mut Duration); 7] = [
            (
                "requestHead",
                timeouts.request_head,
                &mut target.request_head,
            ),
            ("clientIdle", timeouts.client_idle, &mut target.client_idle),
            ("connect", timeouts.connect, &mut target.connect),
            (
                "tryFirstByte",
                timeouts.try_first_byte,
                &mut target.try_first_byte,
            ),
            ("firstByte", timeouts.first_byte, &mut target.first_byte),
            ("bodyIdle", timeouts.body_idle, &mut target.body_idle),
            ("drain", timeouts.drain, &mut target.drain),
        ];
        for (field, value, target) in fields {
            match value {
                Some(value) if value.0.is_zero() => diagnostics.error(
                    object,
                    format!("spec.timeouts.{field}"),
                    Reason::InvalidValue,
                    "it must be longer than zero; the default stays in force".to_owned(),
                ),
                Some(value) => *target = value.0,
                None => {}
            }
        }
    }
    if let Some(retries) = &config.spec.retries {
        let target = &mut settings.retry;
        let fields = [
            ("max", retries.max, 10, &mut target.max),
            (
                "budgetPercent",
                retries.budget_percent,
                100,
                &mut target.budget_percent,
            ),
            (
                "budgetPerSecond",
                retries.budget_per_second,
                100_000,
                &mut target.budget_per_second,
            ),
        ];
        for (field, value, limit, target) in fields {
            match value {
                Some(value) if value > limit => diagnostics.error(
                    object,
                    format!("spec.retries.{field}"),
                    Reason::InvalidValue,
                    format!("{value} is more than {limit}; the default stays in force"),
                ),
                Some(value) => *target = value,
                None => {}
            }
        }
    }
}
