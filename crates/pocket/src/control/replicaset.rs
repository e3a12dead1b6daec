//! Replica sets: as many pods of one template as asked for.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetStatus};
use k8s_openapi::api::core::v1::{Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

use super::owner::{controlled_by, controller_of, is_controlled_by};
use super::selector::matches;

/// Pods created in one pass. The rest follow in the next one, so that a broken template of a thousand replicas
/// fails a few times, not a thousand times.
const CREATE_MAX: usize = 50;

/// How long an unseen write of our own is believed. A watch is milliseconds behind; after this the write is
/// taken to have been undone by somebody else.
const BELIEVE_FOR: Duration = Duration::from_secs(5);

/// What a pass over a replica set changes.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct ReplicaSetPlan {
    /// Pods without a controller that match the selector.
    pub(crate) adopt: Vec<Arc<Pod>>,
    pub(crate) create: usize,
    pub(crate) delete: Vec<Arc<Pod>>,
    /// The whole new status, when it differs.
    pub(crate) status: Option<ReplicaSetStatus>,
    /// When time alone will change the outcome.
    pub(crate) again_after: Option<Duration>,
}

/// Own writes that the watch has not shown yet, so that a pass between a write and its echo does not repeat it.
#[derive(Debug, Default)]
pub(crate) struct Expectations {
    created: HashMap<String, Instant>,
    deleted: HashMap<String, Instant>,
}

impl Expectations {
    pub(crate) fn created(&mut self, uid: String, now: Instant) {
        self.created.insert(uid, now);
    }

    pub(crate) fn deleted(&mut self, uid: String, now: Instant) {
        self.deleted.insert(uid, now);
    }

    /// Forgets what `pods` show, and what is too old to be believed.
    pub(crate) fn observe(&mut self, pods: &[Arc<Pod>], now: Instant) {
        let uids: HashSet<&str> = pods
            .iter()
            .filter_map(|pod| pod.metadata.uid.as_deref())
            .collect();
        let alive: HashSet<&str> = pods
            .iter()
            .filter(|pod| !is_leaving(pod))
            .filter_map(|pod| pod.metadata.uid.as_deref())
            .collect();
        let fresh = |at: &Instant| now.duration_since(*at) < BELIEVE_FOR;
        self.created
            .retain(|uid, at| !uids.contains(uid.as_str()) && fresh(at));
        self.deleted
            .retain(|uid, at| alive.contains(uid.as_str()) && fresh(at));
    }

    /// When a belief runs out.
    pub(crate) fn expires_in(&self, now: Instant) -> Option<Duration> {
        let oldest = self.created.values().chain(self.deleted.values()).min()?;
        Some((*oldest + BELIEVE_FOR).saturating_duration_since(now))
    }
}

/// Decides the next step for `set`, given all `pods` of its namespace.
pub(crate) fn plan(
    set: &ReplicaSet,
    pods: &[Arc<Pod>],
    expected: &Expectations,
    now: Timestamp,
) -> ReplicaSetPlan {
    let Some(spec) = &set.spec else {
        return ReplicaSetPlan::default();
    };
    let mut plan = ReplicaSetPlan::default();
    let alive = set.metadata.deletion_timestamp.is_none();
    if alive {
        plan.adopt = pods
            .iter()
            .filter(|pod| {
                controller_of(&pod.metadata).is_none()
                    && !is_leaving(pod)
                    && !is_finished(pod)
                    && matches(&spec.selector, pod.metadata.labels.as_ref())
            })
            .cloned()
            .collect();
    }
    let mut active: Vec<&Arc<Pod>> = pods
        .iter()
        .filter(|pod| is_controlled_by(&pod.metadata, set) && !is_leaving(pod) && !is_finished(pod))
        .filter(|pod| {
            !pod.metadata
                .uid
                .as_ref()
                .is_some_and(|uid| expected.deleted.contains_key(uid))
        })
        .collect();
    let wanted = usize::try_from(spec.replicas.unwrap_or(1)).unwrap_or(0);
    let have = active.len() + plan.adopt.len() + expected.created.len();
    if alive {
        plan.create = wanted.saturating_sub(have).min(CREATE_MAX);
        active.sort_by_key(|pod| deletion_order(pod));
        plan.delete = active
            .iter()
            .take(have.saturating_sub(wanted))
            .map(|pod| Arc::clone(pod))
            .collect();
    }
    let (status, available_in) = status(set, &active, now);
    plan.status = (set.status.as_ref() != Some(&status)).then_some(status);
    plan.again_after = available_in;
    plan
}

