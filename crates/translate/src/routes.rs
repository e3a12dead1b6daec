//! All Ingresses together: who owns which host and path, and in which order routes are tried.

use crate::annotation::{self, Canary, CanaryRole, Conditions, Field, Manner, Selector};
use crate::backend::Backends;
use crate::diagnostic::Sink;
use crate::ingress::{self, Candidate, Mine};
use crate::{ObjectRef, Reason};
use std::collections::{BTreeMap, BTreeSet};
use tidegate_model::{Action, Filters, Forward, HostPattern, PathMatch, Route, RouteId, Share};

/// The routes of all hosts, each with the Ingresses it comes from: a canary by weight shares the route of its main one.
pub(crate) type Routes = BTreeMap<HostPattern, Vec<(Vec<ObjectRef>, Route)>>;

/// What one Ingress only may have.
type Place = (HostPattern, PathMatch, Conditions);

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
            CanaryRole::Canary(canary) => table.add_canary(mine, canary, backends, diagnostics),
            CanaryRole::Unselected { key } => diagnostics.error(
                &mine.object,
                format!("metadata.annotations[{key}]"),
                Reason::NoEffect,
                "nothing selects requests for this canary (canary-by-header, -query, -cookie or canary-weight does): it has no routes".to_owned(),
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
    weighted: BTreeMap<Place, Vec<Weighted>>,
    /// Places whose Ingress is closed: their canaries are as well.
    closed: BTreeSet<Place>,
    defaults: BTreeMap<HostPattern, (ObjectRef, Route)>,
}

/// A canary's part of the requests for a place.
struct Weighted {
    owner: ObjectRef,
    weight: u32,
    total: u32,
    forward: Forward,
}

impl Table {
    /// An ordinary Ingress: the oldest owner of a host and path keeps it.
    fn add_rules(&mut self, mine: &Mine<'_>, backends: &mut Backends<'_>, diagnostics: &mut Sink) {
        for candidate in mine.candidates(diagnostics) {
            let conditions = mine.annotations.conditions.clone();
            let place = (candidate.host.clone(), candidate.path.clone(), conditions);
            if let Some((owner, _)) = self.rules.get(&place) {
                conflict(mine, &candidate, owner, diagnostics);
                continue;
            }
            let field = format!("{}.backend", candidate.field);
            let action = mine.action(candidate.backend, &field, backends, diagnostics);
            if mine.annotations.closed {
                self.closed.insert(place.clone());
            }
            let filters = mine.filters(&candidate.path, candidate.backend, diagnostics);
            let mut route = Route {
                filters,
                ..Route::new(candidate.id, candidate.path, action)
            };
            mine.annotations.conditions.apply(&mut route);
            self.rules.insert(place, (mine.object.clone(), route));
        }
        self.add_app_root(mine, diagnostics);
    }

    /// `app-root`: the root of each of its hosts is redirected.
    fn add_app_root(&mut self, mine: &Mine<'_>, diagnostics: &mut Sink) {
        let Some(root) = &mine.annotations.app_root else {
            return;
        };
        for candidate in mine.candidates(&mut Sink::default()) {
            let conditions = mine.annotations.conditions.clone();
            let path = PathMatch::Exact("/".to_owned());
            let place = (candidate.host, path, conditions);
            match self.rules.get(&place) {
                Some((owner, _)) if *owner == mine.object => {}
                Some((owner, _)) => diagnostics.error(
                    &mine.object,
                    candidate.field,
                    Reason::Conflict,
                    format!("{owner} is older and serves the root of host {}: app-root has no effect there", place.0),
                ),
                None => {
                    let id = format!("{}/{}#root", mine.object.namespace, mine.object.name);
                    let mut route = annotation::app_root(RouteId(id), root.clone());
                    mine.annotations.conditions.apply(&mut route);
                    let guards = &mine.annotations.filters;
                    route.filters.access = guards.access.clone();
                    route.filters.basic_auth = guards.basic_auth.clone();
                    route.filters.external_auth = guards.external_auth.clone();
                    route.filters.satisfy = guards.satisfy;
                    route.filters.relative_redirects = guards.relative_redirects;
                    route.filters.https_redirect = mine.annotations.filters.https_redirect;
                    self.rules.insert(place, (mine.object.clone(), route));
                }
            }
        }
    }

