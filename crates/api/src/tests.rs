use super::*;
use proptest::prelude::*;
use serde_json::Value;
use std::time::Duration as Std;

#[test]
fn durations_read_as_gep_2257_says() {
    let good = [
        ("0s", 0),
        ("1h", 3_600_000),
        ("1h30m", 5_400_000),
        ("10s", 10_000),
        ("500ms", 500),
        ("1h1m1s1ms", 3_661_001),
        ("99999h", 359_996_400_000),
    ];
    for (text, ms) in good {
        assert_eq!(text.parse(), Ok(Duration(Std::from_millis(ms))), "{text}");
    }
}

#[test]
fn durations_that_are_none_are_refused_with_the_reason() {
    let bad = [
        ("", "empty"),
        ("0", "unit is missing"),
        ("-1s", "signs"),
        ("1.5s", "unit is missing"),
        ("1e9h", "units are"),
        ("100000s", "5 digits"),
        ("1d", "units are"),
        ("1s1s1s1s1s", "four parts"),
        ("s", "a number is expected"),
        ("1 s", "unit is missing"),
        ("１s", "a number is expected"),
    ];
    for (text, reason) in bad {
        let error = text.parse::<Duration>().unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_and_what_is_read_survives(text in "\\PC{0,12}") {
        if let Ok(duration) = text.parse::<Duration>() {
            prop_assert_eq!(duration.to_string().parse(), Ok(duration));
        }
    }

    #[test]
    fn durations_survive_their_text(ms in 0_u64..360_000_000_000) {
        let duration = Duration(Std::from_millis(ms));
        prop_assert_eq!(duration.to_string().parse(), Ok(duration));
    }
}

/// Walks a schema and calls `check` on each named property.
fn each_property(path: &str, schema: &Value, check: &mut impl FnMut(&str, &Value)) {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        for (name, property) in properties {
            let path = format!("{path}.{name}");
            check(&path, property);
            each_property(&path, property, check);
        }
    }
    if let Some(items) = schema.get("items") {
        each_property(&format!("{path}[]"), items, check);
    }
}

fn schemas() -> Vec<(String, Value)> {
    crds()
        .iter()
        .map(|crd| {
            let value = serde_json::to_value(crd).unwrap();
            let name = value["metadata"]["name"].as_str().unwrap().to_owned();
            (
                name,
                value["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone(),
            )
        })
        .collect()
}

#[test]
fn every_field_has_a_text_and_every_list_a_limit() {
    let mut wrong = Vec::new();
    for (kind, schema) in schemas() {
        each_property(&kind, &schema, &mut |path, property| {
            if property.get("description").is_none()
                && !path.ends_with(".status")
                && !path.ends_with(".spec")
            {
                wrong.push(format!("{path} has no description"));
            }
            if property["type"] == "array" && property.get("maxItems").is_none() {
                wrong.push(format!("{path} has no maxItems"));
            }
            if property["type"] == "boolean" {
                wrong.push(format!("{path} is a boolean: use an enum"));
            }
        });
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn conditions_are_lists_keyed_by_type() {
    for (kind, schema) in schemas() {
        let conditions = &schema["properties"]["status"]["properties"]["conditions"];
        if !conditions.is_null() {
            assert_eq!(conditions["x-kubernetes-list-type"], "map", "{kind}");
            assert_eq!(
                conditions["x-kubernetes-list-map-keys"][0], "type",
                "{kind}"
            );
        }
    }
}

#[test]
fn a_minimal_cluster_gets_its_defaults() {
    let spec: ClusterSpec = serde_json::from_value(serde_json::json!({
        "connection": { "kubeconfigSecretRef": { "namespace": "tidegate-system", "name": "az1" } }
    }))
    .unwrap();
    assert_eq!(spec.connection.kubeconfig_secret_ref.key, "kubeconfig");
    assert_eq!(spec.traffic, cluster::Traffic::Serve);
    assert_eq!(spec.reach, cluster::Reach::Direct);
}

#[test]
fn a_condition_is_news_only_when_more_than_its_time_changed() {
    let condition =
        |status: &str, second| k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition {
            type_: condition::REACHABLE.into(),
            status: status.into(),
            reason: "R".into(),
            message: "m".into(),
            observed_generation: None,
            last_transition_time: k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
                k8s_openapi::jiff::Timestamp::from_second(second).unwrap(),
            ),
        };
    let mut all = Vec::new();
    assert!(condition::set(&mut all, condition("True", 1)));
    assert!(!condition::set(&mut all, condition("True", 2)));
    assert!(condition::set(&mut all, condition("False", 3)));
    assert_eq!(all, vec![condition("False", 3)]);
}
