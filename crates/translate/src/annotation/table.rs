//! Every annotation that Tidegate knows: the one source of what is read, what is documented and what
//! `tidegate migrate` says. A row is
//!
//! ```text
//! "name", who writes it so, what it belongs to, what its value is, "default",
//!     "what it does", "the same in Chinese",
//!     ~ "where it differs from ingress-nginx or the original", "the same in Chinese",    (or no such line)
//!     state;
//! ```
//!
//! Rows are alike on purpose: a feature that begins to work changes the last line of its row. The documents
//! are made anew with `cargo xtask docs`.

mod backend;
mod other;
mod protection;
mod routing;

use super::State;
use super::kind::ValueKind;
use std::collections::HashMap;
use std::sync::LazyLock;

/// One annotation.
pub(crate) struct Row {
    /// Without prefix. A `*` at its end stands for a name within the key.
    pub(crate) name: &'static str,
    pub(crate) spelling: Spelling,
    pub(crate) scope: Scope,
    pub(crate) kind: ValueKind,
    /// What happens without it; empty where there is no value for that.
    pub(crate) default: &'static str,
    pub(crate) meaning: Text,
    /// Where it differs from ingress-nginx or the original; with a row that has no effect, why, and what to do instead.
    pub(crate) differs: Option<Text>,
    pub(crate) state: State,
}

/// Annotations about one subject.
pub(crate) struct Group {
    pub(crate) title: Text,
    pub(crate) rows: &'static [Row],
}

/// A sentence without its full stop, in both languages.
#[derive(Clone, Copy)]
pub(crate) struct Text {
    pub(crate) en: &'static str,
    pub(crate) zh: &'static str,
}

/// Under which prefixes a name is known.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// All of [`super::PREFIXES`].
    Both,
    /// All but nginx's: the name is not one of ingress-nginx.
    Own,
}

/// What an annotation belongs to when several Ingresses share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The routes of its Ingress.
    Ingress,
    /// The hosts of its Ingress: the oldest Ingress of a host says it.
    Domain,
    /// The Services of its Ingress.
    Service,
}

/// A group and its rows, in the form that the head of this file shows.
macro_rules! group {
    ($en:literal, $zh:literal; $(
        $name:literal, $spelling:ident, $scope:ident, $kind:expr, $default:literal,
        $meaning:literal, $meaning_zh:literal, $(~ $differs:literal, $differs_zh:literal,)? $state:expr;
    )*) => {
        Group {
            title: $crate::annotation::table::Text { en: $en, zh: $zh },
            rows: &[$(Row {
                name: $name,
                spelling: $spelling,
                scope: $scope,
                kind: $kind,
                default: $default,
                meaning: $crate::annotation::table::Text { en: $meaning, zh: $meaning_zh },
                differs: group!(@ $($differs, $differs_zh)?),
                state: $state,
            }),*],
        }
    };
    (@) => { None };
    (@ $en:literal, $zh:literal) => { Some($crate::annotation::table::Text { en: $en, zh: $zh }) };
}
use group;

/// All groups, in the order in which they are documented.
pub(crate) fn groups() -> impl Iterator<Item = &'static Group> {
    [
        routing::GROUPS,
        backend::GROUPS,
        protection::GROUPS,
        other::GROUPS,
    ]
    .into_iter()
    .flatten()
}

/// The row of a name without its prefix.
pub(crate) fn look_up(name: &str) -> Option<&'static Row> {
    static EXACT: LazyLock<HashMap<&str, &Row>> =
        LazyLock::new(|| rows().map(|row| (row.name, row)).collect());
    EXACT.get(name).copied().or_else(|| {
        rows()
            .filter_map(|row| Some((row, row.name.strip_suffix('*')?)))
            .find(|(_, stem)| name.len() > stem.len() && name.starts_with(stem))
            .map(|(row, _)| row)
    })
}

pub(crate) fn rows() -> impl Iterator<Item = &'static Row> {
    groups().flat_map(|group| group.rows)
}

#[cfg(test)]
mod tests;
