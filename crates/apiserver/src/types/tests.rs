//! The definitions can be read, fit the kinds served, and find what does not belong in a body.

use super::definitions::names;
use super::*;
use crate::registry::{Registry, Rules};
use serde_json::json;

fn found(group: &str, kind: &str, mut body: Value) -> (Value, Findings) {
    let mut findings = Findings::default();
    let of = of_kind(group, "v1", kind).expect("built in");
    of.conform(&mut body, &mut findings);
    (body, findings)
}

fn deployment(spec: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec})
}

#[test]
fn every_definition_is_json_and_refers_to_others_that_are_there() {
    let mut count = 0;
    for name in names() {
        let text = line(name).expect("it has a name");
        serde_json::from_str::<Value>(text).expect("JSON");
        for other in references(text) {
            assert!(line(other).is_some(), "{name} refers to {other}");
        }
        count += 1;
    }
    assert!(count > 300, "{count} definitions");
}

#[test]
fn every_built_in_kind_has_its_fields() {
    for versions in Registry::new().catalog().groups().values() {
        for kind in versions.iter().flat_map(|(_, kinds)| kinds) {
            let Rules::Builtin(b) = &kind.rules else {
                continue;
            };
            let of = of_kind(b.group, b.version, b.kind)
                .unwrap_or_else(|| panic!("{} has no definition", b.kind));
            assert!(of.member("metadata").is_some(), "{}", b.kind);
            let status = of.member("status").is_some();
            // As a whole; only some have a status, and then it may be written by its subresource.
            assert!(status || !b.has_status(), "{} has no status", b.kind);
        }
    }
}

#[test]
fn unknown_fields_go_and_are_named() {
    let body = deployment(json!({
        "replicas": 2,
        "foo": 1,
        "selector": {"matchLabels": {"any": "label"}},
        "template": {"spec": {"containers": [{"name": "a", "imagee": "x"}], "nodeSelector": {"k": "v"}}},
    }));
    let (left, findings) = found("apps", "Deployment", body);
    assert_eq!(
        findings.unknown,
        ["spec.foo", "spec.template.spec.containers[0].imagee"]
    );
    assert_eq!(findings.mismatch, None);
    let spec = json!({
        "replicas": 2,
        "selector": {"matchLabels": {"any": "label"}},
        "template": {"spec": {"containers": [{"name": "a"}], "nodeSelector": {"k": "v"}}},
    });
    assert_eq!(left, deployment(spec));
}

#[test]
fn a_null_is_as_if_it_were_not_there() {
    let body = json!({"metadata": {"name": "a", "creationTimestamp": null, "labels": {"a": null}}, "data": null});
    let (left, findings) = found("", "ConfigMap", body);
    assert_eq!(
        left,
        json!({"metadata": {"name": "a", "labels": {"a": ""}}})
    );
    assert!(findings.unknown.is_empty() && findings.mismatch.is_none());
}

#[test]
fn a_wrong_type_is_named_in_the_words_of_go() {
    let container =
        |fields: Value| deployment(json!({"template": {"spec": {"containers": [fields]}}}));
    let cases = [
        (
            deployment(json!({"replicas": "2"})),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            deployment(json!({"replicas": 3_000_000_000_u64})),
            "json: cannot unmarshal number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            deployment(json!({"template": []})),
            "json: cannot unmarshal array into Go struct field DeploymentSpec.spec.template of type v1.PodTemplateSpec",
        ),
        (
            container(json!({"name": 5})),
            "json: cannot unmarshal number into Go struct field Container.spec.template.spec.containers.name of type string",
        ),
        (
            container(json!({"ports": {"containerPort": 80}})),
            "json: cannot unmarshal object into Go struct field Container.spec.template.spec.containers.ports of type []v1.ContainerPort",
        ),
        (
            container(json!({"resources": {"limits": {"cpu": "much"}}})),
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        (
            json!({"metadata": {"labels": {"a": 1}}}),
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            json!({"metadata": {"creationTimestamp": "today"}}),
            "parsing time \"today\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"today\" as \"2006\"",
        ),
    ];
    for (body, message) in cases {
        let mismatch = found("apps", "Deployment", body).1.mismatch;
        assert_eq!(mismatch.expect("refused").message, message);
    }
}

#[test]
fn what_go_takes_is_taken() {
    let quantities = [
        "1", "0.5", ".5", "100m", "1Gi", "1e3", "-1", "+2E2", "5k", "1.5Mi",
    ];
    for quantity in quantities
        .map(Value::from)
        .into_iter()
        .chain([json!(2), json!(0.5)])
    {
        let body = deployment(
            json!({"template": {"spec": {"containers": [{"resources": {"limits": {"cpu": quantity}}}]}}}),
        );
        assert_eq!(
            found("apps", "Deployment", body).1.mismatch,
            None,
            "{quantity}"
        );
    }
    for port in [json!(80), json!("http")] {
        let body = json!({"spec": {"ports": [{"port": 80, "targetPort": port}]}});
        assert_eq!(found("", "Service", body).1.mismatch, None);
    }
    let body = json!({"spec": {"versions": [{"schema": {"openAPIV3Schema": {"properties": {"a": {"default": {"any": [1]}, "items": {"x": 1}}}}}}]}});
    let (left, findings) = found(
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        body.clone(),
    );
    assert_eq!(left, body, "JSON inside is not looked into");
    assert!(findings.unknown.is_empty() && findings.mismatch.is_none());
}

#[test]
fn lists_are_merged_as_the_definitions_say() {
    let pod = of_kind("", "v1", "Pod")
        .and_then(|pod| pod.member("spec"))
        .expect("a spec");
    let containers = pod.member("containers").expect("containers");
    assert_eq!(*containers.list(), ListType::Map(vec!["name".to_owned()]));
    assert_eq!(
        *containers.strategic(),
        Strategic::MergeBy("name".to_owned())
    );
    let ports = containers
        .item()
        .and_then(|c| c.member("ports"))
        .expect("ports");
    assert_eq!(
        *ports.list(),
        ListType::Map(vec!["containerPort".to_owned(), "protocol".to_owned()])
    );
    let protocol = ports.item().and_then(|p| p.member("protocol"));
    assert_eq!(protocol.and_then(Type::default_value), Some(&json!("TCP")));
    let args = containers
        .item()
        .and_then(|c| c.member("args"))
        .expect("args");
    assert_eq!(
        (args.list(), args.strategic()),
        (&ListType::Atomic, &Strategic::Plain)
    );
    let finalizers = object_meta().member("finalizers").expect("finalizers");
    assert_eq!(
        (finalizers.list(), finalizers.strategic()),
        (&ListType::Set, &Strategic::MergeValues)
    );
    let selector = of_kind("apps", "v1", "Deployment")
        .and_then(|d| d.member("spec")?.member("selector"))
        .expect("a selector");
    assert_eq!(
        selector.map(),
        MapType::Atomic,
        "it says so at its definition"
    );
}
