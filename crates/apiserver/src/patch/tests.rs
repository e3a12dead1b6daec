//! Patches and server-side apply, on objects as clients send them.

use super::*;
use crate::crd;
use crate::ops::{Operation, Part, WriteOptions};
use crate::registry::{Kind, Registry};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

fn kind(group: &str, plural: &str) -> Arc<Kind> {
    let registry = Registry::new();
    let catalog = registry.catalog();
    Arc::clone(catalog.find(group, "v1", plural).expect("built in"))
}

fn deployments() -> Arc<Kind> {
    kind("apps", "deployments")
}

fn deployment(spec: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec})
}

fn containers(list: Value) -> Value {
    deployment(json!({"template": {"spec": {"containers": list}}}))
}

fn strategic(current: &Value, patch: Value) -> Value {
    strategic_merge(&deployments(), current, &patch).expect("patches")
}

#[test]
fn merge_patch_removes_with_null() {
    let current = json!({"a": 1, "b": {"c": 2, "d": [1, 2]}});
    let patched = merge_patch(&current, &json!({"a": null, "b": {"d": [3]}}));
    assert_eq!(patched, json!({"b": {"c": 2, "d": [3]}}));
}

#[test]
fn json_patch_is_all_or_nothing() {
    let current = json!({"a": [1]});
    let ok = json!([{"op": "test", "path": "/a/0", "value": 1}, {"op": "add", "path": "/a/-", "value": 2}]);
    assert_eq!(json_patch(&current, &ok), Ok(json!({"a": [1, 2]})));
    let failing = json!([{"op": "add", "path": "/a/-", "value": 2}, {"op": "test", "path": "/a/0", "value": 9}]);
    assert_eq!(
        json_patch(&current, &failing)
            .expect_err("the test fails")
            .code,
        422
    );
    assert_eq!(
        json_patch(&current, &json!([{"op": "fly"}]))
            .expect_err("no such operation")
            .code,
        400
    );
    let many: Vec<Value> = vec![json!({"op": "test", "path": "/a/0", "value": 1}); 10_001];
    assert_eq!(
        json_patch(&current, &Value::from(many))
            .expect_err("too many")
            .code,
        413
    );
}

#[test]
fn strategic_patch_merges_containers_by_name() {
    let current =
        containers(json!([{"name": "a", "image": "1", "tty": true}, {"name": "b", "image": "1"}]));
    let patch = containers(
        json!([{"name": "b", "image": "2"}, {"name": "c", "image": "3"}, {"name": "a", "$patch": "delete"}]),
    );
    let expected = containers(json!([{"name": "b", "image": "2"}, {"name": "c", "image": "3"}]));
    assert_eq!(strategic(&current, patch), expected);
}

