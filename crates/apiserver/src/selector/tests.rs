//! Selectors.

use super::*;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;

fn matches(selector: &str, labels: &Value) -> bool {
    let object = json!({"metadata": {"labels": labels}});
    LabelSelector::parse(selector)
        .expect("parses")
        .matches(&object)
}

#[test]
fn every_operator() {
    let labels = json!({"app": "web", "tier": "", "n": "5"});
    for yes in [
        "",
        "app=web",
        "app==web",
        "app!=db",
        "missing!=x",
        "app in (db,web)",
        "app notin (db)",
        "missing notin (a)",
        "app",
        "!missing",
        "n>4",
        "n<6",
        "tier=",
        "app=web,n>4,!x",
        " app = web , n in ( 5 , 6 ) ",
    ] {
        assert!(matches(yes, &labels), "{yes}");
    }
    for no in [
        "app=db",
        "app!=web",
        "app in (db)",
        "app notin (web,db)",
        "missing",
        "!app",
        "n>5",
        "n<5",
        "app>1",
        "missing>1",
        "app=web,!n",
    ] {
        assert!(!matches(no, &labels), "{no}");
    }
    assert!(matches("!a,b!=c", &Value::Null), "no labels at all");
}

#[test]
fn nonsense_is_refused() {
    for text in [
        "app=web,",
        "=x",
        "a in b",
        "a in (",
        "a b",
        "a=b c",
        "a=$",
        "n>x",
        ",",
        "a in (b))",
        "-a=b",
    ] {
        assert!(LabelSelector::parse(text).is_err(), "{text}");
    }
}

#[test]
fn fields() {
    let object =
        json!({"metadata": {"name": "a", "namespace": "n"}, "spec": {"nodeName": "x", "on": true}});
    let check = |text: &str| {
        FieldSelector::parse(text, &["spec.nodeName", "spec.on"]).map(|s| s.matches(&object))
    };
    assert_eq!(check("metadata.name=a,metadata.namespace==n"), Ok(true));
    assert_eq!(check("spec.nodeName!=x"), Ok(false));
    assert_eq!(check("spec.nodeName="), Ok(false));
    assert_eq!(check("spec.on=true"), Ok(true));
    let unknown = check("spec.other=1").expect_err("not supported");
    assert_eq!(unknown.message, "field label not supported: spec.other");
    assert!(check("metadata.name").is_err());
}

proptest! {
    /// Any text is either refused or understood; it never panics.
    #[test]
    fn no_text_breaks_the_parser(text in ".{0,40}", labels in "[a-z!=<>(), ]{0,40}") {
        let object = json!({"metadata": {"labels": {"a": "b"}}});
        for text in [text, labels] {
            let _ = LabelSelector::parse(&text).map(|s| s.matches(&object));
            let _ = FieldSelector::parse(&text, &["a"]).map(|s| s.matches(&object));
        }
    }

    /// `in` and `notin` are each other's opposite, and `=` is `in` with one value.
    #[test]
    fn operators_agree(
        labels in proptest::collection::btree_map("[a-c]", "[x-z]{0,2}", 0..4),
        key in "[a-d]",
        values in proptest::collection::vec("[x-z]{1,2}", 1..4),
    ) {
        let labels: BTreeMap<String, String> = labels;
        let labels = json!(labels);
        let list = values.join(",");
        prop_assert_ne!(matches(&format!("{key} in ({list})"), &labels), matches(&format!("{key} notin ({list})"), &labels));
        let one = values.iter().any(|v| matches(&format!("{key}={v}"), &labels));
        prop_assert_eq!(one, matches(&format!("{key} in ({list})"), &labels));
        prop_assert_ne!(matches(&key, &labels), matches(&format!("!{key}"), &labels));
    }
}
