//! Carries plans out: the only place where the controllers write.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{
    Binding, Namespace, ObjectReference, Pod, PodCondition, Service, ServiceAccount,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::json;

use super::deployment::{DeploymentPlan, REVISION};
use super::endpoints::EndpointsPlan;
use super::owner::controlled_by;
use super::replicaset::{Expectations, ReplicaSetPlan, condition, pod};
use super::{Doing, ReconcileError};
use crate::events::{Note, Recorder, Severity, reference};

fn creation() -> PostParams {
    PostParams {
        field_manager: Some("tidegate-pocket".to_owned()),
        ..PostParams::default()
    }
}

/// Deletes exactly the object that was seen, never a successor of the same name.
fn deletion<K: Resource>(object: &K) -> DeleteParams {
    DeleteParams {
        preconditions: Some(Preconditions {
            uid: object.meta().uid.clone(),
            resource_version: None,
        }),
        propagation_policy: Some(PropagationPolicy::Background),
        ..DeleteParams::default()
    }
}

/// Whether `error` says that the object is gone, which is what a deletion wants.
fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

fn namespace_of<K: Resource>(object: &K) -> String {
    object.namespace().unwrap_or_default()
}

pub(super) async fn deployment(
    client: &Client,
    deployment: &Deployment,
    plan: DeploymentPlan,
    recorder: &Recorder,
) -> Result<(), ReconcileError> {
    let namespace = namespace_of(deployment);
    let sets: Api<ReplicaSet> = Api::namespaced(client.clone(), &namespace);
    let own: Api<Deployment> = Api::namespaced(client.clone(), &namespace);
    if let Some(set) = &plan.create {
        sets.create(&creation(), set)
            .await
            .doing("create the replica set of the new template")?;
        scaled(recorder, deployment, set);
    }
    for set in &plan.update {
        sets.replace(&set.name_any(), &creation(), set)
            .await
            .doing("resize a replica set")?;
        scaled(recorder, deployment, set);
    }
    for set in &plan.delete {
        match sets.delete(&set.name_any(), &deletion(&**set)).await {
            Err(error) if !is_gone(&error) => return Err(error).doing("delete an old replica set"),
            _ => {}
        }
    }
    if let Some(revision) = plan.revision {
        let patch = json!({"metadata": {"annotations": {REVISION: revision}}});
        own.patch(
            &deployment.name_any(),
            &PatchParams::default(),
            &Patch::Merge(patch),
        )
        .await
        .doing("note the revision")?;
    }
    if let Some(status) = plan.status {
        // A merge patch of the status alone: the revision above has changed the object's version.
        let patch = json!({"status": with_nulls(&status, &["replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas"])});
        own.patch_status(
            &deployment.name_any(),
            &PatchParams::default(),
            &Patch::Merge(patch),
        )
        .await
        .doing("write the deployment's status")?;
    }
    Ok(())
}

fn scaled(recorder: &Recorder, deployment: &Deployment, set: &ReplicaSet) {
    recorder.note(Note {
        about: reference(deployment),
        severity: Severity::Normal,
        reason: "ScalingReplicaSet",
        message: format!(
            "Scaled replica set {} to {}",
            set.name_any(),
            set.spec
                .as_ref()
                .and_then(|spec| spec.replicas)
                .unwrap_or(1)
        ),
    });
}

/// `value` as JSON, with the named fields explicitly `null` where it has none, so that a merge patch clears them.
fn with_nulls<T: serde::Serialize>(value: &T, fields: &[&str]) -> serde_json::Value {
    let mut json = serde_json::to_value(value).unwrap_or_default();
    if let Some(map) = json.as_object_mut() {
        for field in fields {
            map.entry((*field).to_owned())
                .or_insert(serde_json::Value::Null);
        }
    }
    json
}

pub(super) async fn replica_set(
    client: &Client,
    set: &ReplicaSet,
    plan: ReplicaSetPlan,
    expected: &tokio::sync::Mutex<Expectations>,
    recorder: &Recorder,
) -> Result<(), ReconcileError> {
    let namespace = namespace_of(set);
    let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    // First, because it is about what was observed, and the changes below may fail.
    if let Some(status) = &plan.status {
        let api: Api<ReplicaSet> = Api::namespaced(client.clone(), &namespace);
        let patch = json!({"status": with_nulls(status, &["fullyLabeledReplicas", "readyReplicas", "availableReplicas"])});
        api.patch_status(
            &set.name_any(),
            &PatchParams::default(),
            &Patch::Merge(patch),
        )
        .await
        .doing("write the replica set's status")?;
    }
    for orphan in &plan.adopt {
        let patch =
            json!({"metadata": {"uid": orphan.uid(), "ownerReferences": [controlled_by(set)]}});
        pods.patch(
            &orphan.name_any(),
            &PatchParams::default(),
            &Patch::Merge(patch),
        )
        .await
        .doing("adopt a pod")?;
    }
    let note = |severity, reason, message| {
        recorder.note(Note {
            about: reference(set),
            severity,
            reason,
            message,
        })
    };
    for _ in 0..plan.create {
        match pods.create(&creation(), &pod(set)).await {
            Ok(created) => {
                expected
                    .lock()
                    .await
                    .created(created.uid().unwrap_or_default(), Instant::now());
                note(
                    Severity::Normal,
                    "SuccessfulCreate",
                    format!("Created pod: {}", created.name_any()),
                );
            }
            Err(error) => {
                note(
                    Severity::Warning,
                    "FailedCreate",
                    format!("Error creating pod: {error}"),
                );
                return Err(error).doing("create a pod");
            }
        }
    }
    for gone in &plan.delete {
        match pods.delete(&gone.name_any(), &deletion(&**gone)).await {
            Err(error) if !is_gone(&error) => return Err(error).doing("delete a pod"),
            _ => {
                expected
                    .lock()
                    .await
                    .deleted(gone.uid().unwrap_or_default(), Instant::now());
                note(
                    Severity::Normal,
                    "SuccessfulDelete",
                    format!("Deleted pod: {}", gone.name_any()),
                );
            }
        }
    }
    Ok(())
}

