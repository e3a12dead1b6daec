//! Deployments: one replica set for each pod template, moved from one to the next step by step.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentCondition, DeploymentSpec, DeploymentStatus, ReplicaSet, ReplicaSetSpec,
};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::ResourceExt;

use super::owner::controlled_by;
use super::rollout::{SetSize, Strategy};
use crate::hash::{fnv32, name_suffix, suffixed};

/// Label that keeps the pods of different templates apart.
pub(crate) const HASH_LABEL: &str = "pod-template-hash";
/// Annotation that counts templates, for `kubectl rollout history` and `undo`.
pub(crate) const REVISION: &str = "deployment.kubernetes.io/revision";
const CHANGE_CAUSE: &str = "kubernetes.io/change-cause";
const DEFAULT_HISTORY: i32 = 10;
const DEFAULT_DEADLINE_SECONDS: i32 = 600;

/// What a pass over a deployment changes.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct DeploymentPlan {
    /// A replica set for a template that has none yet.
    pub(crate) create: Option<Box<ReplicaSet>>,
    /// Replica sets with a new size or revision; they carry the version they were computed from.
    pub(crate) update: Vec<ReplicaSet>,
    /// Replica sets beyond the history limit, or of a name taken by another template.
    pub(crate) delete: Vec<Arc<ReplicaSet>>,
    /// The revision to note on the deployment.
    pub(crate) revision: Option<String>,
    /// The whole new status, when it differs.
    pub(crate) status: Option<DeploymentStatus>,
    /// When time alone will change the outcome.
    pub(crate) again_after: Option<Duration>,
}

/// Decides the next step for `deployment`, whose replica sets are `owned`.
///
/// `foreign` are the other replica sets of the namespace by name: a collision changes the hash, never an object
/// of somebody else.
pub(crate) fn plan(
    deployment: &Deployment,
    owned: &[Arc<ReplicaSet>],
    foreign: impl Fn(&str) -> bool,
    now: Timestamp,
) -> DeploymentPlan {
    let Some(spec) = &deployment.spec else {
        return DeploymentPlan::default();
    };
    let mut sets: Vec<&Arc<ReplicaSet>> = owned
        .iter()
        .filter(|set| set.metadata.deletion_timestamp.is_none())
        .collect();
    sets.sort_by_key(|set| (created(set), set.name_any()));
    let current = sets
        .iter()
        .position(|set| same_template(set, &spec.template));
    let new = current.map(|at| sets.remove(at));
    let old = sets;
    let mut plan = DeploymentPlan::default();
    if deployment.metadata.deletion_timestamp.is_none() {
        resize(deployment, spec, new, &old, foreign, &mut plan);
        plan.delete = beyond_history(spec, &old);
    }
    let (status, again_after) = status(deployment, spec, new, &old, now);
    plan.status = (deployment.status.as_ref() != Some(&status)).then_some(status);
    plan.again_after = again_after;
    plan
}

fn resize(
    deployment: &Deployment,
    spec: &DeploymentSpec,
    new: Option<&Arc<ReplicaSet>>,
    old: &[&Arc<ReplicaSet>],
    foreign: impl Fn(&str) -> bool,
    plan: &mut DeploymentPlan,
) {
    let replicas = spec.replicas.unwrap_or(1);
    let revision = next_revision(new, old);
    if spec.paused == Some(true) {
        // A paused deployment starts no rollout, but a plain one can still be scaled.
        let active: Vec<&&Arc<ReplicaSet>> = old
            .iter()
            .chain(&new)
            .filter(|set| size(set).spec > 0)
            .collect();
        let only = match active.as_slice() {
            [] => new.or(old.last().copied()),
            [one] => Some(**one),
            _ => None,
        };
        plan.update
            .extend(only.and_then(|set| resized(set, replicas, None, deployment)));
        return;
    }
    let sizes: Vec<SetSize> = old.iter().map(|set| size(set)).collect();
    let next = Strategy::of(spec, replicas).next(
        replicas,
        new.map(|set| size(set)).unwrap_or_default(),
        &sizes,
    );
    match new {
        Some(set) => plan
            .update
            .extend(resized(set, next.new, Some(&revision), deployment)),
        None => {
            plan.create = Some(Box::new(replica_set(
                deployment, spec, next.new, &revision, foreign,
            )))
        }
    }
    plan.update.extend(
        old.iter()
            .zip(next.old)
            .filter_map(|(set, size)| resized(set, size, None, deployment)),
    );
    if deployment.annotations().get(REVISION) != Some(&revision) {
        plan.revision = Some(revision);
    }
}

