//! How the lists and maps of a kind are merged: as its schema says, that of a CRD or that of Kubernetes itself.

use crate::crd::{ListType, MapType, Schema};
use crate::registry::{Kind, Rules};
use crate::types::{self, Strategic, Type};
use serde_json::Value;

/// A place in the type of a kind.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    /// A node of a CRD's schema.
    Custom(&'a Schema),
    /// A part of a built-in kind.
    Builtin(&'a Type),
    /// Not described: granular maps, atomic lists.
    Unknown,
}

impl<'a> Place<'a> {
    /// The root of a kind.
    pub(crate) fn root(kind: &'a Kind) -> Place<'a> {
        match &kind.rules {
            Rules::Builtin(b) => {
                types::of_kind(b.group, b.version, b.kind).map_or(Place::Unknown, Place::Builtin)
            }
            Rules::Custom(custom) => Place::Custom(&custom.schema),
        }
    }

    /// A member of a map.
    pub(crate) fn field(self, name: &str) -> Place<'a> {
        match self {
            Place::Custom(schema) => match schema.member(name) {
                Some(schema) => Place::Custom(schema),
                // Metadata has its own rules, whatever the schema says.
                None if name == "metadata" => Place::Builtin(types::object_meta()),
                None => Place::Unknown,
            },
            Place::Builtin(of) => of.member(name).map_or(Place::Unknown, Place::Builtin),
            Place::Unknown => Place::Unknown,
        }
    }

    /// The items of a list.
    pub(crate) fn item(self) -> Place<'a> {
        match self {
            Place::Custom(schema) => schema
                .items
                .as_deref()
                .map_or(Place::Unknown, Place::Custom),
            Place::Builtin(of) => of.item().map_or(Place::Unknown, Place::Builtin),
            Place::Unknown => Place::Unknown,
        }
    }

    /// How server-side apply merges a list here.
    pub(crate) fn list(self) -> ListType {
        match self {
            Place::Custom(schema) => schema.list_type.clone(),
            Place::Builtin(of) => of.list().clone(),
            Place::Unknown => ListType::Atomic,
        }
    }

    /// How server-side apply merges a map here.
    pub(crate) fn map(self) -> MapType {
        match self {
            Place::Custom(schema) => schema.map_type,
            Place::Builtin(of) => of.map(),
            Place::Unknown => MapType::Granular,
        }
    }

    /// How a strategic merge patch treats a list here; custom kinds have no such patches.
    pub(crate) fn strategic(self) -> Strategic {
        match self {
            Place::Builtin(of) => of.strategic().clone(),
            Place::Custom(_) | Place::Unknown => Strategic::Plain,
        }
    }

    /// The value a missing key field of a list item counts as.
    pub(crate) fn key_default(self, key: &str) -> Option<Value> {
        match self {
            Place::Custom(schema) => schema.member(key).and_then(Schema::default_value).cloned(),
            Place::Builtin(of) => of.member(key).and_then(Type::default_value).cloned(),
            Place::Unknown => None,
        }
    }
}
