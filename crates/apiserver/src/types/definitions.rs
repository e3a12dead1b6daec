//! The text of the definitions, line by line, and its compiled form.

use super::{Shape, Strategic, Struct, StructId, Type, Types};
use crate::crd::{ListType, MapType};
use crate::object;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

/// Made by `openapi/generate.go`, which says how it reads.
const TEXT: &str = include_str!("../../openapi/definitions.json");

const REFERENCE: &str = "#/components/schemas/";
/// What `metadata` is.
pub(crate) const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// Each definition's text, by name.
static LINES: LazyLock<BTreeMap<&'static str, &'static str>> = LazyLock::new(|| {
    TEXT.lines()
        .filter_map(|line| {
            let (name, schema) = line.strip_prefix('"')?.split_once("\":")?;
            Some((name, schema.trim_end_matches(',')))
        })
        .collect()
});

/// The JSON of a definition.
pub(crate) fn line(name: &str) -> Option<&'static str> {
    LINES.get(name).copied()
}

/// The names of all definitions.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    LINES.keys().copied()
}

/// The definitions that the JSON of one refers to.
pub(crate) fn references(schema: &'static str) -> impl Iterator<Item = &'static str> {
    let rest = schema.split(REFERENCE).skip(1);
    rest.filter_map(|after| after.split_once('"').map(|(name, _)| name))
}

/// Compiles all definitions. They are part of the program, and a test compiles them.
pub(super) fn compile() -> Types {
    let all: BTreeMap<&'static str, Value> = LINES
        .iter()
        .map(|(name, text)| {
            let schema =
                serde_json::from_str(text).expect("every line is JSON, which a test shows");
            (*name, schema)
        })
        .collect();
    let structs: HashMap<&str, StructId> = all
        .iter()
        .filter(|(_, schema)| schema.get("properties").is_some())
        .enumerate()
        .map(|(number, (name, _))| (*name, StructId(number)))
        .collect();
    let compiler = Compiler { structs };
    let mut types = Types::default();
    for (name, schema) in &all {
        let whole = compiler.reference(name);
        for kind in object::items(schema.get("x-kubernetes-group-version-kind")) {
            let text = |field| object::text(kind, field).to_owned();
            let key = (text("/group"), text("/version"), text("/kind"));
            types.kinds.insert(key, (*name, whole.clone()));
        }
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            types.structs.push(Struct {
                name: go_name(name),
                fields: properties
                    .iter()
                    .map(|(name, schema)| (name.clone(), compiler.field(schema)))
                    .collect(),
                map: map_type(schema),
            });
        }
    }
    types.object_meta = compiler.reference(OBJECT_META);
    types
}

struct Compiler<'a> {
    structs: HashMap<&'a str, StructId>,
}

impl Compiler<'_> {
    /// The type a definition's name stands for.
    fn reference(&self, name: &str) -> Type {
        let shape = match self.structs.get(name) {
            Some(id) => Shape::Struct(*id),
            None => match name.rsplit('.').next() {
                Some("Quantity") => Shape::Quantity,
                Some("IntOrString") => Shape::IntOrString,
                Some("Time" | "MicroTime") => Shape::Time,
                _ => Shape::Any,
            },
        };
        Type {
            shape,
            ..Type::default()
        }
    }

    fn field(&self, schema: &Value) -> Type {
        let target = schema
            .get("$ref")
            .or_else(|| schema.pointer("/allOf/0/$ref"))
            .and_then(Value::as_str)
            .and_then(|target| target.strip_prefix(REFERENCE));
        let shape = match target {
            Some(name) => self.reference(name).shape,
            None => self.shape(schema),
        };
        Type {
            shape,
            list: list_type(schema),
            map: map_type(schema),
            strategic: strategic(schema),
            default: schema.get("default").cloned(),
        }
    }

    fn shape(&self, schema: &Value) -> Shape {
        let inner = |field| schema.get(field).map(|inner| Box::new(self.field(inner)));
        match (
            object::text(schema, "/type"),
            object::text(schema, "/format"),
        ) {
            ("string", "byte") => Shape::Bytes,
            ("string", "date-time") => Shape::Time,
            ("string", _) => Shape::Text,
            ("integer", "int32") => Shape::Int32,
            ("integer", _) => Shape::Int64,
            ("number", _) => Shape::Float,
            ("boolean", _) => Shape::Bool,
            ("array", _) => inner("items").map_or(Shape::Any, Shape::List),
            ("object", _) => inner("additionalProperties").map_or(Shape::Any, Shape::Map),
            _ => Shape::Any,
        }
    }
}

fn list_type(schema: &Value) -> ListType {
    match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
        Some("set") => ListType::Set,
        Some("map") => ListType::Map(
            object::strings(schema.get("x-kubernetes-list-map-keys"))
                .into_iter()
                .map(str::to_owned)
                .collect(),
        ),
        _ => ListType::Atomic,
    }
}

fn map_type(schema: &Value) -> MapType {
    match schema.get("x-kubernetes-map-type").and_then(Value::as_str) {
        Some("atomic") => MapType::Atomic,
        _ => MapType::Granular,
    }
}

fn strategic(schema: &Value) -> Strategic {
    let strategies = object::text(schema, "/x-kubernetes-patch-strategy");
    let merges = strategies.split(',').any(|strategy| strategy == "merge");
    match object::text(schema, "/x-kubernetes-patch-merge-key") {
        "" if merges => Strategic::MergeValues,
        key if merges => Strategic::MergeBy(key.to_owned()),
        _ => Strategic::Plain,
    }
}

/// `io.k8s.api.core.v1.PodSpec` is `v1.PodSpec` in Go's messages.
fn go_name(definition: &str) -> String {
    let mut parts = definition.rsplit('.');
    let (name, package) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    format!("{package}.{name}")
}
