//! Hosts that no rule names: aliases of others, and names that redirect to the one with or without `www.`.

use crate::annotation::{CanaryRole, other_www};
use crate::diagnostic::Sink;
use crate::ingress::{Mine, hosts};
use crate::routes::Routes;
use crate::{ObjectRef, Reason};
use std::collections::{BTreeMap, BTreeSet};
use tidegate_model::{Action, HostPattern, PathMatch, Redirect, Route, RouteId, Target};

/// The further hosts, each with the host of a rule whose certificate it shows as well.
pub(crate) type Aliases = BTreeMap<HostPattern, Alias>;

/// A further host.
#[derive(Debug)]
pub(crate) struct Alias {
    /// The Ingress that gives it.
    pub(crate) owner: ObjectRef,
    /// The annotation it comes from.
    pub(crate) field: String,
    /// The host of a rule that it belongs to.
    pub(crate) of: HostPattern,
}

/// Gives further hosts what the hosts they belong to have, unless they have something themselves.
pub(crate) fn follow<V: Clone>(aliases: &Aliases, by_host: &mut BTreeMap<HostPattern, V>) {
    for (host, alias) in aliases {
        if let Some(theirs) = by_host.get(&alias.of).cloned() {
            by_host.entry(host.clone()).or_insert(theirs);
        }
    }
}

/// Adds the routes of further hosts. The host of a rule is never an alias, whichever Ingress is older; of two
/// aliases the oldest Ingress has it. `ours` are the Ingresses of our classes, the oldest first.
pub(crate) fn compile(ours: &[Mine<'_>], routes: &mut Routes, diagnostics: &mut Sink) -> Aliases {
    let written: BTreeSet<HostPattern> = ours.iter().flat_map(|mine| hosts(mine.ingress)).collect();
    let mut aliases = Aliases::new();
    let main = |mine: &&Mine<'_>| matches!(mine.annotations.canary, CanaryRole::None);
    for mine in ours.iter().filter(main) {
        let further = &mine.annotations.further_hosts;
        let own: Vec<HostPattern> = hosts(mine.ingress).collect();
        for (alias, key) in &further.aliases {
            let field = format!("metadata.annotations[{key}]");
            let Some(of) = own.first().filter(|host| **host != HostPattern::Any) else {
                let text = "no rule of the Ingress has a host that this could be an alias of";
                diagnostics.warning(&mine.object, field, Reason::NoEffect, text.to_owned());
                continue;
            };
            if own.contains(alias) {
                continue;
            }
            if written.contains(alias) {
                let text =
                    format!("{alias} is the host of another Ingress, so it is no alias of {of}");
                diagnostics.warning(&mine.object, field, Reason::Conflict, text);
                continue;
            }
            if let Some(taken) = aliases.get(alias).filter(|taken| taken.of != *of) {
                let text = format!(
                    "{alias} is an alias of {} already, for {}, which is older",
                    taken.of, taken.owner
                );
                diagnostics.warning(&mine.object, field, Reason::Conflict, text);
                continue;
            }
            if let Some(theirs) = routes.get(of).cloned() {
                routes.insert(alias.clone(), theirs);
                aliases.entry(alias.clone()).or_insert_with(|| Alias {
                    owner: mine.object.clone(),
                    field,
                    of: of.clone(),
                });
            }
        }
    }
    for mine in ours.iter().filter(main) {
        let Some(key) = &mine.annotations.further_hosts.www else {
            continue;
        };
        let field = format!("metadata.annotations[{key}]");
        for of in hosts(mine.ingress) {
            let Some(other) = other_www(&of).filter(|_| routes.contains_key(&of)) else {
                continue;
            };
            if written.contains(&other) || aliases.contains_key(&other) {
                let same = aliases
                    .get(&other)
                    .is_some_and(|taken| taken.owner == mine.object);
                if !same {
                    let text =
                        format!("{other} is served by itself, so it is not redirected to {of}");
                    diagnostics.note(&mine.object, field.clone(), Reason::NoEffect, text);
                }
                continue;
            }
            let route = redirect(mine, &of);
            routes.insert(other.clone(), vec![(vec![mine.object.clone()], route)]);
            let alias = Alias {
                owner: mine.object.clone(),
                field: field.clone(),
                of,
            };
            aliases.insert(other, alias);
        }
    }
    aliases
}

/// Sends all of a host to another.
fn redirect(mine: &Mine<'_>, to: &HostPattern) -> Route {
    let id = format!("{}/{}#www", mine.object.namespace, mine.object.name);
    let redirect = Redirect {
        status: 308,
        to: Target::Host(to.to_string()),
    };
    let path = PathMatch::Prefix("/".to_owned());
    Route::new(RouteId(id), path, Action::Redirect(redirect))
}