#[test]
fn strategic_patch_directives() {
    let current = containers(json!([{"name": "a"}, {"name": "b"}]));
    let replaced = containers(json!([{"$patch": "replace"}, {"name": "z"}]));
    assert_eq!(
        strategic(&current, replaced),
        containers(json!([{"name": "z"}]))
    );

    let current = deployment(
        json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}),
    );
    let retain = deployment(json!({"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}));
    assert_eq!(
        strategic(&current, retain),
        deployment(json!({"strategy": {"type": "Recreate"}}))
    );
    let replace = deployment(json!({"strategy": {"$patch": "replace", "type": "Recreate"}}));
    assert_eq!(
        strategic(&current, replace),
        deployment(json!({"strategy": {"type": "Recreate"}}))
    );

    let current = json!({"metadata": {"finalizers": ["a", "b"]}});
    let patch =
        json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"]}});
    assert_eq!(
        strategic(&current, patch)["metadata"]["finalizers"],
        json!(["b", "c"])
    );

    let current = containers(json!([{"name": "a"}, {"name": "b"}]));
    let order = deployment(json!({"template": {"spec": {
        "$setElementOrder/containers": [{"name": "b"}, {"name": "new"}, {"name": "a"}],
        "containers": [{"name": "new"}],
    }}}));
    assert_eq!(
        strategic(&current, order),
        containers(json!([{"name": "b"}, {"name": "new"}, {"name": "a"}]))
    );
}

#[test]
fn strategic_patch_errors_say_what_is_wrong() {
    let current = containers(json!([{"name": "a"}]));
    let error = |patch: Value| {
        strategic_merge(&deployments(), &current, &patch)
            .expect_err("refused")
            .message
    };
    let nameless = error(containers(json!([{"image": "x"}])));
    assert!(
        nameless.contains("does not contain declared merge key: name"),
        "{nameless}"
    );
    let directive = error(deployment(json!({"$patch": "explode"})));
    assert!(
        directive.contains("merge, replace or delete"),
        "{directive}"
    );
}

// === server-side apply ===

fn wish<'a>(manager: &'a str, config: &'a Value) -> Applied<'a> {
    Applied {
        manager,
        part: Part::Main,
        conflicts: Conflicts::Refuse,
        config,
    }
}

fn applied(kind: &Kind, live: &Value, manager: &str, config: &Value) -> Value {
    apply(kind, live, &wish(manager, config)).expect("applies")
}

/// What an ordinary client's write leaves behind.
fn updated(kind: &Kind, old: &Value, mut new: Value, manager: &str) -> Value {
    let options = WriteOptions {
        manager: manager.to_owned(),
        operation: Operation::Update,
        ..WriteOptions::default()
    };
    managed::on_update(kind, Part::Main, old, &mut new, &options);
    new
}

fn owners(object: &Value) -> Vec<(&str, &str)> {
    let entries = object["metadata"]["managedFields"].as_array();
    entries
        .into_iter()
        .flatten()
        .map(|e| {
            (
                e["manager"].as_str().unwrap_or(""),
                e["operation"].as_str().unwrap_or(""),
            )
        })
        .collect()
}

fn fields_of_manager<'a>(object: &'a Value, manager: &str) -> &'a Value {
    let entries = object["metadata"]["managedFields"]
        .as_array()
        .expect("managed fields");
    &entries
        .iter()
        .find(|e| e["manager"] == manager)
        .expect("an entry")["fieldsV1"]
}

#[test]
fn an_applied_object_is_owned_field_by_field() {
    let kind = deployments();
    let config = containers(json!([{"name": "a", "image": "1", "ports": [{"containerPort": 80}]}]));
    let object = applied(&kind, &Value::Null, "me", &config);
    assert_eq!(owners(&object), [("me", "Apply")]);
    assert_eq!(
        *fields_of_manager(&object, "me"),
        json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"a\"}": {
            ".": {}, "f:name": {}, "f:image": {},
            "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}},
        }}}}}})
    );
}

#[test]
fn a_conflict_names_the_manager_and_the_field() {
    let kind = deployments();
    let config = |replicas: u32| deployment(json!({"replicas": replicas}));
    let object = applied(&kind, &Value::Null, "first", &config(1));
    let mine = config(2);
    let conflict = apply(&kind, &object, &wish("second", &mine)).expect_err("owned by first");
    assert_eq!((conflict.code, conflict.reason), (409, "Conflict"));
    assert_eq!(
        conflict.message,
        "Apply failed with 1 conflict: conflict with \"first\" using apps/v1: .spec.replicas"
    );
    assert_eq!(conflict.details["causes"][0]["field"], ".spec.replicas");

    let forced = Applied {
        conflicts: Conflicts::Force,
        ..wish("second", &mine)
    };
    let object = apply(&kind, &object, &forced).expect("forced");
    assert_eq!(object["spec"]["replicas"], 2);
    assert_eq!(owners(&object), [("second", "Apply")]);

    // The same value is no conflict: both own it, and one may leave without taking it away.
    let shared = applied(&kind, &object, "third", &mine);
    assert_eq!(owners(&shared).len(), 2);
    let left = applied(&kind, &shared, "second", &deployment(json!({})));
    assert_eq!(left["spec"]["replicas"], 2);
}

