//! The name that a client asks for, among hosts.

use std::collections::HashMap;
use tidegate_model::HostPattern;

/// What stands for `name`: an exact name before a wildcard, which stands for one label, before the default. A host that
/// `is_known` otherwise, and does not stand here, has nothing, whatever wider names have.
pub(super) fn narrowest<'m, T>(
    all: &'m HashMap<HostPattern, T>,
    name: Option<&str>,
    is_known: impl Fn(&HostPattern) -> bool,
) -> Option<&'m T> {
    if all.is_empty() {
        return None;
    }
    if let Some(name) = name {
        // rustls accepts upper case and refuses a trailing dot.
        let name = name.to_ascii_lowercase();
        let parent = name.split_once('.').map(|(_, parent)| parent.to_owned());
        let wildcard = parent.map(|parent| HostPattern::Wildcard(parent.into()));
        let hosts = [Some(HostPattern::Exact(name.into())), wildcard];
        for host in hosts.into_iter().flatten() {
            match all.get(&host) {
                Some(found) => return Some(found),
                None if is_known(&host) => return None,
                None => {}
            }
        }
    }
    all.get(&HostPattern::Any)
}