pub(super) async fn endpoints(
    client: &Client,
    service: &Service,
    plan: EndpointsPlan,
) -> Result<(), ReconcileError> {
    let api: Api<EndpointSlice> = Api::namespaced(client.clone(), &namespace_of(service));
    for slice in &plan.update {
        api.replace(&slice.name_any(), &creation(), slice)
            .await
            .doing("update an endpoint slice")?;
    }
    for slice in &plan.create {
        api.create(&creation(), slice)
            .await
            .doing("create an endpoint slice")?;
    }
    for slice in &plan.delete {
        match api.delete(&slice.name_any(), &deletion(&**slice)).await {
            Err(error) if !is_gone(&error) => return Err(error).doing("delete an endpoint slice"),
            _ => {}
        }
    }
    Ok(())
}

/// Binds `pod` to `node`.
pub(super) async fn bind(
    client: &Client,
    pod: &Pod,
    node: &str,
    recorder: &Recorder,
) -> Result<(), ReconcileError> {
    let api: Api<Pod> = Api::namespaced(client.clone(), &namespace_of(pod));
    let binding = Binding {
        metadata: ObjectMeta {
            name: Some(pod.name_any()),
            namespace: pod.namespace(),
            uid: pod.uid(),
            ..ObjectMeta::default()
        },
        target: ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Node".to_owned()),
            name: Some(node.to_owned()),
            ..ObjectReference::default()
        },
    };
    let _answer: serde_json::Value = api
        .create_subresource("binding", &pod.name_any(), &creation(), &binding)
        .await
        .doing("bind a pod")?;
    recorder.note(Note {
        about: reference(pod),
        severity: Severity::Normal,
        reason: "Scheduled",
        message: format!(
            "Successfully assigned {}/{} to {node}",
            namespace_of(pod),
            pod.name_any()
        ),
    });
    Ok(())
}

/// Says on `pod` that no node takes it.
pub(super) async fn unschedulable(
    client: &Client,
    pod: &Pod,
    why: String,
    recorder: &Recorder,
) -> Result<(), ReconcileError> {
    let before = condition(pod, "PodScheduled");
    recorder.note(Note {
        about: reference(pod),
        severity: Severity::Warning,
        reason: "FailedScheduling",
        message: why.clone(),
    });
    if before.is_some_and(|c| c.status == "False" && c.message.as_deref() == Some(why.as_str())) {
        return Ok(());
    }
    let since = before
        .filter(|c| c.status == "False")
        .and_then(|c| c.last_transition_time.clone());
    let mut conditions = pod
        .status
        .as_ref()
        .and_then(|s| s.conditions.clone())
        .unwrap_or_default();
    conditions.retain(|c| c.type_ != "PodScheduled");
    conditions.push(PodCondition {
        type_: "PodScheduled".to_owned(),
        status: "False".to_owned(),
        reason: Some("Unschedulable".to_owned()),
        message: Some(why),
        last_transition_time: Some(since.unwrap_or_else(|| Time(Timestamp::now()))),
        ..PodCondition::default()
    });
    let api: Api<Pod> = Api::namespaced(client.clone(), &namespace_of(pod));
    let patch = json!({"status": {"conditions": conditions}});
    api.patch_status(
        &pod.name_any(),
        &PatchParams::default(),
        &Patch::Merge(patch),
    )
    .await
    .doing("mark a pod unschedulable")?;
    Ok(())
}

/// Gives `namespace` its default service account.
pub(super) async fn service_account(
    client: &Client,
    namespace: &Arc<Namespace>,
) -> Result<(), ReconcileError> {
    let api: Api<ServiceAccount> = Api::namespaced(client.clone(), &namespace.name_any());
    let account = ServiceAccount {
        metadata: ObjectMeta {
            name: Some("default".to_owned()),
            ..ObjectMeta::default()
        },
        ..ServiceAccount::default()
    };
    match api.create(&creation(), &account).await {
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        outcome => outcome
            .map(drop)
            .doing("create the default service account"),
    }
}
