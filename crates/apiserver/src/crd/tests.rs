//! Schemas and definitions.

use super::*;
use serde_json::json;

fn schema(json: Value) -> Schema {
    Schema::compile(&json).expect("compiles")
}

fn errors(schema: &Schema, object: &Value) -> Vec<String> {
    let mut found = Vec::new();
    schema.validate(object, "", &mut found);
    found.iter().map(ToString::to_string).collect()
}

fn shirt() -> Schema {
    schema(json!({
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "required": ["color"],
                "properties": {
                    "color": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5},
                    "size": {"type": "string", "enum": ["S", "M"], "default": "M"},
                    "count": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 9},
                    "ratio": {"type": "number", "minimum": 0, "exclusiveMinimum": true},
                    "port": {"x-kubernetes-int-or-string": true},
                    "tags": {"type": "array", "maxItems": 2, "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                    "washed": {"type": "object", "default": {}, "properties": {"at": {"type": "integer", "default": 30}}},
                    "note": {"type": "string", "nullable": true, "default": "none"},
                    "anything": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                },
            },
        },
    }))
}

#[test]
fn errors_name_the_field_and_the_rule() {
    let schema = shirt();
    let cases = [
        (json!({"spec": {}}), "spec.color: Required value"),
        (
            json!({"spec": {"color": "Red"}}),
            "spec.color: Invalid value: \"Red\": spec.color in body should match '^[a-z]+$'",
        ),
        (json!({"spec": {"color": "purple"}}), "spec.color: Too long"),
        (
            json!({"spec": {"color": "red", "size": "XL"}}),
            "spec.size: Unsupported value: \"XL\": supported values: \"S\", \"M\"",
        ),
        (
            json!({"spec": {"color": 1}}),
            "must be of type string: \"integer\"",
        ),
        (
            json!({"spec": {"color": "red", "count": 0}}),
            "should be greater than or equal to 1",
        ),
        (
            json!({"spec": {"color": "red", "count": 1.5}}),
            "must be of type integer",
        ),
        (
            json!({"spec": {"color": "red", "ratio": 0}}),
            "should be greater than 0",
        ),
        (
            json!({"spec": {"color": "red", "port": true}}),
            "integer or string",
        ),
        (
            json!({"spec": {"color": "red", "tags": ["a", "a"]}}),
            "spec.tags[1]: Duplicate value",
        ),
        (
            json!({"spec": {"color": "red", "tags": ["a", "b", "c"]}}),
            "spec.tags: Too many",
        ),
        (
            json!({"spec": {"color": "red", "labels": {"a": 1}}}),
            "spec.labels[a]",
        ),
    ];
    for (object, expected) in cases {
        let found = errors(&schema, &object);
        assert!(
            found.len() == 1 && found[0].contains(expected),
            "{object}: {found:?}"
        );
    }
    let good = json!({"spec": {"color": "red", "port": "http", "note": null, "count": 9, "ratio": 0.1, "labels": {"a": "b"}}});
    assert_eq!(errors(&schema, &good), Vec::<String>::new());
}

