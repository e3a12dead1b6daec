//! Durations are written as people write them: `500ms`, `1m 30s`.

pub(crate) use jiff::fmt::serde::unsigned_duration::friendly::compact::required::{
    deserialize, serialize,
};

/// The same, where there may be none.
pub(crate) mod optional {
    pub(crate) use jiff::fmt::serde::unsigned_duration::friendly::compact::optional::{
        deserialize, serialize,
    };
}
