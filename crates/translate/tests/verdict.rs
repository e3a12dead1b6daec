//! `testdata/verdict/<case>.in.yaml` -> `testdata/verdict/<case>.out.yaml`. `UPDATE=1` writes the outputs anew: read the
//! diff.
#![allow(clippy::unwrap_used)] // A failed unwrap is a failed test.

use proptest::prelude::*;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tidegate_translate::verdict::{Manifests, Verdict, judge};

#[test]
fn all_verdicts_are_as_written_down() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/verdict");
    let mut inputs: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(".in.yaml"))
        .collect();
    inputs.sort();
    let mut wrong = Vec::new();
    for path in &inputs {
        let text = std::fs::read_to_string(path).unwrap();
        let mut manifests = Manifests::default();
        for object in serde_saphyr::from_str::<Vec<Value>>(&text).unwrap() {
            manifests.take(object, None).unwrap();
        }
        let found = serde_saphyr::to_string(&judge(&manifests, "nginx")).unwrap();
        let expected = PathBuf::from(path.to_str().unwrap().replace(".in.yaml", ".out.yaml"));
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&expected, &found).unwrap();
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != found {
            wrong.push(format!("{}:\n{found}", expected.display()));
        }
    }
    assert!(inputs.len() >= 5, "only {} cases were found", inputs.len());
    assert!(
        wrong.is_empty(),
        "not as written down (UPDATE=1 rewrites):\n{}",
        wrong.join("\n")
    );
}

#[test]
fn what_cannot_be_read_says_why() {
    let why = |object: Value| Manifests::default().take(object, None).unwrap_err();
    assert!(why(json!("text")).contains("no Kubernetes object"));
    assert!(
        why(json!({ "kind": "Ingress", "apiVersion": "networking.k8s.io/v1" }))
            .contains("metadata.name")
    );
    let old = json!({ "kind": "Ingress", "apiVersion": "extensions/v1beta1", "metadata": { "name": "a" } });
    assert!(why(old).contains("networking.k8s.io/v1"));
    let list = json!({ "kind": "List", "apiVersion": "v1", "items": [null, 7] });
    assert!(why(list).starts_with("items[1]: "));
    let bad = json!({
        "kind": "Secret", "apiVersion": "v1", "type": "kubernetes.io/tls", "metadata": { "name": "a" },
        "data": { "tls.key": "a secret, not base64" },
    });
    assert!(
        !why(bad).contains("not base64,"),
        "errors must not show values"
    );
    let twice = json!({ "kind": "Service", "apiVersion": "v1", "metadata": { "name": "a" } });
    let list = json!({ "kind": "ServiceList", "apiVersion": "v1", "items": [twice, twice] });
    assert!(why(list).contains("read already"));
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop_oneof![
            Just("Ingress"),
            Just("List"),
            Just("v1"),
            Just("networking.k8s.io/v1")
        ]
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let key = prop_oneof![
            Just("kind".to_owned()),
            Just("apiVersion".to_owned()),
            Just("metadata".to_owned()),
            Just("name".to_owned()),
            Just("items".to_owned()),
            Just("spec".to_owned()),
            Just("annotations".to_owned()),
            Just("rules".to_owned()),
            ".{0,6}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_object_is_taken_or_refused(object in any_value()) {
        let mut manifests = Manifests::default();
        let _ = manifests.take(object, None);
        judge(&manifests, "nginx");
    }

    /// Any annotation of ingress-nginx gets a verdict of its own, and leaves those of other Ingresses as they were.
    #[test]
    fn any_annotation_gets_one_verdict(
        name in prop_oneof![
            Just("rewrite-target"), Just("proxy-body-size"), Just("whitelist-source-range"), Just("canary-weight"),
            Just("auth-url"), Just("server-snippet"), Just("proxy-buffering"), Just("no-such-thing"),
        ],
        value in ".{0,20}",
    ) {
        let ingress = |name: &str, annotations: Value| json!({
            "kind": "Ingress", "apiVersion": "networking.k8s.io/v1",
            "metadata": { "name": name, "annotations": annotations },
            "spec": { "ingressClassName": "nginx", "rules": [{ "host": format!("{name}.example.com"), "http": { "paths": [{
                "path": "/", "pathType": "Prefix", "backend": { "service": { "name": "web", "port": { "number": 80 } } },
            }] } }] },
        });
        let mut manifests = Manifests::default();
        manifests.take(ingress("plain", json!({})), None).unwrap();
        let key = format!("nginx.ingress.kubernetes.io/{name}");
        manifests.take(ingress("annotated", json!({ key.as_str(): value })), None).unwrap();
        let report = judge(&manifests, "nginx");
        let annotated = &report.objects[0];
        let field = format!("metadata.annotations[{key}]");
        prop_assert!(annotated.findings.iter().any(|finding| finding.field == field), "{report:?}");
        prop_assert_eq!(report.objects[1].verdict, Verdict::Same);
    }
}