/// The revision of the new replica set: one more than any other, kept once it is the highest.
fn next_revision(new: Option<&Arc<ReplicaSet>>, old: &[&Arc<ReplicaSet>]) -> String {
    let of = |set: &Arc<ReplicaSet>| {
        set.annotations()
            .get(REVISION)
            .and_then(|r| r.parse::<u64>().ok())
    };
    let highest = old.iter().filter_map(|set| of(set)).max().unwrap_or(0);
    new.and_then(of)
        .filter(|own| *own > highest)
        .unwrap_or(highest + 1)
        .to_string()
}

fn resized(
    set: &Arc<ReplicaSet>,
    replicas: i32,
    revision: Option<&str>,
    deployment: &Deployment,
) -> Option<ReplicaSet> {
    let mut changed = ReplicaSet::clone(set);
    changed.spec.get_or_insert_default().replicas = Some(replicas);
    if let Some(revision) = revision {
        let annotations = changed.metadata.annotations.get_or_insert_default();
        annotations.insert(REVISION.to_owned(), revision.to_owned());
        if let Some(cause) = deployment.annotations().get(CHANGE_CAUSE) {
            annotations.insert(CHANGE_CAUSE.to_owned(), cause.clone());
        }
    }
    (changed != **set).then_some(changed)
}

fn replica_set(
    deployment: &Deployment,
    spec: &DeploymentSpec,
    replicas: i32,
    revision: &str,
    foreign: impl Fn(&str) -> bool,
) -> ReplicaSet {
    let text = serde_json::to_vec(&spec.template).unwrap_or_default();
    let mut salt = 0u32;
    let (name, hash) = loop {
        let mut salted = text.clone();
        if salt > 0 {
            salted.extend(salt.to_be_bytes());
        }
        let hash = name_suffix(fnv32(&salted));
        let name = suffixed(&deployment.name_any(), &hash, 253);
        if !foreign(&name) {
            break (name, hash);
        }
        salt += 1;
    };
    let mut template = spec.template.clone();
    let labels = template
        .metadata
        .get_or_insert_default()
        .labels
        .get_or_insert_default();
    labels.insert(HASH_LABEL.to_owned(), hash.clone());
    let labels = labels.clone();
    let mut selector = spec.selector.clone();
    selector
        .match_labels
        .get_or_insert_default()
        .insert(HASH_LABEL.to_owned(), hash);
    let mut annotations = deployment.annotations().clone();
    annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    annotations.insert(REVISION.to_owned(), revision.to_owned());
    ReplicaSet {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: deployment.namespace(),
            labels: Some(labels),
            annotations: Some(annotations),
            owner_references: Some(vec![controlled_by(deployment)]),
            ..ObjectMeta::default()
        },
        spec: Some(ReplicaSetSpec {
            replicas: Some(replicas),
            min_ready_seconds: spec.min_ready_seconds,
            selector,
            template: Some(template),
        }),
        status: None,
    }
}

