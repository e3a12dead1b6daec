//! The four ways to change part of an object.

mod json;
pub(crate) mod managed;

pub(crate) use json::{json_patch, merge_patch};
