//! What kube-apiserver's admission plugins set on new objects from other objects.

use crate::object;
use crate::registry::Kind;
use crate::store::State;
use serde_json::Value;

const INGRESSES: &str = "ingresses.networking.k8s.io";
const CLASSES: &str = "ingressclasses.networking.k8s.io";
const IS_DEFAULT: &str = "/metadata/annotations/ingressclass.kubernetes.io~1is-default-class";
/// The way to name a class before `spec.ingressClassName`.
const OLD_CLASS: &str = "/metadata/annotations/kubernetes.io~1ingress.class";

/// As the plugin DefaultIngressClass: an Ingress that names no class gets the default one.
pub(super) fn default_ingress_class(kind: &Kind, state: &State, body: &mut Value) {
    let names_one =
        body.pointer("/spec/ingressClassName").is_some() || body.pointer(OLD_CLASS).is_some();
    if !kind.is(INGRESSES) || names_one {
        return;
    }
    let classes = state.list(CLASSES, None).map(|class| &class.value);
    if let Some(class) = default_class(classes) {
        let name = Value::from(class);
        object::child_mut(body, "spec").insert("ingressClassName".to_owned(), name);
    }
}

/// Of several default classes the newest counts, then the first by name.
fn default_class<'a>(classes: impl Iterator<Item = &'a Value>) -> Option<&'a str> {
    let defaults = classes.filter(|class| object::text(class, IS_DEFAULT) == "true");
    let newest = defaults.min_by(|a, b| {
        let created = |class| object::meta(class, "creationTimestamp");
        let newer = created(b).cmp(created(a));
        newer.then_with(|| object::name(a).cmp(object::name(b)))
    });
    newest.map(object::name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn class(name: &str, created: &str, default: Option<&str>) -> Value {
        let mut class = json!({"metadata": {"name": name, "creationTimestamp": created}});
        if let Some(default) = default {
            class["metadata"]["annotations"] =
                json!({"ingressclass.kubernetes.io/is-default-class": default});
        }
        class
    }

    #[test]
    fn the_newest_default_class_counts_then_the_first_by_name() {
        let old = class("old", "2026-01-01T00:00:00Z", Some("true"));
        let b = class("b", "2026-02-01T00:00:00Z", Some("true"));
        let a = class("a", "2026-02-01T00:00:00Z", Some("true"));
        let not = class("not", "2026-03-01T00:00:00Z", Some("false"));
        let silent = class("silent", "2026-03-01T00:00:00Z", None);
        let all = [&old, &b, &a, &not, &silent];
        assert_eq!(default_class(all.into_iter()), Some("a"));
        assert_eq!(default_class([&old, &not].into_iter()), Some("old"));
        assert_eq!(default_class([&not, &silent].into_iter()), None);
    }
}