/// Whether `set` was made from `template`, apart from the hash label.
fn same_template(set: &ReplicaSet, template: &PodTemplateSpec) -> bool {
    let Some(own) = set.spec.as_ref().and_then(|spec| spec.template.as_ref()) else {
        return false;
    };
    let mut own = own.clone();
    if let Some(labels) = own.metadata.as_mut().and_then(|meta| meta.labels.as_mut()) {
        labels.remove(HASH_LABEL);
    }
    let mut template = template.clone();
    for side in [&mut own, &mut template] {
        let meta = side.metadata.get_or_insert_default();
        meta.creation_timestamp = None;
        if meta.labels.as_ref().is_some_and(|labels| labels.is_empty()) {
            meta.labels = None;
        }
    }
    own == template
}

fn beyond_history(spec: &DeploymentSpec, old: &[&Arc<ReplicaSet>]) -> Vec<Arc<ReplicaSet>> {
    let keep = usize::try_from(spec.revision_history_limit.unwrap_or(DEFAULT_HISTORY)).unwrap_or(0);
    let mut idle: Vec<&Arc<ReplicaSet>> = old
        .iter()
        .copied()
        .filter(|set| {
            let observed = set.status.as_ref().and_then(|s| s.observed_generation);
            size(set) == SetSize::default() && observed >= set.metadata.generation
        })
        .collect();
    idle.sort_by_key(|set| {
        Reverse(
            set.annotations()
                .get(REVISION)
                .and_then(|r| r.parse::<u64>().ok())
                .unwrap_or(0),
        )
    });
    idle.into_iter().skip(keep).cloned().collect()
}

fn size(set: &ReplicaSet) -> SetSize {
    let status = set.status.as_ref();
    SetSize {
        spec: set
            .spec
            .as_ref()
            .and_then(|spec| spec.replicas)
            .unwrap_or(1),
        current: status.map_or(0, |s| s.replicas),
        available: status.and_then(|s| s.available_replicas).unwrap_or(0),
    }
}

fn created(set: &ReplicaSet) -> Option<Timestamp> {
    set.metadata.creation_timestamp.as_ref().map(|time| time.0)
}

fn status(
    deployment: &Deployment,
    spec: &DeploymentSpec,
    new: Option<&Arc<ReplicaSet>>,
    old: &[&Arc<ReplicaSet>],
    now: Timestamp,
) -> (DeploymentStatus, Option<Duration>) {
    let all = || old.iter().copied().chain(new);
    let total: i32 = all().map(|set| size(set).current).sum();
    let asked: i32 = all().map(|set| size(set).spec).sum();
    let available: i32 = all().map(|set| size(set).available).sum();
    let ready: i32 = all()
        .filter_map(|set| set.status.as_ref()?.ready_replicas)
        .sum();
    let updated = new.map_or(0, |set| size(set).current);
    let counted = |n: i32| (n > 0).then_some(n);
    let previous = deployment.status.clone().unwrap_or_default();
    let mut status = DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: counted(total),
        updated_replicas: counted(updated),
        ready_replicas: counted(ready),
        available_replicas: counted(available),
        unavailable_replicas: counted(asked - available),
        collision_count: previous.collision_count,
        conditions: None,
        ..DeploymentStatus::default()
    };
    let replicas = spec.replicas.unwrap_or(1);
    let max_unavailable = match Strategy::of(spec, replicas) {
        Strategy::Recreate => 0,
        Strategy::Rolling {
            max_unavailable, ..
        } => max_unavailable,
    };
    let is_available = if available >= replicas - max_unavailable {
        (
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.".to_owned(),
        )
    } else {
        (
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.".to_owned(),
        )
    };
    let complete = updated == replicas && total == replicas && available == replicas;
    let (progressing, again_after) = progress(deployment, spec, &status, new, complete, now);
    let before = previous.conditions.unwrap_or_default();
    status.conditions = Some(vec![
        condition(&before, "Available", is_available, Moved::No, now),
        condition(&before, "Progressing", progressing.0, progressing.1, now),
    ]);
    (status, again_after)
}

/// Whether a condition's update time moves although its words stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moved {
    Yes,
    No,
}

