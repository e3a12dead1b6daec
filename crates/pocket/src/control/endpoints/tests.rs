use k8s_openapi::api::core::v1::{Container, PodCondition, PodSpec, PodStatus, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;

use super::*;

fn service(target: IntOrString) -> Service {
    Service {
        metadata: ObjectMeta {
            name: Some("shop".to_owned()),
            namespace: Some("default".to_owned()),
            uid: Some("s1".to_owned()),
            ..ObjectMeta::default()
        },
        spec: Some(ServiceSpec {
            selector: Some([("app".to_owned(), "shop".to_owned())].into()),
            ports: Some(vec![ServicePort {
                name: Some("http".to_owned()),
                port: 80,
                target_port: Some(target),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

fn pod(name: &str, ip: &str, ready: bool, port: i32) -> Pod {
    Pod {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some("default".to_owned()),
            uid: Some(format!("uid-{name}")),
            labels: Some([("app".to_owned(), "shop".to_owned())].into()),
            ..ObjectMeta::default()
        },
        spec: Some(PodSpec {
            node_name: Some("az1".to_owned()),
            containers: vec![Container {
                ports: Some(vec![ContainerPort {
                    name: Some("web".to_owned()),
                    container_port: port,
                    ..ContainerPort::default()
                }]),
                ..Container::default()
            }],
            ..PodSpec::default()
        }),
        status: Some(PodStatus {
            pod_ip: Some(ip.to_owned()),
            conditions: Some(vec![PodCondition {
                type_: "Ready".to_owned(),
                status: if ready { "True" } else { "False" }.to_owned(),
                ..PodCondition::default()
            }]),
            ..PodStatus::default()
        }),
    }
}

/// Carries a plan out as an API server would.
fn carry_out(present: &mut Vec<Arc<EndpointSlice>>, plan: EndpointsPlan) {
    present.retain(|slice| !plan.delete.contains(slice));
    for changed in plan.update {
        let place = present
            .iter_mut()
            .find(|s| s.name_any() == changed.name_any())
            .expect("known");
        *place = Arc::new(changed);
    }
    present.extend(plan.create.into_iter().map(Arc::new));
}

type Seen = (String, Option<bool>, Option<bool>, Option<bool>);

fn seen(slices: &[Arc<EndpointSlice>]) -> Vec<Seen> {
    slices
        .iter()
        .flat_map(|slice| slice.endpoints.iter().flatten())
        .map(|e| {
            let c = e.conditions.clone().unwrap_or_default();
            (e.addresses[0].clone(), c.ready, c.serving, c.terminating)
        })
        .collect()
}

#[test]
fn conditions_follow_the_pod() {
    let mut leaving = pod("c", "127.9.0.4", true, 8080);
    leaving.metadata.deletion_timestamp = Some(Time(jiff::Timestamp::UNIX_EPOCH));
    let pods = [
        pod("a", "127.9.0.2", true, 8080),
        pod("b", "127.9.0.3", false, 8080),
        leaving,
    ]
    .map(Arc::new);
    let plan = plan(&service(IntOrString::Int(8080)), &pods, &[]);
    let slices: Vec<_> = plan.create.into_iter().map(Arc::new).collect();
    let state = |ip: &str, r, s, t| (ip.to_owned(), Some(r), Some(s), Some(t));
    assert_eq!(
        seen(&slices),
        [
            state("127.9.0.2", true, true, false),
            state("127.9.0.3", false, false, false),
            state("127.9.0.4", false, true, true),
        ]
    );
    let first = slices[0].endpoints.as_ref().expect("endpoints")[0].clone();
    assert_eq!(first.target_ref.and_then(|r| r.name), Some("a".to_owned()));
    assert_eq!(first.node_name.as_deref(), Some("az1"));
}

#[test]
fn a_readiness_change_is_one_update_of_the_same_slice() {
    let service = service(IntOrString::Int(8080));
    let mut present = Vec::new();
    carry_out(
        &mut present,
        plan(&service, &[Arc::new(pod("a", "127.9.0.2", true, 1))], &[]),
    );
    let name = present[0].name_any();
    let next = plan(
        &service,
        &[Arc::new(pod("a", "127.9.0.2", false, 1))],
        &present,
    );
    assert_eq!(
        (next.create.len(), next.update.len(), next.delete.len()),
        (0, 1, 0)
    );
    carry_out(&mut present, next);
    let gone = plan(&service, &[], &present);
    carry_out(&mut present, gone);
    assert_eq!(
        (present.len(), present[0].name_any()),
        (1, name),
        "an empty slice remains, under the same name"
    );
}

#[test]
fn named_ports_are_looked_up_on_each_pod() {
    let service = service(IntOrString::String("web".to_owned()));
    let pods = [
        pod("a", "127.9.0.2", true, 8080),
        pod("b", "127.9.0.3", true, 9090),
        pod("c", "127.9.0.4", true, 8080),
    ]
    .map(Arc::new);
    let plan = plan(&service, &pods, &[]);
    let mut found: Vec<(i32, usize)> = plan
        .create
        .iter()
        .map(|s| {
            (
                s.ports.as_ref().expect("ports")[0].port.expect("port"),
                s.endpoints.as_ref().map_or(0, Vec::len),
            )
        })
        .collect();
    found.sort_unstable();
    assert_eq!(found, [(8080, 2), (9090, 1)]);
}

#[test]
fn services_without_a_selector_and_slices_of_others_are_left_alone() {
    let mut bare = service(IntOrString::Int(1));
    bare.spec.as_mut().expect("spec").selector = None;
    let mut theirs = EndpointSlice::default();
    theirs.metadata.labels = Some([(SERVICE_NAME.to_owned(), "shop".to_owned())].into());
    let present = [Arc::new(theirs)];
    assert_eq!(
        plan(&bare, &[Arc::new(pod("a", "127.9.0.2", true, 1))], &present),
        EndpointsPlan::default()
    );
    let selecting = plan(&service(IntOrString::Int(1)), &[], &present);
    assert!(selecting.delete.is_empty() && selecting.update.is_empty());
}

proptest! {
    /// Every pod with an address shows up once, and a second pass writes nothing.
    #[test]
    fn settles_in_one_pass(pods in proptest::collection::btree_map(2u8..250, (any::<bool>(), 1i32..4, any::<bool>()), 0..20), named in any::<bool>()) {
        let target = if named { IntOrString::String("web".to_owned()) } else { IntOrString::Int(8080) };
        let service = service(target);
        let pods: Vec<Arc<Pod>> = pods.into_iter().map(|(n, (ready, port, leaving))| {
            let mut pod = pod(&format!("p{n}"), &format!("127.9.0.{n}"), ready, port);
            if leaving { pod.metadata.deletion_timestamp = Some(Time(jiff::Timestamp::UNIX_EPOCH)); }
            Arc::new(pod)
        }).collect();
        let mut present = Vec::new();
        carry_out(&mut present, plan(&service, &pods, &[]));
        prop_assert_eq!(seen(&present).len(), pods.len());
        prop_assert!(seen(&present).iter().all(|(_, ready, serving, leaving)| *ready == Some(*serving == Some(true) && *leaving == Some(false))));
        prop_assert_eq!(plan(&service, &pods, &present), EndpointsPlan::default());
        let mut reversed = pods.clone();
        reversed.reverse();
        prop_assert_eq!(plan(&service, &reversed, &present), EndpointsPlan::default(), "order of pods does not matter");
    }
}
