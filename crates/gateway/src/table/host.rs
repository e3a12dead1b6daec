//! The routes of one host, by path.

use crate::choose::BackendState;
use std::collections::HashMap;
use std::sync::Arc;
use tidegate_model::{Action, BackendId, HeaderMatch, PathMatch, Route, RouteId, RoutePlacement};

/// The routes of one host as a tree of path elements.
///
/// A lookup goes down one node an element, so its cost grows with the path, not with the routes. The path
/// `/a/` has the elements `a` and the empty one.
#[derive(Debug)]
pub struct HostRoutes {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    parent: usize,
    /// Sorted by element.
    children: Vec<(Box<str>, usize)>,
    /// Routes for exactly this path, those with more header matches first.
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
    headers: Vec<HeaderMatch>,
}

/// What happens to a request.
#[derive(Debug)]
pub enum RouteAction {
    /// It is sent to an endpoint.
    Forward(ForwardEntry),
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

impl HostRoutes {
    /// A route to a backend that is not in `backends` is left out; a valid snapshot has none.
    pub(super) fn compile(
        routes: &[Route],
        backends: &HashMap<BackendId, Arc<BackendState>>,
    ) -> Self {
        let mut tree = Self {
            nodes: vec![Node::default()],
        };
        for route in routes {
            let Some(entry) = RouteEntry::compile(route, backends) else {
                tracing::error!(route = %route.id, "route left out, its backend is unknown");
                continue;
            };
            let list = match &route.path {
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
            list.push(Arc::new(entry));
        }
        for node in &mut tree.nodes {
            // Stable: equals keep the order of the snapshot.
            let more_headers_first = |e: &Arc<RouteEntry>| std::cmp::Reverse(e.headers.len());
            node.exact.sort_by_key(more_headers_first);
            node.prefix.sort_by_key(more_headers_first);
        }
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

    /// The most specific route for `path` whose headers `matches` accepts.
    pub(super) fn find(
        &self,
        path: &str,
        matches: impl Fn(&[HeaderMatch]) -> bool,
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
        let first = |list: &'_ [Arc<RouteEntry>]| list.iter().position(|e| matches(&e.headers));
        if whole && let Some(found) = first(&self.nodes[at].exact) {
            return self.nodes[at].exact.get(found);
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
            Action::Forward(forward) => RouteAction::Forward(ForwardEntry {
                backend: Arc::clone(backends.get(&forward.backend)?),
                placement: forward.placement.clone(),
                fallback: match &forward.fallback {
                    Some(id) => Some(Arc::clone(backends.get(id)?)),
                    None => None,
                },
            }),
        };
        Some(Self {
            id: route.id.clone(),
            action,
            headers: route.headers.clone(),
        })
    }
}

fn elements(path: &str) -> impl Iterator<Item = &str> {
    path.strip_prefix('/').unwrap_or(path).split('/')
}