    /// A canary: routes before the one it is a canary of, and a part of that one's requests. Its Service falls back to
    /// that of the main Ingress. It inherits the main one's filters, but for the changes of headers.
    fn add_canary(
        &mut self,
        mine: &Mine<'_>,
        canary: &Canary,
        backends: &mut Backends<'_>,
        diagnostics: &mut Sink,
    ) {
        if let Some(key) = &mine.annotations.header_edit
            && canary.selectors.is_empty()
        {
            let text = "a canary by weight shares the route of the main Ingress, so it changes no headers by itself";
            let field = format!("metadata.annotations[{key}]");
            diagnostics.warning(&mine.object, field, Reason::NoEffect, text.to_owned());
        }
        for candidate in mine.candidates(diagnostics) {
            let Some((place, main)) = self.main(mine, &candidate) else {
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
            let field = format!("{}.backend", candidate.field);
            let first = main.action.forwards().next();
            // A canary that says nothing of it keeps the sessions of its main one.
            let inherited = first.and_then(|normal| backends.manner_of(&normal.backend));
            let own = &mine.annotations.manner;
            let manner = match inherited {
                Some(inherited) if *own == Manner::default() => inherited.clone(),
                Some(_) | None => own.clone(),
            };
            let found = mine.backend(candidate.backend, &manner, &field, backends, diagnostics);
            let Some(id) = found else {
                continue;
            };
            let closed = mine.annotations.closed || self.closed.contains(&place);
            let action = match &main.action {
                Action::Respond(status) if closed => Action::Respond(*status),
                _ if closed => Action::Respond(503),
                Action::Redirect(redirect) => Action::Redirect(redirect.clone()),
                Action::Forward(normal) if normal.backend != id => {
                    forward(mine, id, Some(normal.backend.clone()))
                }
                Action::Forward(normal) => forward(mine, id, normal.fallback.clone()),
                Action::Split(_) => {
                    let normal = first.map(|normal| normal.backend.clone());
                    forward(mine, id.clone(), normal.filter(|normal| *normal != id))
                }
                Action::Respond(_) => forward(mine, id, None),
            };
            if let (Some((weight, total)), Action::Forward(forward)) = (canary.weight, &action)
                && weight > 0
                && first.is_some()
            {
                self.weighted
                    .entry(place.clone())
                    .or_default()
                    .push(Weighted {
                        owner: mine.object.clone(),
                        weight,
                        total,
                        forward: forward.clone(),
                    });
            }
            let mut taken = Route {
                id: candidate.id.clone(),
                action,
                ..main.clone()
            };
            let own = &mine.annotations.filters;
            taken.filters.request_headers = own.request_headers.clone();
            taken.filters.response_headers = own.response_headers.clone();
            let siblings = self.canaries.entry(place).or_default();
            for selector in &canary.selectors {
                let route = match selector.takes {
                    true => &taken,
                    false => &main,
                };
                let route = selected(route.clone(), selector);
                let same = siblings
                    .iter()
                    .find(|(_, other)| same_conditions(other, &route));
                match same {
                    Some((owner, _)) if selector.takes => {
                        conflict(mine, &candidate, owner, diagnostics);
                    }
                    // Somebody decides about these requests already.
                    Some(_) => {}
                    None => siblings.push((mine.object.clone(), route)),
                }
            }
        }
    }

    /// The route that a canary's path belongs to. Its main Ingress may read the same text as a regular expression. A
    /// canary that asks for conditions belongs to a route that asks for the same, another to the one with the fewest.
    fn main(&self, mine: &Mine<'_>, candidate: &Candidate<'_>) -> Option<(Place, Route)> {
        let text = candidate.path.as_str();
        let forms = [
            Some(candidate.path.clone()),
            PathMatch::regex(text).ok(),
            PathMatch::regex(&format!("(?:{text})$")).ok(),
            PathMatch::regex(&format!("(?i){text}")).ok(),
            PathMatch::regex(&format!("(?i)(?:{text})$")).ok(),
        ];
        let own = &mine.annotations.conditions;
        let (place, (_, route)) = forms.into_iter().flatten().find_map(|path| {
            let first = (candidate.host.clone(), path, Conditions::default());
            let mut there = self
                .rules
                .range(first.clone()..)
                .take_while(|(place, _)| (&place.0, &place.1) == (&first.0, &first.1));
            there.find(|(place, (owner, _))| {
                // Taking requests from another namespace's route would need that namespace's grant.
                owner.namespace == mine.object.namespace && (own.is_empty() || *own == place.2)
            })
        })?;
        Some((place.clone(), route.clone()))
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
        let path = PathMatch::Prefix("/".to_owned());
        if mine.annotations.unmatched {
            return;
        }
        let filters = Filters {
            error_pages: mine.error_pages(backend),
            ..mine.annotations.filters.clone()
        };
        let mut route = Route {
            filters,
            ..Route::new(RouteId(id), path, action)
        };
        mine.annotations.conditions.apply(&mut route);
        let mut hosts: BTreeSet<HostPattern> = ingress::hosts(mine.ingress).collect();
        hosts.insert(HostPattern::Any);
        for host in hosts {
            let conditions = mine.annotations.conditions.clone();
            let place = (host.clone(), route.path.clone(), conditions);
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
    fn finish(mut self) -> Routes {
        let mut ordered: Vec<_> = self.rules.into_iter().collect();
        ordered.sort_by_cached_key(|(place, _)| rank(place));
        let mut hosts = Routes::new();
        for (place, (owner, mut route)) in ordered {
            let routes = hosts.entry(place.0.clone()).or_default();
            let canaries = self.canaries.remove(&place).unwrap_or_default();
            routes.extend(
                canaries
                    .into_iter()
                    .map(|(owner, route)| (vec![owner], route)),
            );
            let mut owners = vec![owner];
            let weighted = self.weighted.remove(&place).unwrap_or_default();
            owners.extend(weighted.iter().map(|canary| canary.owner.clone()));
            share(&mut route, weighted);
            routes.push((owners, route));
        }
        for (host, (owner, route)) in self.defaults {
            hosts.entry(host).or_default().push((vec![owner], route));
        }
        hosts
    }
}

/// Gives canaries their parts of a route's requests. Parts are of one whole, the largest that any of them names; what
/// they leave is for the route itself.
fn share(route: &mut Route, canaries: Vec<Weighted>) {
    let normal = match &route.action {
        Action::Forward(normal) => vec![Share {
            weight: 1,
            forward: normal.clone(),
        }],
        Action::Split(normal) => normal.clone(),
        Action::Redirect(_) | Action::Respond(_) => return,
    };
    let Some(total) = canaries.iter().map(|canary| canary.total).max() else {
        return;
    };
    let mut rest = total;
    let mut parts = Vec::new();
    for canary in canaries {
        let part = u64::from(canary.weight) * u64::from(total) / u64::from(canary.total);
        let weight = u32::try_from(part).unwrap_or(total).min(rest);
        rest -= weight;
        parts.push((weight, canary.forward));
    }
    let whole: u64 = normal.iter().map(|share| u64::from(share.weight)).sum();
    let normal = normal
        .into_iter()
        .map(|share| (u64::from(share.weight) * u64::from(rest), share.forward));
    let canaries = parts
        .into_iter()
        .map(|(weight, forward)| (u64::from(weight) * whole, forward));
    route.action = Action::Split(shares(normal.chain(canaries).collect()));
}

/// Parts as weights, which have fewer bits; none that is above zero becomes zero.
fn shares(parts: Vec<(u64, Forward)>) -> Vec<Share> {
    let largest = parts.iter().map(|(part, _)| *part).max().unwrap_or(0);
    let bits = (u64::BITS - largest.leading_zeros()).saturating_sub(u32::BITS);
    let weight = |part: u64| u32::try_from((part >> bits).max(part.min(1))).unwrap_or(u32::MAX);
    parts
        .into_iter()
        .map(|(part, forward)| Share {
            weight: weight(part),
            forward,
        })
        .collect()
}

fn selected(mut route: Route, selector: &Selector) -> Route {
    let list = match selector.field {
        Field::Header => &mut route.headers,
        Field::Query => &mut route.query,
        Field::Cookie => &mut route.cookies,
    };
    list.push(selector.condition.clone());
    route
}

fn same_conditions(a: &Route, b: &Route) -> bool {
    (&a.headers, &a.query, &a.cookies) == (&b.headers, &b.query, &b.cookies)
}

/// The order in which places are asked: by path, then those that ask for more. Gateways count conditions themselves;
/// among equally many a method goes before headers and these before the query.
fn rank(place: &Place) -> impl Ord + use<> {
    let (host, path, conditions) = place;
    let kind = match path {
        PathMatch::Exact(_) => 0,
        PathMatch::Regex(_) => 1,
        PathMatch::Prefix(_) => 2,
    };
    let headers = conditions.headers.len() + conditions.pseudo_headers.len();
    (
        host.clone(),
        kind,
        std::cmp::Reverse(path.as_str().len()),
        path.as_str().to_owned(),
        conditions.ignore_case,
        conditions.methods.is_empty(),
        std::cmp::Reverse((headers, conditions.query.len())),
        conditions.clone(),
    )
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
