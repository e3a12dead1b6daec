//! Which entries of a sorted map changed.

use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A key whose value differs between two maps: the new value, or `None` when it is gone.
pub type Difference<'a, K, V> = (&'a K, Option<&'a V>);

/// All differences from `old` to `new`, in one walk along both; `None` is an empty map.
pub fn differences<'a, K: Ord, V: PartialEq>(
    old: Option<&'a BTreeMap<K, V>>,
    new: &'a BTreeMap<K, V>,
) -> Vec<Difference<'a, K, V>> {
    let mut found = Vec::new();
    let mut old = old.into_iter().flatten().peekable();
    let mut new = new.iter().peekable();
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return found,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((a, _)), Some((b, _))) => a.cmp(b),
        };
        let before = (order != Ordering::Greater).then(|| old.next()).flatten();
        let after = (order != Ordering::Less).then(|| new.next()).flatten();
        match (before, after) {
            (Some((_, before)), Some((_, after))) if before == after => {}
            (_, Some((key, after))) => found.push((key, Some(after))),
            (Some((key, _)), None) => found.push((key, None)),
            (None, None) => return found,
        }
    }
}
