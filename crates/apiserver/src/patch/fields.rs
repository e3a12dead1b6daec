//! A set of field paths, as `fieldsV1` writes it.
//!
//! Path elements are kept in their written form: `f:name` for a member, `k:{...}` for a list item by
//! its keys, `v:...` for an item of a set.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A tree of paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    /// Whether the path up to here is in the set itself.
    pub(crate) own: bool,
    pub(crate) children: BTreeMap<String, Fields>,
}

impl Fields {
    /// The set with just the root of a tree in it.
    pub(crate) fn leaf() -> Self {
        Fields {
            own: true,
            children: BTreeMap::new(),
        }
    }

    /// Reads `fieldsV1`; what cannot be read is left out.
    pub(crate) fn parse(json: &Value) -> Self {
        let Some(map) = json.as_object() else {
            return Fields::default();
        };
        let mut fields = Fields::default();
        for (name, child) in map {
            if name == "." {
                fields.own = true;
            } else {
                let mut child = Fields::parse(child);
                if child.children.is_empty() {
                    child.own = true;
                }
                fields.children.insert(name.clone(), child);
            }
        }
        fields
    }

    /// Writes `fieldsV1`.
    pub(crate) fn to_value(&self) -> Value {
        let mut map = Map::new();
        if self.own && !self.children.is_empty() {
            map.insert(".".to_owned(), Value::Object(Map::new()));
        }
        for (name, child) in &self.children {
            map.insert(name.clone(), child.to_value());
        }
        Value::Object(map)
    }

    /// Whether no path is in the set.
    pub(crate) fn is_empty(&self) -> bool {
        !self.own && self.children.is_empty()
    }

    /// A child, made when missing.
    pub(crate) fn child(&mut self, element: String) -> &mut Fields {
        self.children.entry(element).or_default()
    }

    /// Adds a child unless it is empty.
    pub(crate) fn put(&mut self, element: String, child: Fields) {
        if !child.is_empty() {
            self.children.insert(element, child);
        }
    }

    /// All paths of both.
    pub(crate) fn union(&mut self, other: &Fields) {
        self.own |= other.own;
        for (name, child) in &other.children {
            self.child(name.clone()).union(child);
        }
    }

    /// The paths that are not in `other`.
    pub(crate) fn minus(&self, other: &Fields) -> Fields {
        let mut left = Fields {
            own: self.own && !other.own,
            children: BTreeMap::new(),
        };
        for (name, child) in &self.children {
            let rest = other
                .children
                .get(name)
                .map_or_else(|| child.clone(), |o| child.minus(o));
            left.put(name.clone(), rest);
        }
        left
    }

    /// The paths in both.
    pub(crate) fn intersect(&self, other: &Fields) -> Fields {
        let mut both = Fields {
            own: self.own && other.own,
            children: BTreeMap::new(),
        };
        for (name, child) in &self.children {
            if let Some(o) = other.children.get(name) {
                both.put(name.clone(), child.intersect(o));
            }
        }
        both
    }

    /// The paths that are in `changed`, or lie above or below one of its: who set a whole map is also
    /// hit by a change of one member when the map is atomic to one side only.
    pub(crate) fn without_touched(&self, changed: &Fields) -> Fields {
        if changed.own && changed.children.is_empty() {
            return Fields::default();
        }
        let mut left = Fields {
            own: self.own && !changed.own,
            children: BTreeMap::new(),
        };
        for (name, child) in &self.children {
            let rest = changed
                .children
                .get(name)
                .map_or_else(|| child.clone(), |c| child.without_touched(c));
            left.put(name.clone(), rest);
        }
        left
    }

    /// All paths as people read them (`.spec.containers[name="c"].image`).
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut all = Vec::new();
        self.collect("", &mut all);
        all
    }

    fn collect(&self, at: &str, all: &mut Vec<String>) {
        if self.own && !at.is_empty() {
            all.push(at.to_owned());
        }
        for (name, child) in &self.children {
            child.collect(&format!("{at}{}", shown(name)), all);
        }
    }
}

fn shown(element: &str) -> String {
    let (kind, rest) = element.split_once(':').unwrap_or(("", element));
    match kind {
        "f" => format!(".{rest}"),
        "k" => {
            let keys: Map<String, Value> = serde_json::from_str(rest).unwrap_or_default();
            let keys: Vec<String> = keys.iter().map(|(k, v)| format!("{k}={v}")).collect();
            format!("[{}]", keys.join(","))
        }
        "v" => format!("[={rest}]"),
        _ => format!("[{rest}]"),
    }
}
