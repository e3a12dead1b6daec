//! Which entries of a map changed.

use crate::SharedMap;
use imbl::ordmap::DiffItem;

/// A key whose value differs between two maps: the new value, or `None` when it is gone.
pub type Difference<'a, K, V> = (&'a K, Option<&'a V>);

/// All differences from `old` to `new`, sorted by key; `None` is an empty map. What the maps share is not looked at.
pub fn differences<'a, K: Ord, V: PartialEq>(
    old: Option<&'a SharedMap<K, V>>,
    new: &'a SharedMap<K, V>,
) -> Vec<Difference<'a, K, V>> {
    let Some(old) = old else {
        return new.iter().map(|(key, value)| (key, Some(value))).collect();
    };
    let difference = |item| match item {
        DiffItem::Add(key, value)
        | DiffItem::Update {
            new: (key, value), ..
        } => (key, Some(value)),
        DiffItem::Remove(key, _) => (key, None),
    };
    old.diff(new).map(difference).collect()
}
