//! All Ingresses together: who owns which host and path, and in which order routes are tried.

use crate::annotation::CanaryRole;
use crate::backend::Backends;
use crate::diagnostic::Sink;
use crate::ingress::{Candidate, Mine};
use crate::{ObjectRef, Reason};
use std::collections::{BTreeMap, BTreeSet};
use tidegate_model::{Action, FieldMatch, Forward, HostPattern, PathMatch, Route, RouteId};

/// The routes of all hosts, each with the Ingress it comes from.
pub(crate) type Routes = BTreeMap<HostPattern, Vec<(ObjectRef, Route)>>;

type Place = (HostPattern, PathMatch);

/// `ours` are the Ingresses of our classes, the oldest first.
pub(crate) fn compile(
    ours: &[Mine<'_>],
    backends: &mut Backends<'_>,
    diagnostics: &mut Sink,
) -> Routes {
    let mut table = Table::default();
    for mine in ours {
        if let CanaryRole::None = mine.annotations.canary {
            table.add_rules(mine, backends, diagnostics);
        }
    }
    for mine in ours {
        match &mine.annotations.canary {
            CanaryRole::None => {}
            CanaryRole::ByHeader(header) => table.add_canary(mine, header, backends, diagnostics),
            CanaryRole::Unselected { key } => diagnostics.error(
                &mine.object,
                format!("metadata.annotations[{key}]"),
                Reason::NoEffect,
                "nothing that works yet selects requests for this canary (canary-by-header does): it has no routes".to_owned(),
            ),
        }
    }
    for mine in ours {
        if let CanaryRole::None = mine.annotations.canary {
            table.add_default(mine, backends, diagnostics);
        }
    }
    table.finish()
}

/// Who owns what so far.
#[derive(Default)]
struct Table {
    rules: BTreeMap<Place, (ObjectRef, Route)>,
    canaries: BTreeMap<Place, Vec<(ObjectRef, Route)>>,
    defaults: BTreeMap<HostPattern, (ObjectRef, Route)>,
}

impl Table {
    /// An ordinary Ingress: the oldest owner of a host and path keeps it.
    fn add_rules(&mut self, mine: &Mine<'_>, backends: &mut Backends<'_>, diagnostics: &mut Sink) {
        for candidate in mine.candidates(diagnostics) {
            let place = (candidate.host.clone(), candidate.path.clone());
            if let Some((owner, _)) = self.rules.get(&place) {
                conflict(mine, &candidate, owner, diagnostics);
                continue;
            }
            let field = format!("{}.backend", candidate.field);
            let action = mine.action(candidate.backend, &field, backends, diagnostics);
            let route = Route::new(candidate.id, candidate.path, action);
            self.rules.insert(place, (mine.object.clone(), route));
        }
    }

    /// A header canary: an extra route before the one it is a canary of, falling back to it.
    fn add_canary(
        &mut self,
        mine: &Mine<'_>,
        header: &FieldMatch,
        backends: &mut Backends<'_>,
        diagnostics: &mut Sink,
    ) {
        for candidate in mine.candidates(diagnostics) {
            let place = (candidate.host.clone(), candidate.path.clone());
            let main = self.rules.get(&place);
            // Taking requests from another namespace's route would need that namespace's grant.
            let Some((_, main)) =
                main.filter(|(owner, _)| owner.namespace == mine.object.namespace)
            else {
                diagnostics.error(
                    &mine.object,
                    format!("{}.path", candidate.field),
                    Reason::CanaryWithoutMain,
                    format!(
                        "no Ingress of namespace {} that is not a canary has this path on host {}, so the canary has no effect",
                        mine.object.namespace, candidate.host
                    ),
                );
                continue;
            };
            let siblings = self.canaries.entry(place).or_default();
            let same = siblings
                .iter()
                .find(|(_, route)| route.headers == [header.clone()]);
            if let Some((owner, _)) = same {
                conflict(mine, &candidate, owner, diagnostics);
                continue;
            }
            let field = format!("{}.backend", candidate.field);
            let Some(id) = mine.backend(candidate.backend, &field, backends, diagnostics) else {
                continue;
            };
            let action = match &main.action {
                Action::Respond(status) if mine.annotations.closed => Action::Respond(*status),
                _ if mine.annotations.closed => Action::Respond(503),
                Action::Forward(normal) if normal.backend != id => {
                    forward(mine, id, Some(normal.backend.clone()))
                }
                Action::Forward(normal) => forward(mine, id, normal.fallback.clone()),
                Action::Split(_) | Action::Redirect(_) | Action::Respond(_) => {
                    forward(mine, id, None)
                }
            };
            let route = Route {
                headers: vec![header.clone()],
                ..Route::new(candidate.id, candidate.path, action)
            };
            siblings.push((mine.object.clone(), route));
        }
    }

    /// `spec.defaultBackend`: what no rule matches, on the Ingress's own hosts and on all others.
    fn add_default(
        &mut self,
        mine: &Mine<'_>,
        backends: &mut Backends<'_>,
        diagnostics: &mut Sink,
    ) {
        let spec = mine.ingress.spec.as_ref();
        let Some(backend) = spec.and_then(|spec| spec.default_backend.as_ref()) else {
            return;
        };
        let field = "spec.defaultBackend";
        let action = mine.action(backend, field, backends, diagnostics);
        let id = format!("{}/{}#default", mine.object.namespace, mine.object.name);
        let route = Route::new(RouteId(id), PathMatch::Prefix("/".to_owned()), action);
        let rules = spec.and_then(|spec| spec.rules.as_ref());
        let mut hosts: BTreeSet<HostPattern> = rules
            .into_iter()
            .flatten()
            .filter_map(|rule| HostPattern::parse(rule.host.as_deref().unwrap_or_default()).ok())
            .collect();
        hosts.insert(HostPattern::Any);
        for host in hosts {
            let place = (host.clone(), route.path.clone());
            let owner = self.rules.get(&place).or_else(|| self.defaults.get(&host));
            match owner {
                // Rules go before default backends, and an Ingress may have both.
                Some((owner, _)) if *owner == mine.object || host != HostPattern::Any => {}
                Some((owner, _)) => diagnostics.warning(
                    &mine.object,
                    field,
                    Reason::Conflict,
                    format!("{owner} serves all hosts and paths that no rule matches; this backend serves only hosts of its own Ingress"),
                ),
                None => {
                    self.defaults.insert(host, (mine.object.clone(), route.clone()));
                }
            }
        }
    }

    /// Per host: the most specific path first, canaries before the route they belong to.
    fn finish(mut self) -> BTreeMap<HostPattern, Vec<(ObjectRef, Route)>> {
        let mut hosts: BTreeMap<HostPattern, Vec<(ObjectRef, Route)>> = BTreeMap::new();
        for (place, normal) in self.rules {
            let routes = hosts.entry(place.0.clone()).or_default();
            routes.extend(self.canaries.remove(&place).unwrap_or_default());
            routes.push(normal);
        }
        for routes in hosts.values_mut() {
            // Stable: what stands together for one path stays in its order.
            routes.sort_by(|(_, a), (_, b)| rank(&a.path).cmp(&rank(&b.path)));
        }
        for (host, default) in self.defaults {
            hosts.entry(host).or_default().push(default);
        }
        hosts
    }
}

fn rank(path: &PathMatch) -> (u8, std::cmp::Reverse<usize>, &str) {
    let kind = match path {
        PathMatch::Exact(_) => 0,
        PathMatch::Regex(_) => 1,
        PathMatch::Prefix(_) => 2,
    };
    (kind, std::cmp::Reverse(path.as_str().len()), path.as_str())
}

fn forward(
    mine: &Mine<'_>,
    backend: tidegate_model::BackendId,
    fallback: Option<tidegate_model::BackendId>,
) -> Action {
    Action::Forward(Forward {
        backend,
        placement: mine.placement.clone(),
        fallback,
    })
}

fn conflict(mine: &Mine<'_>, candidate: &Candidate<'_>, owner: &ObjectRef, diagnostics: &mut Sink) {
    let text = if *owner == mine.object {
        "this Ingress has the same host and path already; this one is ignored".to_owned()
    } else {
        format!("{owner} is older and serves the same host and path; this one is ignored")
    };
    diagnostics.error(
        &mine.object,
        format!("{}.path", candidate.field),
        Reason::Conflict,
        text,
    );
}
