//! The four ways to change part of an object.

mod apply;
mod compare;
mod fields;
mod json;
pub(crate) mod managed;
mod strategic;
#[cfg(test)]
mod tests;
mod types;

pub(crate) use apply::{Applied, Conflicts, apply};
pub(crate) use json::{json_patch, merge_patch};
pub(crate) use strategic::strategic_merge;