/// The pod to create for `set`; the API server completes the name.
pub(crate) fn pod(set: &ReplicaSet) -> Pod {
    let template = set
        .spec
        .as_ref()
        .and_then(|spec| spec.template.clone())
        .unwrap_or_default();
    let meta = template.metadata.unwrap_or_default();
    // "-xxxxx" is added; names of pods are host names.
    let mut prefix = set.name_any();
    prefix.truncate(57);
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(format!("{prefix}-")),
            namespace: set.namespace(),
            labels: meta.labels,
            annotations: meta.annotations,
            finalizers: meta.finalizers,
            owner_references: Some(vec![controlled_by(set)]),
            ..ObjectMeta::default()
        },
        spec: template.spec,
        status: None,
    }
}

/// First to go: not placed, not running, not ready, restarted often, youngest.
fn deletion_order(pod: &Pod) -> impl Ord + use<> {
    let placed = pod
        .spec
        .as_ref()
        .is_some_and(|spec| spec.node_name.is_some());
    let running = pod.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Running");
    let ready = condition(pod, "Ready").is_some_and(|c| c.status == "True");
    let restarts: i32 = pod
        .status
        .iter()
        .flat_map(|s| s.container_statuses.iter().flatten())
        .map(|c| c.restart_count)
        .sum();
    let born = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    (
        placed,
        running,
        ready,
        Reverse(restarts),
        Reverse(born),
        pod.name_any(),
    )
}

fn status(
    set: &ReplicaSet,
    active: &[&Arc<Pod>],
    now: Timestamp,
) -> (ReplicaSetStatus, Option<Duration>) {
    let spec = set.spec.as_ref();
    let template_labels = spec
        .and_then(|s| s.template.as_ref()?.metadata.as_ref()?.labels.clone())
        .unwrap_or_default();
    let settle = Duration::from_secs(
        u64::try_from(spec.and_then(|s| s.min_ready_seconds).unwrap_or(0)).unwrap_or(0),
    );
    let mut next = None;
    let (mut labelled, mut ready, mut available) = (0, 0, 0);
    for pod in active {
        if super::selector::matches_pairs(&template_labels, pod.labels()) {
            labelled += 1;
        }
        let Some(since) = condition(pod, "Ready").filter(|c| c.status == "True") else {
            continue;
        };
        ready += 1;
        let left = since
            .last_transition_time
            .as_ref()
            .map_or(Duration::ZERO, |since| {
                settle.saturating_sub(
                    Duration::try_from(now.duration_since(since.0)).unwrap_or_default(),
                )
            });
        if settle.is_zero() || left.is_zero() {
            available += 1;
        } else {
            next = Some(next.map_or(left, |known: Duration| known.min(left)));
        }
    }
    let counted = |n: i32| (n > 0).then_some(n);
    let status = ReplicaSetStatus {
        replicas: i32::try_from(active.len()).unwrap_or(i32::MAX),
        fully_labeled_replicas: counted(labelled),
        ready_replicas: counted(ready),
        available_replicas: counted(available),
        observed_generation: set.metadata.generation,
        conditions: set.status.as_ref().and_then(|s| s.conditions.clone()),
        ..ReplicaSetStatus::default()
    };
    (status, next)
}

/// The condition of `pod` with this type.
pub(crate) fn condition<'a>(pod: &'a Pod, type_: &str) -> Option<&'a PodCondition> {
    pod.status
        .as_ref()?
        .conditions
        .as_ref()?
        .iter()
        .find(|c| c.type_ == type_)
}

/// Whether `pod` is being deleted.
pub(crate) fn is_leaving(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// Whether `pod` ended for good.
pub(crate) fn is_finished(pod: &Pod) -> bool {
    matches!(
        pod.status.as_ref().and_then(|s| s.phase.as_deref()),
        Some("Succeeded" | "Failed")
    )
}

#[cfg(test)]
mod tests;