#[test]
fn what_is_no_longer_applied_goes() {
    let kind = deployments();
    let before = containers(
        json!([{"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}]}, {"name": "b", "image": "1"}]),
    );
    let object = applied(&kind, &Value::Null, "me", &before);
    let after = containers(json!([{"name": "a", "image": "1"}]));
    let object = applied(&kind, &object, "me", &after);
    assert_eq!(object["spec"], after["spec"]);

    // What others set in the same item stays, and with it the item.
    let other = containers(json!([{"name": "a", "tty": true}]));
    let object = applied(&kind, &object, "other", &other);
    let nothing =
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}});
    let object = applied(&kind, &object, "me", &nothing);
    assert_eq!(object["spec"], other["spec"]);
    assert_eq!(owners(&object), [("other", "Apply")]);
}

#[test]
fn an_update_takes_fields_over() {
    let kind = deployments();
    let object = applied(
        &kind,
        &Value::Null,
        "me",
        &deployment(json!({"replicas": 1, "paused": true})),
    );
    let mut changed = object.clone();
    changed["spec"]["replicas"] = json!(5);
    let object = updated(&kind, &object, changed, "scaler");
    assert_eq!(owners(&object), [("me", "Apply"), ("scaler", "Update")]);
    assert_eq!(
        *fields_of_manager(&object, "scaler"),
        json!({"f:spec": {"f:replicas": {}}})
    );
    assert_eq!(
        *fields_of_manager(&object, "me"),
        json!({"f:spec": {"f:paused": {}}})
    );
    // The applier leaves replicas out from now on: the scaler's value stays.
    let object = applied(&kind, &object, "me", &deployment(json!({"paused": true})));
    assert_eq!(object["spec"]["replicas"], 5);
}

#[test]
fn an_unchanged_write_changes_no_ownership() {
    let kind = deployments();
    let config = deployment(json!({"replicas": 1}));
    let object = applied(&kind, &Value::Null, "me", &config);
    assert_eq!(updated(&kind, &object, object.clone(), "other"), object);
    assert_eq!(
        applied(&kind, &object, "me", &config),
        object,
        "applying twice changes nothing"
    );
}

#[test]
fn a_configuration_may_not_carry_managed_fields() {
    let mut config = deployment(json!({}));
    config["metadata"]["managedFields"] = json!([{"manager": "x"}]);
    let error = apply(&deployments(), &Value::Null, &wish("me", &config)).expect_err("refused");
    assert!(
        error.message.contains("managedFields must be nil"),
        "{}",
        error.message
    );
}

#[test]
fn service_ports_are_told_apart_by_port_and_protocol() {
    let kind = kind("", "services");
    let service = |ports: Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": ports}});
    let dns = service(json!([{"port": 53, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]));
    let object = applied(&kind, &Value::Null, "a", &dns);
    let object = applied(&kind, &object, "b", &service(json!([{"port": 80}])));
    assert_eq!(object["spec"]["ports"].as_array().map(Vec::len), Some(3));
    let object = applied(
        &kind,
        &object,
        "a",
        &service(json!([{"port": 53, "protocol": "UDP"}])),
    );
    assert_eq!(
        object["spec"]["ports"],
        json!([{"port": 53, "protocol": "UDP"}, {"port": 80}])
    );
}

#[test]
fn a_custom_kind_merges_as_its_schema_says() {
    let list = |kind: &str, items: Value| {
        let mut list = json!({"type": "array", "x-kubernetes-list-type": kind, "items": items});
        if kind == "map" {
            list["x-kubernetes-list-map-keys"] = json!(["id"]);
        }
        list
    };
    let text = json!({"type": "string"});
    let definition = json!({
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"spec": {"type": "object", "properties": {
                    "set": list("set", text.clone()),
                    "plain": list("atomic", text.clone()),
                    "byId": list("map", json!({"type": "object", "properties": {"id": text, "n": {"type": "integer"}}})),
                    "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": text},
                }}},
            }}}],
        },
        "status": {"conditions": [{"type": "Established", "status": "True"}]},
    });
    let kinds = crd::kinds(&definition);
    let kind = kinds.first().expect("established");
    let thing = |spec: Value| json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": spec});
    let first = thing(json!({"set": ["a"], "byId": [{"id": "1", "n": 1}], "whole": {"a": "1"}}));
    let object = applied(kind, &Value::Null, "first", &first);
    let second = thing(json!({"set": ["b"], "byId": [{"id": "2", "n": 2}], "plain": ["x"]}));
    let object = applied(kind, &object, "second", &second);
    assert_eq!(object["spec"]["set"], json!(["a", "b"]));
    assert_eq!(
        object["spec"]["byId"],
        json!([{"id": "1", "n": 1}, {"id": "2", "n": 2}])
    );
    let atomic = thing(json!({"whole": {"b": "2"}}));
    let conflict =
        apply(kind, &object, &wish("second", &atomic)).expect_err("the whole map is owned");
    assert!(
        conflict.message.contains(".spec.whole"),
        "{}",
        conflict.message
    );
    let plain = thing(json!({"plain": ["y"]}));
    assert!(
        apply(kind, &object, &wish("first", &plain)).is_err(),
        "an atomic list has one owner"
    );
}