#[test]
fn combinations() {
    let one_of =
        schema(json!({"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}));
    assert!(errors(&one_of, &json!({"a": 1})).is_empty());
    assert!(errors(&one_of, &json!({"a": 1, "b": 1}))[0].contains("Found 2 valid alternatives"));
    assert!(errors(&one_of, &json!({}))[0].contains("Found none valid"));
    let not = schema(json!({"type": "object", "not": {"required": ["a"]}}));
    assert_eq!(errors(&not, &json!({"a": 1})).len(), 1);
    let any =
        schema(json!({"type": "object", "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}));
    assert!(errors(&any, &json!({"b": 1})).is_empty());
    assert_eq!(errors(&any, &json!({})).len(), 1);
}

#[test]
fn defaults_fill_in_at_every_level() {
    let mut object = json!({"spec": {"color": "red", "size": null, "note": null}});
    shirt().fill_defaults(&mut object);
    assert_eq!(
        object,
        json!({"spec": {"color": "red", "size": "M", "note": null, "washed": {"at": 30}}}),
        "null counts as absent unless it is allowed"
    );
}

#[test]
fn unknown_fields_are_pruned_and_named() {
    let mut object = json!({
        "apiVersion": "v1", "kind": "Shirt", "metadata": {"name": "s"},
        "extra": 1,
        "spec": {"color": "red", "colour": "red", "anything": {"deep": {"er": 1}}, "labels": {"k": "v"}, "washed": {"x": 1}},
    });
    let mut unknown = Vec::new();
    shirt().prune_root(&mut object, &mut unknown);
    unknown.sort();
    assert_eq!(unknown, ["extra", "spec.colour", "spec.washed.x"]);
    assert_eq!(
        object["spec"],
        json!({"color": "red", "anything": {"deep": {"er": 1}}, "labels": {"k": "v"}, "washed": {}})
    );
    assert_eq!(object["metadata"]["name"], "s");
}

#[test]
fn a_schema_that_cannot_be_used_is_refused() {
    let refused = |json: Value| Schema::compile(&json).expect_err("refused");
    let typo = refused(json!({"type": "object", "properties": {"a": {"type": "sting"}}}));
    assert_eq!(typo.path, "openAPIV3Schema.properties[a]");
    assert!(typo.why.contains("sting"));
    assert!(
        refused(json!({"type": "string", "pattern": "("}))
            .why
            .contains("pattern cannot be used")
    );
    let mut deep = json!({"type": "string"});
    for _ in 0..80 {
        deep = json!({"type": "array", "items": deep});
    }
    assert!(refused(deep).why.contains("deeper than"));
}

fn definition() -> Value {
    json!({
        "metadata": {"name": "shirts.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "shirts", "kind": "Shirt"},
            "versions": [
                {"name": "v1beta1", "served": true, "storage": false, "schema": {"openAPIV3Schema": {"type": "object"}}},
                {"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}},
                {"name": "v0", "served": false, "storage": false, "schema": {"openAPIV3Schema": {"type": "object"}}},
            ],
        },
    })
}

#[test]
fn a_definition_gets_names_and_is_established() {
    let mut crd = definition();
    assert!(kinds(&crd).is_empty(), "not established yet");
    default_definition(&mut crd);
    assert_eq!(crd["spec"]["names"]["listKind"], "ShirtList");
    assert_eq!(crd["spec"]["names"]["singular"], "shirt");
    assert_eq!(crd["status"]["storedVersions"], json!(["v1"]));
    let mut found = Vec::new();
    validate_definition(&crd, None, &mut found);
    assert_eq!(found, []);
    let served: Vec<String> = kinds(&crd).iter().map(|k| k.version.clone()).collect();
    assert_eq!(served, ["v1beta1", "v1"]);
    assert!(
        kinds(&crd)
            .iter()
            .all(|k| k.storage_api_version == "example.com/v1")
    );
}

#[test]
fn a_bad_definition_says_why() {
    let error = |change: fn(&mut Value)| {
        let mut crd = definition();
        change(&mut crd);
        default_definition(&mut crd);
        let mut found = Vec::new();
        validate_definition(&crd, None, &mut found);
        found.iter().map(|e| e.field.clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        error(|c| c["metadata"]["name"] = json!("x.example.com")),
        ["metadata.name"]
    );
    assert_eq!(
        error(|c| c["spec"]["scope"] = json!("Global")),
        ["spec.scope"]
    );
    assert_eq!(
        error(|c| c["spec"]["versions"][0]["storage"] = json!(true)),
        ["spec.versions"]
    );
    assert_eq!(
        error(|c| c["spec"]["versions"][0]["name"] = json!("v1")),
        ["spec.versions[1].name"]
    );
    assert_eq!(
        error(|c| c["spec"]["conversion"] = json!({"strategy": "Webhook"})),
        ["spec.conversion.strategy"]
    );
    assert_eq!(
        error(
            |c| c["spec"]["versions"][1]["schema"]["openAPIV3Schema"]["properties"] =
                json!({"a": {"type": "x"}})
        ),
        ["spec.versions[1].schema.openAPIV3Schema.properties[a]"]
    );
    let mut changed = definition();
    changed["spec"]["scope"] = json!("Cluster");
    let mut found = Vec::new();
    default_definition(&mut changed);
    validate_definition(&changed, Some(&definition()), &mut found);
    assert_eq!(found[0].field, "spec.scope");
}

#[test]
fn versions_sort_by_maturity() {
    let mut all = [
        "v1alpha1", "v2", "other", "v1beta2", "v10", "v1", "v1beta10",
    ];
    all.sort_by(|a, b| version_order(a, b));
    assert_eq!(
        all,
        [
            "v10", "v2", "v1", "v1beta10", "v1beta2", "v1alpha1", "other"
        ]
    );
}
