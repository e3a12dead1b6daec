//! FailoverPolicies: placement and health checks of targets.

use crate::diagnostic::{Sink, quote};
use crate::fleet::Fleet;
use crate::{Diagnostic, Kind, ObjectRef, Reason, Severity, WorldView};
use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;
use tidegate_api::FailoverPolicy;
use tidegate_api::failover_policy::{CheckType, HealthCheck, TargetKind};
use tidegate_model::{
    ActiveCheck, ClusterName, HealthPolicy, Placement, Probe, Tier, TierMember, Weight,
};

/// What became of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyVerdict {
    /// It applies; the messages name the fields that are ignored.
    Accepted {
        /// Empty when everything has effect.
        ignored: Vec<String>,
    },
    /// Its target does not exist.
    TargetNotFound(String),
    /// An older policy has the target.
    Conflicted(String),
}

/// The policies by target.
pub(crate) struct Policies {
    by_target: BTreeMap<Target, Effective>,
    verdicts: BTreeMap<ObjectRef, PolicyVerdict>,
}

/// What a policy makes of a backend.
#[derive(Clone, Default)]
pub(crate) struct Effective {
    pub(crate) placement: Placement,
    pub(crate) health: HealthPolicy,
}

/// Namespace, kind and name. `false` is a Service, `true` an Ingress.
type Target = (String, bool, String);

impl Policies {
    pub(crate) fn new(world: &WorldView, fleet: &Fleet<'_>, diagnostics: &mut Sink) -> Self {
        let mut ordered: Vec<&FailoverPolicy> =
            world.failover_policies.iter().map(AsRef::as_ref).collect();
        ordered.sort_by_key(|policy| crate::ingress::seniority(&policy.metadata));
        // There may be many Ingresses, and few policies for one.
        let ingresses = LazyCell::new(|| {
            let metas = world.ingresses.iter().map(|ingress| &ingress.metadata);
            metas
                .filter_map(|meta| Some((meta.namespace.as_deref()?, meta.name.as_deref()?)))
                .collect::<HashSet<_>>()
        });
        let mut this = Self {
            by_target: BTreeMap::new(),
            verdicts: BTreeMap::new(),
        };
        let mut owners: BTreeMap<Target, ObjectRef> = BTreeMap::new();
        for policy in ordered {
            let namespace = policy.metadata.namespace.clone().unwrap_or_default();
            let name = policy.metadata.name.clone().unwrap_or_default();
            let object = ObjectRef::new(Kind::FailoverPolicy, namespace.clone(), name);
            let target = &policy.spec.target_ref;
            let (of_ingress, exists) = match target.kind {
                TargetKind::Service => (false, fleet.knows_service(&namespace, &target.name)),
                TargetKind::Ingress => (
                    true,
                    ingresses.contains(&(namespace.as_str(), target.name.as_str())),
                ),
            };
            let key = (namespace, of_ingress, target.name.clone());
            if let Some(owner) = owners.get(&key) {
                let message = format!("{owner} is older and applies to the same {:?}", target.kind);
                diagnostics.error(&object, "spec.targetRef", Reason::Conflict, message.clone());
                this.verdicts
                    .insert(object, PolicyVerdict::Conflicted(message));
                continue;
            }
            let effective = effective(policy, &object, fleet, diagnostics);
            owners.insert(key.clone(), object.clone());
            this.by_target.insert(key, effective);
            let verdict = if exists {
                PolicyVerdict::Accepted {
                    ignored: Vec::new(),
                }
            } else {
                let message = match target.kind {
                    TargetKind::Service => format!(
                        "no cluster has a Service {} in this namespace; the policy applies once one has",
                        quote(&target.name)
                    ),
                    TargetKind::Ingress => format!(
                        "there is no Ingress {} in this namespace; the policy applies once there is",
                        quote(&target.name)
                    ),
                };
                diagnostics.warning(
                    &object,
                    "spec.targetRef.name",
                    Reason::TargetNotFound,
                    message.clone(),
                );
                PolicyVerdict::TargetNotFound(message)
            };
            this.verdicts.insert(object, verdict);
        }
        this
    }

    pub(crate) fn of_ingress(&self, namespace: &str, ingress: &str) -> Option<&Effective> {
        self.by_target
            .get(&(namespace.to_owned(), true, ingress.to_owned()))
    }

    pub(crate) fn of_service(&self, namespace: &str, service: &str) -> Option<&Effective> {
        self.by_target
            .get(&(namespace.to_owned(), false, service.to_owned()))
    }

