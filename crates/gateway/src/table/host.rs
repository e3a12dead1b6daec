//! The routes of one host, by path.

use super::conditions::Conditions;
use super::tree::Tree;
use crate::choose::BackendState;
use crate::filter::Filters;
use std::collections::HashMap;
use std::sync::Arc;
use tidegate_model::{
    Action, BackendId, Forward, PathMatch, Pattern, Redirect, Route, RouteId, RoutePlacement,
};

/// The routes of one host.
///
/// A lookup goes down one node of a tree an element of the path, so its cost grows with the path, not with the routes;
/// regular expressions are asked one after the other, so it grows with those of the host.
#[derive(Debug)]
pub struct HostRoutes {
    tree: Tree,
    /// Those that do not mind the case of letters, by paths in lower case.
    any_case: Option<Box<Tree>>,
    /// Routes by regular expression, the longer ones first.
    patterns: Vec<(Pattern, Arc<RouteEntry>)>,
}

/// A compiled route.
#[derive(Debug)]
pub struct RouteEntry {
    /// Where it comes from.
    pub id: RouteId,
    /// What happens to a request that matches.
    pub action: RouteAction,
    pub(crate) filters: Option<Box<Filters>>,
    pub(super) conditions: Conditions,
}

/// What happens to a request.
#[derive(Debug)]
pub enum RouteAction {
    /// It is sent to an endpoint.
    Forward(ForwardEntry),
    /// It is sent to one of several, by chance.
    Split(Split),
    /// The client is sent elsewhere.
    Redirect(Redirect),
    /// The gateway answers with this status and an empty body.
    Respond(u16),
}

/// Where to send a request.
#[derive(Debug)]
pub struct ForwardEntry {
    /// What serves it.
    pub backend: Arc<BackendState>,
    /// Which clusters of it.
    pub placement: RoutePlacement,
    /// Serves when `backend` has no endpoint in any cluster.
    pub fallback: Option<Arc<BackendState>>,
    /// Where cookies of its sessions are for: what its path begins with.
    pub path: Arc<str>,
}

/// Several places that share the requests of a route.
#[derive(Debug)]
pub struct Split {
    /// Each with the sum of the weights up to and with its own.
    shares: Vec<(u64, ForwardEntry)>,
}

impl Split {
    /// The one for `random`, in proportion to the weights.
    pub fn choose(&self, random: u64) -> Option<&ForwardEntry> {
        let total = self.shares.last()?.0;
        // The high bits of a product: no division, and even for any total.
        let at = ((u128::from(random) * u128::from(total)) >> 64) as u64;
        let found = self.shares.partition_point(|(upto, _)| *upto <= at);
        self.shares.get(found).map(|(_, forward)| forward)
    }

    /// All of them, the route's own first.
    pub(crate) fn forwards(&self) -> impl Iterator<Item = &ForwardEntry> {
        self.shares.iter().map(|(_, forward)| forward)
    }
}

impl HostRoutes {
    /// A route to a backend that is not in `backends` is left out; a valid snapshot has none. What the filters of
    /// the host's routes `before` have counted goes on in those of the same name.
    pub(super) fn compile(
        routes: &[Route],
        backends: &HashMap<BackendId, Arc<BackendState>>,
        before: Option<&Self>,
    ) -> Self {
        let mut before = before.map(Self::by_id).unwrap_or_default();
        let mut compiled = Self {
            tree: Tree::default(),
            any_case: None,
            patterns: Vec::new(),
        };
        for route in routes {
            // Several routes may have one name; they go in their order.
            let same = before.get_mut(&route.id).and_then(Iterator::next);
            let Some(entry) = RouteEntry::compile(route, backends, same) else {
                tracing::error!(route = %route.id, "route left out, its backend is unknown");
                continue;
            };
            let entry = Arc::new(entry);
            match (&route.path, route.ignore_case) {
                (PathMatch::Regex(pattern), _) => compiled.patterns.push((pattern.clone(), entry)),
                (path, false) => compiled.tree.add(path, entry),
                (PathMatch::Exact(path), true) => {
                    let tree = compiled.any_case.get_or_insert_default();
                    tree.add(&PathMatch::Exact(path.to_ascii_lowercase()), entry);
                }
                (PathMatch::Prefix(path), true) => {
                    let tree = compiled.any_case.get_or_insert_default();
                    tree.add(&PathMatch::Prefix(path.to_ascii_lowercase()), entry);
                }
            }
        }
        compiled.tree.sort();
        if let Some(tree) = &mut compiled.any_case {
            tree.sort();
        }
        compiled.patterns.sort_by_key(|(pattern, entry)| {
            let length = pattern.as_str().len();
            std::cmp::Reverse((length, entry.conditions.count()))
        });
        compiled
    }

