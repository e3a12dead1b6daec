use k8s_openapi::api::apps::v1::ReplicaSetSpec;
use k8s_openapi::api::core::v1::{PodSpec, PodStatus, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, Time};
use proptest::prelude::*;

use super::*;

fn set(replicas: i32) -> ReplicaSet {
    let labels = Some([("app".to_owned(), "shop".to_owned())].into());
    ReplicaSet {
        metadata: ObjectMeta {
            name: Some("shop-1".to_owned()),
            namespace: Some("default".to_owned()),
            uid: Some("rs".to_owned()),
            generation: Some(1),
            ..ObjectMeta::default()
        },
        spec: Some(ReplicaSetSpec {
            replicas: Some(replicas),
            selector: LabelSelector {
                match_labels: labels.clone(),
                match_expressions: None,
            },
            template: Some(PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels,
                    ..ObjectMeta::default()
                }),
                spec: Some(PodSpec::default()),
            }),
            ..ReplicaSetSpec::default()
        }),
        status: None,
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

fn pod_of(set: &ReplicaSet, name: &str, born: i64, ready: bool) -> Pod {
    let mut pod = pod(set);
    pod.metadata.name = Some(name.to_owned());
    pod.metadata.uid = Some(format!("uid-{name}"));
    pod.metadata.creation_timestamp = Some(Time(at(born)));
    pod.spec.get_or_insert_default().node_name = Some("az1".to_owned());
    pod.status = Some(PodStatus {
        phase: Some("Running".to_owned()),
        conditions: Some(vec![PodCondition {
            type_: "Ready".to_owned(),
            status: if ready { "True" } else { "False" }.to_owned(),
            last_transition_time: Some(Time(at(born))),
            ..PodCondition::default()
        }]),
        ..PodStatus::default()
    });
    pod
}

fn names(pods: &[Arc<Pod>]) -> Vec<String> {
    pods.iter().map(|pod| pod.name_any()).collect()
}

#[test]
fn missing_pods_are_created_once_although_the_watch_lags() {
    let set = set(3);
    let mut expected = Expectations::default();
    let now = Instant::now();
    assert_eq!(plan(&set, &[], &expected, at(0)).create, 3);
    for name in ["a", "b", "c"] {
        expected.created(format!("uid-{name}"), now);
    }
    assert_eq!(plan(&set, &[], &expected, at(0)).create, 0);
    let seen = [Arc::new(pod_of(&set, "a", 0, true))];
    expected.observe(&seen, now);
    assert_eq!(plan(&set, &seen, &expected, at(0)).create, 0);
    expected.observe(&seen, now + BELIEVE_FOR);
    assert_eq!(
        plan(&set, &seen, &expected, at(0)).create,
        2,
        "unseen for too long"
    );
}

#[test]
fn pods_that_serve_nobody_and_young_pods_go_first() {
    let set = set(1);
    let pods: Vec<Arc<Pod>> = [("old", 1, true), ("young", 9, true), ("unready", 5, false)]
        .map(|(name, born, ready)| Arc::new(pod_of(&set, name, born, ready)))
        .into();
    let mut expected = Expectations::default();
    let first = plan(&set, &pods, &expected, at(10));
    assert_eq!(names(&first.delete), ["unready", "young"]);
    for pod in &first.delete {
        expected.deleted(pod.uid().expect("uid"), Instant::now());
    }
    assert!(
        plan(&set, &pods, &expected, at(10)).delete.is_empty(),
        "not deleted twice"
    );
}

#[test]
fn leaving_and_finished_pods_are_replaced() {
    let set = set(2);
    let mut leaving = pod_of(&set, "leaving", 0, true);
    leaving.metadata.deletion_timestamp = Some(Time(at(5)));
    let mut failed = pod_of(&set, "failed", 0, false);
    failed.status.as_mut().expect("status").phase = Some("Failed".to_owned());
    let plan = plan(
        &set,
        &[Arc::new(leaving), Arc::new(failed)],
        &Expectations::default(),
        at(10),
    );
    assert_eq!((plan.create, plan.delete.len()), (2, 0));
}

#[test]
fn matching_orphans_are_adopted_and_counted_and_others_left_alone() {
    let set = set(2);
    let mut orphan = pod_of(&set, "orphan", 0, true);
    orphan.metadata.owner_references = None;
    let mut foreign = pod_of(&set, "foreign", 0, true);
    foreign.metadata.owner_references.as_mut().expect("owner")[0].uid = "other".to_owned();
    let plan = plan(
        &set,
        &[Arc::new(orphan), Arc::new(foreign)],
        &Expectations::default(),
        at(10),
    );
    assert_eq!(
        (names(&plan.adopt), plan.create),
        (vec!["orphan".to_owned()], 1)
    );
}

#[test]
fn availability_waits_for_min_ready_seconds() {
    let mut set = set(1);
    set.spec.as_mut().expect("spec").min_ready_seconds = Some(10);
    let pods = [Arc::new(pod_of(&set, "a", 100, true))];
    let early = plan(&set, &pods, &Expectations::default(), at(104));
    let counts = early
        .status
        .as_ref()
        .map(|s| (s.ready_replicas, s.available_replicas));
    assert_eq!(
        (counts, early.again_after),
        (Some((Some(1), None)), Some(Duration::from_secs(6)))
    );
    let late = plan(&set, &pods, &Expectations::default(), at(110));
    assert_eq!(late.status.and_then(|s| s.available_replicas), Some(1));
}

proptest! {
    /// Any mix of pods comes to exactly the wanted number, and then nothing is written.
    #[test]
    fn settles_on_the_wanted_number(replicas in 0i32..30, kinds in proptest::collection::vec((0i64..50, any::<bool>(), 0u8..4), 0..30)) {
        let mut set = set(replicas);
        let mut pods: Vec<Arc<Pod>> = kinds.into_iter().enumerate().map(|(i, (born, ready, kind))| {
            let mut pod = pod_of(&set, &format!("p{i}"), born, ready);
            match kind {
                0 => pod.metadata.owner_references = None,
                1 => pod.metadata.deletion_timestamp = Some(Time(at(60))),
                _ => {}
            }
            Arc::new(pod)
        }).collect();
        let expected = Expectations::default();
        for _ in 0..4 {
            let next = plan(&set, &pods, &expected, at(100));
            for pod in &mut pods {
                if next.adopt.contains(pod) { Arc::make_mut(pod).metadata.owner_references = Some(vec![controlled_by(&set)]); }
            }
            pods.retain(|pod| !next.delete.contains(pod) && !is_leaving(pod));
            let start = pods.len();
            pods.extend((0..next.create).map(|i| Arc::new(pod_of(&set, &format!("n{start}-{i}"), 99, true))));
            if let Some(status) = next.status { set.status = Some(status); }
        }
        prop_assert_eq!(plan(&set, &pods, &expected, at(100)), ReplicaSetPlan::default());
        prop_assert_eq!(pods.len(), usize::try_from(replicas).expect("positive"));
    }
}
