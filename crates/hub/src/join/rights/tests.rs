use super::*;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};

fn granted(user: Option<&str>) -> (ClusterRole, ClusterRoleBinding) {
    let yaml = grant_yaml(user);
    let (role, binding) = yaml.split_once("---\n").unwrap();
    (
        serde_saphyr::from_str(role).unwrap(),
        serde_saphyr::from_str(binding).unwrap(),
    )
}

#[test]
fn the_role_grants_exactly_what_is_asked_for() {
    let (role, binding) = granted(Some("alice"));
    let mut listed = Vec::new();
    for rule in role.rules.unwrap() {
        for verb in &rule.verbs {
            listed.push(format!(
                "{verb} {}/{}",
                rule.api_groups.as_ref().unwrap()[0],
                rule.resources.as_ref().unwrap()[0]
            ));
        }
    }
    let needed: Vec<String> = needed()
        .map(|r| format!("{} {}/{}", r.verb, r.group, r.resource))
        .collect();
    assert_eq!(listed, needed);
    assert_eq!(needed.len(), 8);
    assert_eq!(Some(binding.role_ref.name), role.metadata.name);
}

#[test]
fn the_binding_names_who_asked() {
    let cases = [
        (Some("alice"), "User", "alice", None),
        (Some("a: b # \"c\""), "User", "a: b # \"c\"", None),
        (
            Some("system:serviceaccount:ops:hub"),
            "ServiceAccount",
            "hub",
            Some("ops"),
        ),
        (None, "User", "THE-KUBECONFIGS-USER", None),
    ];
    for (user, kind, name, namespace) in cases {
        let subject = granted(user).1.subjects.unwrap().remove(0);
        assert_eq!(
            (
                subject.kind.as_str(),
                subject.name.as_str(),
                subject.namespace.as_deref()
            ),
            (kind, name, namespace)
        );
    }
}

#[test]
fn a_right_reads_as_kubectl_says_it() {
    let texts: Vec<String> = needed().map(|right| right.to_string()).collect();
    assert_eq!(texts[0], "get services");
    assert_eq!(texts[5], "watch endpointslices.discovery.k8s.io");
}