/// A random configuration of labels and containers.
fn configs() -> impl Strategy<Value = Value> {
    let labels = proptest::collection::btree_map("[a-c]", "[x-z]", 0..3);
    let container = (
        "[a-c]",
        proptest::option::of("[1-3]"),
        proptest::option::of(any::<bool>()),
    );
    let list = proptest::collection::vec(container, 0..3);
    (labels, list).prop_map(|(labels, list)| {
        let mut items: Vec<Value> = Vec::new();
        for (name, image, tty) in list {
            if items.iter().any(|i| i["name"] == name.as_str()) {
                continue;
            }
            let mut item = json!({"name": name});
            if let Some(image) = image {
                item["image"] = json!(image);
            }
            if let Some(tty) = tty {
                item["tty"] = json!(tty);
            }
            items.push(item);
        }
        let mut config = containers(Value::from(items));
        config["metadata"]["labels"] = json!(labels);
        config
    })
}

/// Whether everything in `part` is in `whole`, list items matched by name.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part
            .iter()
            .all(|(k, v)| whole.get(k).is_some_and(|w| contains(w, v))),
        (Value::Array(whole), Value::Array(part)) => part.iter().all(|v| {
            whole
                .iter()
                .any(|w| w["name"] == v["name"] && contains(w, v))
        }),
        _ => whole == part,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// After forcing, everything wanted is there; the only manager's object is just its configuration;
    /// a second apply changes nothing.
    #[test]
    fn apply_gives_what_was_asked(first in configs(), second in configs(), other in configs()) {
        let kind = deployments();
        let force = |live: &Value, manager: &str, config: &Value| {
            let wish = Applied { conflicts: Conflicts::Force, ..wish(manager, config) };
            apply(&kind, live, &wish).expect("forced")
        };
        let alone = force(&force(&Value::Null, "me", &first), "me", &second);
        prop_assert!(contains(&alone["spec"], &second["spec"]));
        let names = |o: &Value| -> Vec<Value> {
            crate::object::items(o.pointer("/spec/template/spec/containers")).to_vec()
        };
        prop_assert_eq!(names(&alone), names(&second));
        let labels = alone["metadata"].get("labels").cloned().unwrap_or_else(|| json!({}));
        prop_assert_eq!(&labels, &second["metadata"]["labels"]);

        let both = force(&alone, "other", &other);
        prop_assert!(contains(&both, &other));
        prop_assert_eq!(&force(&both, "other", &other), &both);
        // When the other leaves, what both wanted stays.
        let empty = deployment(json!({}));
        let left = force(&both, "other", &empty);
        let mine = force(&left, "me", &second);
        prop_assert!(contains(&mine, &second));
        prop_assert_eq!(names(&mine).len(), names(&second).len());
    }

    /// A merge patch made of the difference leads from one object to the other.
    #[test]
    fn strategic_patch_of_a_whole_object_is_idempotent(a in configs(), b in configs()) {
        let once = strategic(&a, b.clone());
        prop_assert!(contains(&once, &b));
        prop_assert_eq!(&strategic(&once, b), &once);
    }
}
