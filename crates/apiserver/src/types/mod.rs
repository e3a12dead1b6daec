//! What the built-in kinds are made of: every field with its type, and how its lists and maps are merged.
//!
//! All of it comes from `openapi/definitions.json`, the OpenAPI definitions of Kubernetes itself. The same text is what
//! `/openapi/v3` serves; here it is compiled, once a process, so that bodies can be checked and patches merged by it.

mod conform;
mod definitions;
#[cfg(test)]
mod tests;

pub(crate) use conform::Findings;
pub(crate) use definitions::{OBJECT_META, line, references};

use crate::crd::{ListType, MapType};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

static TYPES: LazyLock<Types> = LazyLock::new(definitions::compile);

/// All of them. They refer to one another, also in circles, so structs have numbers.
#[derive(Debug, Default)]
struct Types {
    structs: Vec<Struct>,
    /// By group, version and kind, with the name of the definition.
    kinds: HashMap<(String, String, String), (&'static str, Type)>,
    object_meta: Type,
}

/// A field, an item of a list, or a value of a map.
#[derive(Debug, Clone, Default)]
pub(crate) struct Type {
    shape: Shape,
    list: ListType,
    map: MapType,
    strategic: Strategic,
    default: Option<Value>,
}

/// What JSON is accepted.
#[derive(Debug, Clone, Default)]
enum Shape {
    /// Anything: JSON inside, whose fields nobody here knows.
    #[default]
    Any,
    Text,
    /// Bytes in base64.
    Bytes,
    /// A moment, RFC 3339.
    Time,
    Quantity,
    Int32,
    Int64,
    Float,
    Bool,
    IntOrString,
    Struct(StructId),
    List(Box<Type>),
    Map(Box<Type>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct StructId(usize);

#[derive(Debug, Default)]
struct Struct {
    /// As Go calls it, such as `v1.PodSpec`.
    name: String,
    fields: BTreeMap<String, Type>,
    map: MapType,
}

/// How a strategic merge patch treats a list or a map.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Strategic {
    /// Lists are replaced, maps merged.
    #[default]
    Plain,
    /// A list of values without a key; new ones are added.
    MergeValues,
    /// A list whose items are told apart by this field.
    MergeBy(String),
}

/// The type of a built-in kind.
pub(crate) fn of_kind(group: &str, version: &str, kind: &str) -> Option<&'static Type> {
    find(group, version, kind).map(|(_, of)| of)
}

/// The name of its definition.
pub(crate) fn definition_of(group: &str, version: &str, kind: &str) -> Option<&'static str> {
    find(group, version, kind).map(|(name, _)| *name)
}

fn find(group: &str, version: &str, kind: &str) -> Option<&'static (&'static str, Type)> {
    let key = (group.to_owned(), version.to_owned(), kind.to_owned());
    TYPES.kinds.get(&key)
}

/// The type of `metadata`, in every kind.
pub(crate) fn object_meta() -> &'static Type {
    &TYPES.object_meta
}

impl Type {
    /// The type of a member, when this is a struct that has it, or a map.
    pub(crate) fn member(&self, name: &str) -> Option<&Type> {
        match &self.shape {
            Shape::Struct(id) => id.get().fields.get(name),
            Shape::Map(value) => Some(value),
            _ => None,
        }
    }

    /// The type of the items, when this is a list.
    pub(crate) fn item(&self) -> Option<&Type> {
        match &self.shape {
            Shape::List(item) => Some(item),
            _ => None,
        }
    }

    /// How server-side apply merges a list of this type.
    pub(crate) fn list(&self) -> &ListType {
        &self.list
    }

    /// How server-side apply merges a map of this type.
    pub(crate) fn map(&self) -> MapType {
        match &self.shape {
            Shape::Struct(id) if self.map == MapType::Granular => id.get().map,
            _ => self.map,
        }
    }

    /// How a strategic merge patch treats it.
    pub(crate) fn strategic(&self) -> &Strategic {
        &self.strategic
    }

    /// What a missing value counts as.
    pub(crate) fn default_value(&self) -> Option<&Value> {
        self.default.as_ref()
    }
}

impl StructId {
    fn get(self) -> &'static Struct {
        &TYPES.structs[self.0]
    }
}
