//! Hosts whose TLS is not ended by the gateway: `ssl-passthrough` of the oldest Ingress of a host.

use crate::Reason;
use crate::alias::{self, Aliases};
use crate::diagnostic::Sink;
use crate::ingress::{Mine, served_hosts};
use crate::part::Part;
use crate::routes::Routes;
use std::collections::BTreeMap;
use tidegate_model::{Access, Action, Forward, HostPattern, PathMatch};

/// Fills in `passthrough` of `part`. Connections go where the route for `/` goes: what they ask for cannot be seen.
/// `ours` are the Ingresses of our classes, the oldest first.
pub(crate) fn compile(
    ours: &[Mine<'_>],
    routes: &Routes,
    aliases: &Aliases,
    part: &mut Part,
    diagnostics: &mut Sink,
) {
    let mut oldest: BTreeMap<HostPattern, &Mine<'_>> = BTreeMap::new();
    for mine in ours {
        let key = mine.annotations.passthrough.as_deref();
        let field = key.map(|key| format!("metadata.annotations[{key}]"));
        for host in served_hosts(mine.ingress) {
            let owner = *oldest.entry(host.clone()).or_insert(mine);
            let Some(field) = &field else { continue };
            if owner.object != mine.object {
                let text = format!(
                    "{} is older and has host {host}: its TLS is not passed through",
                    owner.object
                );
                diagnostics.error(&mine.object, field, Reason::Conflict, text);
                continue;
            }
            match root(mine, routes, &host) {
                Some(forward) => {
                    part.passthrough.insert(host, forward.clone().into());
                }
                None => {
                    let text = format!(
                        "TLS for {host} is not passed through: that needs a path / with a Service that can be served"
                    );
                    diagnostics.error(&mine.object, field, Reason::NoEffect, text);
                }
            }
        }
        if let Some(field) = &field
            && is_guarded(mine)
        {
            let text = "requests in TLS are not looked at: what guards the routes of this Ingress holds for requests \
                        without TLS only";
            diagnostics.warning(&mine.object, field, Reason::NoEffect, text.to_owned());
        }
    }
    alias::follow(aliases, &mut part.passthrough);
}

/// Where requests for the root of a host go by an Ingress.
fn root<'r>(mine: &Mine<'_>, routes: &'r Routes, host: &HostPattern) -> Option<&'r Forward> {
    let is_root = |path: &PathMatch| !matches!(path, PathMatch::Regex(_)) && path.as_str() == "/";
    let own = routes.get(host)?.iter();
    let mut own =
        own.filter(|(owners, route)| owners.contains(&mine.object) && is_root(&route.path));
    own.find_map(|(_, route)| match &route.action {
        Action::Forward(forward) => Some(forward),
        // A canary's part cannot be told from the rest.
        Action::Split(shares) => shares.first().map(|share| &share.forward),
        Action::Respond(_) | Action::Redirect(_) => None,
    })
}

fn is_guarded(mine: &Mine<'_>) -> bool {
    let filters = &mine.annotations.filters;
    filters.access != Access::default()
        || filters.basic_auth.is_some()
        || filters.external_auth.is_some()
        || mine.annotations.host_tls.asks_clients()
}
