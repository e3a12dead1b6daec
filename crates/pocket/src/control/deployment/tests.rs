use k8s_openapi::api::apps::v1::{DeploymentStrategy, ReplicaSetStatus};
use k8s_openapi::api::core::v1::{Container, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::*;

fn deployment(replicas: i32, image: &str) -> Deployment {
    let labels = Some([("app".to_owned(), "shop".to_owned())].into());
    Deployment {
        metadata: ObjectMeta {
            name: Some("shop".to_owned()),
            namespace: Some("default".to_owned()),
            uid: Some("u1".to_owned()),
            generation: Some(1),
            ..ObjectMeta::default()
        },
        spec: Some(DeploymentSpec {
            replicas: Some(replicas),
            selector: LabelSelector {
                match_labels: labels.clone(),
                match_expressions: None,
            },
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels,
                    ..ObjectMeta::default()
                }),
                spec: Some(PodSpec {
                    containers: vec![Container {
                        name: "c".to_owned(),
                        image: Some(image.to_owned()),
                        ..Container::default()
                    }],
                    ..PodSpec::default()
                }),
            },
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

/// Carries a plan out, and lets the replica sets reach their sizes when `settle`.
fn carry_out(
    deployment: &mut Deployment,
    sets: &mut Vec<Arc<ReplicaSet>>,
    plan: DeploymentPlan,
    settle: bool,
) {
    if let Some(mut set) = plan.create {
        set.metadata.uid = Some(format!("rs{}", sets.len()));
        set.metadata.creation_timestamp = Some(Time(at(i64::try_from(sets.len()).expect("few"))));
        sets.push(Arc::new(*set));
    }
    for changed in plan.update {
        let place = sets
            .iter_mut()
            .find(|s| s.name_any() == changed.name_any())
            .expect("known");
        *place = Arc::new(changed);
    }
    sets.retain(|set| {
        !plan
            .delete
            .iter()
            .any(|gone| gone.name_any() == set.name_any())
    });
    if let Some(revision) = plan.revision {
        deployment
            .metadata
            .annotations
            .get_or_insert_default()
            .insert(REVISION.to_owned(), revision);
    }
    if let Some(status) = plan.status {
        deployment.status = Some(status);
    }
    if settle {
        for set in sets.iter_mut() {
            let n = size(set).spec;
            Arc::make_mut(set).status = Some(ReplicaSetStatus {
                replicas: n,
                ready_replicas: Some(n),
                available_replicas: Some(n),
                ..ReplicaSetStatus::default()
            });
        }
    }
}

fn settle(deployment: &mut Deployment, sets: &mut Vec<Arc<ReplicaSet>>) {
    for _ in 0..40 {
        let next = plan(deployment, sets, |_| false, at(100));
        if (DeploymentPlan {
            again_after: None,
            ..next.clone()
        }) == DeploymentPlan::default()
        {
            return;
        }
        carry_out(deployment, sets, next, true);
    }
    panic!("does not settle: {deployment:?} {sets:?}");
}

fn set_image(deployment: &mut Deployment, image: &str) {
    let spec = deployment.spec.as_mut().expect("spec");
    spec.template.spec.as_mut().expect("pod").containers[0].image = Some(image.to_owned());
    deployment.metadata.generation = deployment.metadata.generation.map(|g| g + 1);
}

fn sizes(sets: &[Arc<ReplicaSet>]) -> Vec<i32> {
    sets.iter().map(|set| size(set).spec).collect()
}

fn condition_of(deployment: &Deployment, type_: &str) -> (String, String) {
    let conditions = deployment
        .status
        .as_ref()
        .and_then(|s| s.conditions.clone())
        .unwrap_or_default();
    let found = conditions
        .into_iter()
        .find(|c| c.type_ == type_)
        .expect("condition");
    (found.status, found.reason.unwrap_or_default())
}

#[test]
fn a_new_deployment_gets_a_replica_set_and_then_nothing_changes() {
    let (mut d, mut sets) = (deployment(3, "a"), Vec::new());
    settle(&mut d, &mut sets);
    assert_eq!(sizes(&sets), [3]);
    let set = &sets[0];
    let hash = set.labels().get(HASH_LABEL).expect("hash").clone();
    assert_eq!(set.name_any(), format!("shop-{hash}"));
    assert_eq!(
        set.annotations().get(REVISION).map(String::as_str),
        Some("1")
    );
    assert_eq!(
        condition_of(&d, "Progressing"),
        ("True".into(), "NewReplicaSetAvailable".into())
    );
    assert_eq!(condition_of(&d, "Available").0, "True");
    assert_eq!(
        d.status.as_ref().and_then(|s| s.observed_generation),
        Some(1)
    );
    assert_eq!(
        plan(&d, &sets, |_| false, at(9_999)),
        DeploymentPlan::default(),
        "no write without a change"
    );
}

#[test]
fn a_new_template_moves_everything_over_and_undo_moves_it_back() {
    let (mut d, mut sets) = (deployment(3, "a"), Vec::new());
    settle(&mut d, &mut sets);
    set_image(&mut d, "b");
    settle(&mut d, &mut sets);
    assert_eq!(sizes(&sets), [0, 3]);
    assert_eq!(d.annotations().get(REVISION).map(String::as_str), Some("2"));
    set_image(&mut d, "a");
    settle(&mut d, &mut sets);
    assert_eq!(sizes(&sets), [3, 0], "the old replica set is used again");
    assert_eq!(
        sets[0].annotations().get(REVISION).map(String::as_str),
        Some("3")
    );
}

#[test]
fn scaling_works_to_zero_and_while_paused() {
    let (mut d, mut sets) = (deployment(3, "a"), Vec::new());
    settle(&mut d, &mut sets);
    for (replicas, paused) in [(0, false), (5, false), (2, true), (0, true), (4, true)] {
        let spec = d.spec.as_mut().expect("spec");
        spec.replicas = Some(replicas);
        spec.paused = Some(paused);
        settle(&mut d, &mut sets);
        assert_eq!(sizes(&sets), [replicas], "paused: {paused}");
    }
}

#[test]
fn history_is_limited() {
    let (mut d, mut sets) = (deployment(1, "a"), Vec::new());
    d.spec.as_mut().expect("spec").revision_history_limit = Some(1);
    for image in ["a", "b", "c", "d"] {
        set_image(&mut d, image);
        settle(&mut d, &mut sets);
    }
    assert_eq!(sizes(&sets), [0, 1]);
}

#[test]
fn a_rollout_without_progress_says_so_after_its_deadline() {
    let (mut d, mut sets) = (deployment(1, "a"), Vec::new());
    d.spec.as_mut().expect("spec").progress_deadline_seconds = Some(60);
    for _ in 0..3 {
        let next = plan(&d, &sets, |_| false, at(1_000));
        carry_out(&mut d, &mut sets, next, false);
    }
    let waiting = plan(&d, &sets, |_| false, at(1_030));
    assert_eq!(waiting.again_after, Some(Duration::from_secs(30)));
    let late = plan(&d, &sets, |_| false, at(1_060));
    carry_out(&mut d, &mut sets, late, false);
    assert_eq!(
        condition_of(&d, "Progressing"),
        ("False".into(), "ProgressDeadlineExceeded".into())
    );
}

#[test]
fn a_lost_pod_does_not_restart_the_rollout_clock() {
    let (mut d, mut sets) = (deployment(2, "a"), Vec::new());
    settle(&mut d, &mut sets);
    let status = Arc::make_mut(&mut sets[0]).status.as_mut().expect("status");
    status.available_replicas = Some(1);
    let next = plan(&d, &sets, |_| false, at(99_999));
    carry_out(&mut d, &mut sets, next, false);
    assert_eq!(
        condition_of(&d, "Progressing"),
        ("True".into(), "NewReplicaSetAvailable".into())
    );
}

#[test]
fn recreate_never_runs_both() {
    let (mut d, mut sets) = (deployment(2, "a"), Vec::new());
    d.spec.as_mut().expect("spec").strategy = Some(DeploymentStrategy {
        type_: Some("Recreate".to_owned()),
        rolling_update: None,
    });
    settle(&mut d, &mut sets);
    set_image(&mut d, "b");
    let next = plan(&d, &sets, |_| false, at(0));
    assert_eq!(
        next.create.as_ref().and_then(|s| s.spec.as_ref()?.replicas),
        Some(0)
    );
    carry_out(&mut d, &mut sets, next, false);
    assert_eq!(sizes(&sets), [0, 0]);
    settle(&mut d, &mut sets);
    assert_eq!(sizes(&sets), [0, 2]);
}

#[test]
fn a_name_taken_by_somebody_else_is_avoided() {
    let d = deployment(1, "a");
    let first = plan(&d, &[], |_| false, at(0))
        .create
        .expect("created")
        .name_any();
    let second = plan(&d, &[], |name| name == first, at(0))
        .create
        .expect("created")
        .name_any();
    assert_ne!(first, second);
}
