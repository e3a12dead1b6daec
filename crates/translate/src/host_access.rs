//! Lists of addresses that hold for a whole host: the oldest Ingress of the host gives them.

use crate::Reason;
use crate::annotation::HostAccess;
use crate::diagnostic::Sink;
use crate::ingress::{Mine, served_hosts};
use crate::routes::Routes;
use std::collections::BTreeMap;
use tidegate_model::{Access, Action, HostPattern};

/// Puts the lists of hosts into those routes that have none of their own. A younger Ingress's list holds for its
/// own routes only, which have it already. `ours` are the Ingresses of our classes, the oldest first.
pub(crate) fn apply(ours: &[Mine<'_>], routes: &mut Routes, diagnostics: &mut Sink) {
    let mut owners: BTreeMap<HostPattern, &Mine<'_>> = BTreeMap::new();
    for mine in ours {
        for host in served_hosts(mine.ingress) {
            let owner = *owners.entry(host.clone()).or_insert(mine);
            if mine.annotations.host_access.is_some() && owner.object != mine.object {
                let text = format!(
                    "{} is older and says who may use host {host}: the lists of this Ingress hold for its own routes only",
                    owner.object
                );
                diagnostics.warning(&mine.object, "metadata.annotations", Reason::Conflict, text);
            }
        }
    }
    for (host, routes) in routes {
        let owner = owners.get(host);
        let Some(lists) = owner.and_then(|mine| mine.annotations.host_access.as_ref()) else {
            continue;
        };
        for (_, route) in routes {
            match lists {
                HostAccess::Closed => route.action = Action::Respond(503),
                HostAccess::Lists(lists) if route.filters.access == Access::default() => {
                    route.filters.access = lists.clone();
                }
                HostAccess::Lists(_) => {}
            }
        }
    }
}