type ConditionText = (&'static str, &'static str, String);

fn progress(
    deployment: &Deployment,
    spec: &DeploymentSpec,
    status: &DeploymentStatus,
    new: Option<&Arc<ReplicaSet>>,
    complete: bool,
    now: Timestamp,
) -> ((ConditionText, Moved), Option<Duration>) {
    let name = new.map_or_else(String::new, |set| set.name_any());
    let previous = deployment.status.as_ref();
    let before = previous
        .and_then(|s| s.conditions.as_ref())
        .and_then(|all| all.iter().find(|c| c.type_ == "Progressing"));
    if complete {
        let text = format!("ReplicaSet \"{name}\" has successfully progressed.");
        return ((("True", "NewReplicaSetAvailable", text), Moved::No), None);
    }
    if spec.paused == Some(true) {
        return (
            (
                (
                    "Unknown",
                    "DeploymentPaused",
                    "Deployment is paused".to_owned(),
                ),
                Moved::No,
            ),
            None,
        );
    }
    let sum = |s: Option<&DeploymentStatus>| {
        s.map_or((0, 0, 0), |s| {
            let updated = s.updated_replicas.unwrap_or(0);
            (
                updated,
                updated - s.replicas.unwrap_or(0),
                s.available_replicas.unwrap_or(0),
            )
        })
    };
    let (was, is) = (sum(previous), sum(Some(status)));
    let advanced = is.0 > was.0 || is.1 > was.1 || is.2 > was.2;
    let new_generation = previous.and_then(|s| s.observed_generation) != status.observed_generation;
    let moved = if advanced || new_generation || before.is_none() {
        Moved::Yes
    } else {
        Moved::No
    };
    if before.is_some_and(|c| c.reason.as_deref() == Some("NewReplicaSetAvailable"))
        && moved == Moved::No
    {
        // Lost pods of a finished rollout are the replica set's business, not a rollout without progress.
        let text = format!("ReplicaSet \"{name}\" has successfully progressed.");
        return ((("True", "NewReplicaSetAvailable", text), Moved::No), None);
    }
    let limit = Duration::from_secs(
        u64::try_from(
            spec.progress_deadline_seconds
                .unwrap_or(DEFAULT_DEADLINE_SECONDS),
        )
        .unwrap_or(0),
    );
    let since = before
        .filter(|_| moved == Moved::No)
        .and_then(|c| c.last_update_time.as_ref())
        .map_or(now, |t| t.0);
    let waited = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    if waited >= limit {
        let text = format!("ReplicaSet \"{name}\" has timed out progressing.");
        return (
            (("False", "ProgressDeadlineExceeded", text), Moved::No),
            None,
        );
    }
    let text = format!("ReplicaSet \"{name}\" is progressing.");
    (
        (("True", "ReplicaSetUpdated", text), moved),
        Some(limit - waited),
    )
}

fn condition(
    before: &[DeploymentCondition],
    type_: &str,
    (status, reason, message): ConditionText,
    moved: Moved,
    now: Timestamp,
) -> DeploymentCondition {
    let before = before.iter().find(|c| c.type_ == type_);
    let same_words = before.is_some_and(|c| {
        c.status == status
            && c.reason.as_deref() == Some(reason)
            && c.message.as_deref() == Some(message.as_str())
    });
    // API times have whole seconds.
    let now = Time(Timestamp::from_second(now.as_second()).unwrap_or(now));
    let transition = before
        .filter(|c| c.status == status)
        .and_then(|c| c.last_transition_time.clone());
    let update = before
        .filter(|_| same_words && moved == Moved::No)
        .and_then(|c| c.last_update_time.clone());
    DeploymentCondition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_transition_time: Some(transition.unwrap_or_else(|| now.clone())),
        last_update_time: Some(update.unwrap_or(now)),
    }
}

#[cfg(test)]
mod tests;