    /// The filters of all routes, by name.
    fn by_id(&self) -> HashMap<&RouteId, std::vec::IntoIter<&Filters>> {
        let trees = [Some(&self.tree), self.any_case.as_deref()];
        let entries = trees
            .into_iter()
            .flatten()
            .flat_map(Tree::entries)
            .chain(self.patterns.iter().map(|(_, entry)| entry));
        let mut found: HashMap<_, Vec<_>> = HashMap::new();
        for entry in entries {
            if let Some(filters) = &entry.filters {
                found.entry(&entry.id).or_default().push(&**filters);
            }
        }
        found
            .into_iter()
            .map(|(id, list)| (id, list.into_iter()))
            .collect()
    }

    /// The most specific route for `path` that `matches` accepts.
    pub(super) fn find(
        &self,
        path: &str,
        matches: impl Fn(&RouteEntry) -> bool,
    ) -> Option<&Arc<RouteEntry>> {
        let way = self.tree.walk(path);
        // Only a host that has such routes pays for the other spelling.
        let any_case = self.any_case.as_deref().map(|tree| {
            let way = tree.walk(&path.to_ascii_lowercase());
            (tree, way)
        });
        if let Some(found) = self.tree.exact(way, &matches) {
            return Some(found);
        }
        if let Some(found) = any_case.and_then(|(tree, way)| tree.exact(way, &matches)) {
            return Some(found);
        }
        let mut patterns = self.patterns.iter();
        let matching = |(pattern, entry): &&(Pattern, Arc<RouteEntry>)| {
            pattern.is_at_start_of(path.as_bytes()) && matches(entry)
        };
        if let Some((_, found)) = patterns.find(matching) {
            return Some(found);
        }
        let found = self.tree.prefix(way, &matches);
        let other = any_case.and_then(|(tree, way)| tree.prefix(way, &matches));
        let longer = match (&found, &other) {
            (Some((depth, _)), Some((other_depth, _))) if other_depth > depth => other,
            (None, _) => other,
            (Some(_), _) => found,
        };
        longer.map(|(_, entry)| entry)
    }
}

impl RouteEntry {
    fn compile(
        route: &Route,
        backends: &HashMap<BackendId, Arc<BackendState>>,
        before: Option<&Filters>,
    ) -> Option<Self> {
        let path = cookie_path(&route.path);
        let action = match &route.action {
            Action::Respond(status) => RouteAction::Respond(*status),
            Action::Redirect(redirect) => RouteAction::Redirect(redirect.clone()),
            Action::Forward(forward) => {
                RouteAction::Forward(ForwardEntry::compile(forward, &path, backends)?)
            }
            Action::Split(shares) => {
                let mut total = 0;
                let compiled = shares.iter().map(|share| {
                    total += u64::from(share.weight);
                    let entry = ForwardEntry::compile(&share.forward, &path, backends)?;
                    Some((total, entry))
                });
                RouteAction::Split(Split {
                    shares: compiled.collect::<Option<_>>()?,
                })
            }
        };
        Some(Self {
            id: route.id.clone(),
            action,
            filters: Filters::compile(route, backends, before).ok()?,
            conditions: Conditions::new(route),
        })
    }
}

/// What cookies are for that hold for a path.
fn cookie_path(path: &PathMatch) -> Arc<str> {
    let clean = |b: u8| b.is_ascii_graphic() && b != b';';
    match path {
        PathMatch::Regex(_) => ROOT,
        other if other.as_str().bytes().all(clean) => other.as_str(),
        _ => ROOT,
    }
    .into()
}

/// The path that all others begin with.
const ROOT: &str = "/";

impl ForwardEntry {
    /// Wherever the backend's own policy sends it, for all paths.
    pub(crate) fn new(backend: Arc<BackendState>) -> Self {
        Self {
            backend,
            placement: RoutePlacement::Policy,
            fallback: None,
            path: ROOT.into(),
        }
    }

    /// `None` if a backend that it names is not in `backends`.
    pub(crate) fn compile(
        forward: &Forward,
        path: &Arc<str>,
        backends: &HashMap<BackendId, Arc<BackendState>>,
    ) -> Option<Self> {
        Some(Self {
            path: Arc::clone(path),
            backend: Arc::clone(backends.get(&forward.backend)?),
            placement: forward.placement.clone(),
            fallback: match &forward.fallback {
                Some(id) => Some(Arc::clone(backends.get(id)?)),
                None => None,
            },
        })
    }
}
