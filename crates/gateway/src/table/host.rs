//! The routes of one host, by path.

use super::conditions::Conditions;
use crate::choose::BackendState;
use crate::filter::Filters;
use std::collections::HashMap;
use std::sync::Arc;
use tidegate_model::{
    Action, BackendId, Forward, PathMatch, Pattern, Redirect, Route, RouteId, RoutePlacement,
};

/// The routes of one host as a tree of path elements.
///
/// A lookup goes down one node an element, so its cost grows with the path, not with the routes; regular
/// expressions are asked one after the other, so it grows with those of the host. The path `/a/` has the elements
/// `a` and the empty one.
#[derive(Debug)]
pub struct HostRoutes {
    nodes: Vec<Node>,
    /// Routes by regular expression, the longer ones first.
    patterns: Vec<(Pattern, Arc<RouteEntry>)>,
}

#[derive(Debug, Default)]
struct Node {
    parent: usize,
    /// Sorted by element.
    children: Vec<(Box<str>, usize)>,
    /// Routes for exactly this path, those with more conditions first.
    exact: Vec<Arc<RouteEntry>>,
    /// Routes for this path and all below, likewise.
    prefix: Vec<Arc<RouteEntry>>,
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
}

impl HostRoutes {
    /// A route to a backend that is not in `backends` is left out; a valid snapshot has none.
    pub(super) fn compile(
        routes: &[Route],
        backends: &HashMap<BackendId, Arc<BackendState>>,
    ) -> Self {
        let mut tree = Self {
            nodes: vec![Node::default()],
            patterns: Vec::new(),
        };
        for route in routes {
            let Some(entry) = RouteEntry::compile(route, backends) else {
                tracing::error!(route = %route.id, "route left out, its backend is unknown");
                continue;
            };
            let entry = Arc::new(entry);
            let list = match &route.path {
                PathMatch::Regex(pattern) => {
                    tree.patterns.push((pattern.clone(), entry));
                    continue;
                }
                PathMatch::Exact(path) => {
                    let node = tree.node(path);
                    &mut tree.nodes[node].exact
                }
                PathMatch::Prefix(path) if path == "/" => &mut tree.nodes[0].prefix,
                PathMatch::Prefix(path) => {
                    let node = tree.node(path);
                    &mut tree.nodes[node].prefix
                }
            };
            list.push(entry);
        }
        for node in &mut tree.nodes {
            // Stable: equals keep the order of the snapshot.
            let more_first = |e: &Arc<RouteEntry>| std::cmp::Reverse(e.conditions.count());
            node.exact.sort_by_key(more_first);
            node.prefix.sort_by_key(more_first);
        }
        tree.patterns.sort_by_key(|(pattern, entry)| {
            let length = pattern.as_str().len();
            std::cmp::Reverse((length, entry.conditions.count()))
        });
        tree
    }

    fn node(&mut self, path: &str) -> usize {
        let mut at = 0;
        for element in elements(path) {
            at = match self.child(at, element) {
                Ok(child) => child,
                Err(place) => {
                    let child = self.nodes.len();
                    self.nodes.push(Node {
                        parent: at,
                        ..Node::default()
                    });
                    self.nodes[at]
                        .children
                        .insert(place, (element.into(), child));
                    child
                }
            };
        }
        at
    }

    fn child(&self, at: usize, element: &str) -> Result<usize, usize> {
        let children = &self.nodes[at].children;
        children
            .binary_search_by(|(name, _)| (**name).cmp(element))
            .map(|found| children[found].1)
    }

    /// The most specific route for `path` that `matches` accepts.
    pub(super) fn find(
        &self,
        path: &str,
        matches: impl Fn(&RouteEntry) -> bool,
    ) -> Option<&Arc<RouteEntry>> {
        let mut at = 0;
        let mut whole = true;
        for element in elements(path) {
            match self.child(at, element) {
                Ok(child) => at = child,
                Err(_) => {
                    whole = false;
                    break;
                }
            }
        }
        let first = |list: &'_ [Arc<RouteEntry>]| list.iter().position(|e| matches(e));
        if whole && let Some(found) = first(&self.nodes[at].exact) {
            return self.nodes[at].exact.get(found);
        }
        let mut patterns = self.patterns.iter();
        let matching = |(pattern, entry): &&(Pattern, Arc<RouteEntry>)| {
            pattern.is_at_start_of(path.as_bytes()) && matches(entry)
        };
        if let Some((_, found)) = patterns.find(matching) {
            return Some(found);
        }
        loop {
            let node = &self.nodes[at];
            if let Some(found) = first(&node.prefix) {
                return node.prefix.get(found);
            }
            if at == 0 {
                return None;
            }
            at = node.parent;
        }
    }
}

impl RouteEntry {
    fn compile(route: &Route, backends: &HashMap<BackendId, Arc<BackendState>>) -> Option<Self> {
        let action = match &route.action {
            Action::Respond(status) => RouteAction::Respond(*status),
            Action::Redirect(redirect) => RouteAction::Redirect(redirect.clone()),
            Action::Forward(forward) => {
                RouteAction::Forward(ForwardEntry::compile(forward, backends)?)
            }
            Action::Split(shares) => {
                let mut total = 0;
                let compiled = shares.iter().map(|share| {
                    total += u64::from(share.weight);
                    Some((total, ForwardEntry::compile(&share.forward, backends)?))
                });
                RouteAction::Split(Split {
                    shares: compiled.collect::<Option<_>>()?,
                })
            }
        };
        Some(Self {
            id: route.id.clone(),
            action,
            filters: Filters::compile(route),
            conditions: Conditions::new(route),
        })
    }
}

impl ForwardEntry {
    fn compile(
        forward: &Forward,
        backends: &HashMap<BackendId, Arc<BackendState>>,
    ) -> Option<Self> {
        Some(Self {
            backend: Arc::clone(backends.get(&forward.backend)?),
            placement: forward.placement.clone(),
            fallback: match &forward.fallback {
                Some(id) => Some(Arc::clone(backends.get(id)?)),
                None => None,
            },
        })
    }
}

fn elements(path: &str) -> impl Iterator<Item = &str> {
    path.strip_prefix('/').unwrap_or(path).split('/')
}