    pub(crate) fn finish(mut self, diagnostics: &Sink) -> BTreeMap<ObjectRef, PolicyVerdict> {
        for (object, verdict) in &mut self.verdicts {
            if let PolicyVerdict::Accepted { ignored } = verdict {
                *ignored = diagnostics
                    .of(object)
                    .filter(|d| d.severity != Severity::Note)
                    .map(|d: &Diagnostic| format!("{}: {}", d.field, d.message))
                    .collect();
            }
        }
        self.verdicts
    }
}

fn effective(
    policy: &FailoverPolicy,
    object: &ObjectRef,
    fleet: &Fleet<'_>,
    diagnostics: &mut Sink,
) -> Effective {
    let spec = &policy.spec;
    let mut effective = Effective::default();
    let mut seen = BTreeSet::new();
    for (i, tier) in spec.tiers.iter().enumerate() {
        let mut clusters = Vec::new();
        for (j, member) in tier.clusters.iter().enumerate() {
            let field = format!("spec.tiers[{i}].clusters[{j}].name");
            let known = ClusterName::new(member.name.as_str())
                .ok()
                .filter(|cluster| fleet.clusters.contains_key(cluster));
            let Some(cluster) = known else {
                let text = format!(
                    "there is no Cluster {}; it takes part once it joins",
                    quote(&member.name)
                );
                diagnostics.warning(object, field, Reason::UnknownCluster, text);
                continue;
            };
            if !seen.insert(cluster.clone()) {
                let text =
                    format!("cluster {cluster} stands in a tier already; this place is ignored");
                diagnostics.error(object, field, Reason::InvalidValue, text);
                continue;
            }
            let weight = member
                .weight
                .map_or(Weight::ReadyEndpoints, Weight::Explicit);
            clusters.push(TierMember { cluster, weight });
        }
        if !clusters.is_empty() {
            effective.placement.tiers.push(Tier { clusters });
        }
    }
    let percents = [
        (
            "spillBelowPercent",
            spec.spill_below_percent,
            &mut effective.placement.spill_below_percent,
        ),
        (
            "panicBelowPercent",
            spec.panic_below_percent,
            &mut effective.placement.panic_below_percent,
        ),
    ];
    for (field, value, target) in percents {
        match value {
            Some(value) if value > 100 => diagnostics.error(
                object,
                format!("spec.{field}"),
                Reason::InvalidValue,
                format!("{value} is more than 100; the default stays in force"),
            ),
            Some(value) => *target = value,
            None => {}
        }
    }
    if let Some(return_) = &spec.return_ {
        let target = &mut effective.placement.return_;
        target.hold = return_.hold.map_or(target.hold, |d| d.0);
        target.ramp = return_.ramp.map_or(target.ramp, |d| d.0);
    }
    if let Some(check) = &spec.health_check {
        effective.health.active = active_check(check, object, diagnostics);
    }
    effective
}

fn active_check(check: &HealthCheck, object: &ObjectRef, diagnostics: &mut Sink) -> ActiveCheck {
    let mut active = ActiveCheck::default();
    let mut refuse = |field: &str, text: &str| {
        diagnostics.error(
            object,
            format!("spec.healthCheck.{field}"),
            Reason::InvalidValue,
            format!("{text}; the default stays in force"),
        );
    };
    active.probe = match check.type_ {
        CheckType::Tcp => Probe::Tcp,
        CheckType::None => Probe::None,
        CheckType::Http => {
            let plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
            let mut path = check.path.clone().unwrap_or_else(|| "/".to_owned());
            if !path.starts_with('/') || !plain(&path) {
                refuse(
                    "path",
                    "it must begin with '/' and hold only printable ASCII without spaces",
                );
                path = "/".to_owned();
            }
            let mut host = check.host.clone().unwrap_or_default();
            if !plain(&host) {
                refuse("host", "it must be a host name");
                host = String::new();
            }
            Probe::Http { path, host }
        }
    };
    match check.interval {
        Some(interval) if interval.0.is_zero() => refuse("interval", "it must be longer than zero"),
        Some(interval) => active.interval = interval.0,
        None => {}
    }
    active.timeout = active.interval.min(Duration::from_secs(1));
    match check.timeout {
        Some(timeout) if timeout.0.is_zero() || timeout.0 > active.interval => {
            refuse(
                "timeout",
                "it must be longer than zero and at most the interval",
            );
        }
        Some(timeout) => active.timeout = timeout.0,
        None => {}
    }
    let thresholds = [
        (
            "healthyThreshold",
            check.healthy_threshold,
            &mut active.healthy_threshold,
        ),
        (
            "unhealthyThreshold",
            check.unhealthy_threshold,
            &mut active.unhealthy_threshold,
        ),
    ];
    for (field, value, target) in thresholds {
        match value {
            Some(0) => refuse(field, "it must be at least 1"),
            Some(value) => *target = value,
            None => {}
        }
    }
    active
}
