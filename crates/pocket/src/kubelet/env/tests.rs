use k8s_openapi::ByteString;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn pod() -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "p", "namespace": "shop", "uid": "u", "labels": {"app": "web"}},
        "spec": {"nodeName": "az1", "containers": []},
    }))
    .expect("pod")
}

fn check(container: serde_json::Value, expect: Result<&[(&str, &str)], &str>) {
    let mut container = container;
    container["name"] = json!("c");
    let container: Container = serde_json::from_value(container).expect("container");
    let sources = Sources {
        config_maps: [(
            "cm".to_owned(),
            ConfigMap {
                data: Some([("color".to_owned(), "red".to_owned())].into()),
                ..ConfigMap::default()
            },
        )]
        .into(),
        secrets: [(
            "s".to_owned(),
            Secret {
                data: Some([("key".to_owned(), ByteString(b"xyz".to_vec()))].into()),
                ..Secret::default()
            },
        )]
        .into(),
    };
    let got = environment(&pod(), &container, "127.9.0.2", "127.9.0.1", &sources);
    match (got, expect) {
        (Ok(env), Ok(expect)) => {
            for (name, value) in expect {
                assert_eq!(env.get(*name).map(String::as_str), Some(*value), "{name}");
            }
            assert_eq!(env.len(), expect.len() + 1, "plus HOSTNAME: {env:?}");
        }
        (Err(problem), Err(expect)) => assert!(problem.to_string().contains(expect), "{problem}"),
        (got, expect) => panic!("{got:?} instead of {expect:?}"),
    }
}

#[test]
fn values_fields_and_keys() {
    check(
        json!({"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)-$(C)-$$(A)"}]}),
        Ok(&[("A", "1"), ("B", "1-$(C)-$(A)")]),
    );
    let field = |path: &str| json!({"name": "F", "valueFrom": {"fieldRef": {"fieldPath": path}}});
    for (path, value) in [
        ("metadata.name", "p"),
        ("metadata.namespace", "shop"),
        ("status.podIP", "127.9.0.2"),
        ("status.hostIP", "127.9.0.1"),
        ("spec.nodeName", "az1"),
        ("metadata.labels['app']", "web"),
    ] {
        check(json!({"env": [field(path)]}), Ok(&[("F", value)]));
    }
    check(
        json!({"env": [field("status.phase")]}),
        Err("fieldRef status.phase is not supported"),
    );
    check(
        json!({"env": [{"name": "K", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "color"}}}]}),
        Ok(&[("K", "red")]),
    );
    check(
        json!({"env": [{"name": "K", "valueFrom": {"secretKeyRef": {"name": "s", "key": "key"}}}]}),
        Ok(&[("K", "xyz")]),
    );
    check(
        json!({"envFrom": [{"prefix": "P_", "configMapRef": {"name": "cm"}}, {"secretRef": {"name": "s"}}]}),
        Ok(&[("P_color", "red"), ("key", "xyz")]),
    );
}

#[test]
fn what_is_missing_is_named_unless_optional() {
    let key = |optional| json!({"env": [{"name": "K", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "size", "optional": optional}}}]});
    check(
        key(false),
        Err("couldn't find key size in configmap \"cm\""),
    );
    check(key(true), Ok(&[]));
    check(
        json!({"envFrom": [{"secretRef": {"name": "no"}}]}),
        Err("secret \"no\" not found"),
    );
    check(
        json!({"envFrom": [{"secretRef": {"name": "no", "optional": true}}]}),
        Ok(&[]),
    );
}

proptest! {
    #[test]
    fn expansion_never_panics_and_leaves_plain_text(text in "\\PC{0,40}", plain in "[^$]{0,40}") {
        let env = BTreeMap::from([("A".to_owned(), "x".to_owned())]);
        let _ = expand(&text, &env);
        prop_assert_eq!(expand(&plain, &env), plain);
    }
}
