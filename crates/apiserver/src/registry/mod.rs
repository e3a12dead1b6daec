//! What the server serves: the built-in kinds and, on top, those of the CRDs.

pub(crate) mod builtin;
mod catalog;
pub(crate) mod names;
mod networking;
mod validate;
mod workloads;

pub(crate) use builtin::{Builtin, NameRule};
pub(crate) use catalog::{Catalog, Registry};
pub(crate) use validate::validate_metadata;

use crate::crd::CustomVersion;
use crate::status::{About, FieldError};
use serde_json::Value;
use std::sync::Arc;

/// Whether objects live in namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Namespaced,
    Cluster,
}

/// Whether status is written through its own subresource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StatusMode {
    Subresource,
    Inline,
}

/// Where the scale subresource finds its values, as JSON pointers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScalePaths {
    pub(crate) spec: String,
    pub(crate) status: String,
    /// A label-selector string, or a `LabelSelector` object for built-ins.
    pub(crate) selector: Option<String>,
}

/// One served version of one resource.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) scope: Scope,
    pub(crate) status: StatusMode,
    pub(crate) scale: Option<ScalePaths>,
    /// `plural.group`: the key in the store, the same for all versions.
    pub(crate) storage: Arc<str>,
    /// The `apiVersion` objects are stored in.
    pub(crate) storage_api_version: String,
    pub(crate) rules: Rules,
}

/// Where a kind's behaviour comes from.
#[derive(Debug, Clone)]
pub(crate) enum Rules {
    Builtin(&'static Builtin),
    Custom(Arc<CustomVersion>),
}

impl Kind {
    /// `group/version`, or `version` in the core group.
    pub(crate) fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// For messages about the resource (`deployments.apps "x"`).
    pub(crate) fn about<'a>(&'a self, name: &'a str) -> About<'a> {
        About {
            group: &self.group,
            what: &self.plural,
            name,
        }
    }

    /// For messages about the kind (`Deployment.apps "x" is invalid`).
    pub(crate) fn about_kind<'a>(&'a self, name: &'a str) -> About<'a> {
        About {
            group: &self.group,
            what: &self.kind,
            name,
        }
    }

    /// Fields that `fieldSelector` may name besides metadata.name and metadata.namespace.
    pub(crate) fn selectable_fields(&self) -> Vec<&str> {
        match &self.rules {
            Rules::Builtin(b) => b.selectable.to_vec(),
            Rules::Custom(c) => c.selectable.iter().map(String::as_str).collect(),
        }
    }

    /// Whether this is the built-in of that name in the store.
    pub(crate) fn is(&self, storage: &str) -> bool {
        &*self.storage == storage
    }

    /// Checks everything but metadata.
    pub(crate) fn validate(&self, new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
        match &self.rules {
            Rules::Builtin(b) => (b.validate)(new, old, errors),
            Rules::Custom(c) => c.validate(new, errors),
        }
    }

    /// Fills in what the client left out.
    pub(crate) fn default(&self, object: &mut Value) {
        match &self.rules {
            Rules::Builtin(b) => (b.default)(object),
            Rules::Custom(c) => c.default(object),
        }
    }

    /// The syntax of names.
    pub(crate) fn name_rule(&self) -> NameRule {
        match &self.rules {
            Rules::Builtin(b) => b.names,
            Rules::Custom(_) => NameRule::Subdomain,
        }
    }
}

/// `group/version`, or `version` in the core group.
pub(crate) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}
