//! `metadata.managedFields`: who set what.

use crate::ops::{Part, WriteOptions};
use crate::registry::Kind;
use serde_json::Value;

/// Records the creator.
pub(crate) fn on_create(_kind: &Kind, _object: &mut Value, _options: &WriteOptions) {}

/// Records an updater.
pub(crate) fn on_update(
    _kind: &Kind,
    _part: Part,
    _old: &Value,
    _new: &mut Value,
    _options: &WriteOptions,
) {
}
