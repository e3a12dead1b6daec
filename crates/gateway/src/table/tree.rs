//! Routes by the elements of their paths.

use super::RouteEntry;
use std::sync::Arc;
use tidegate_model::PathMatch;

/// Exact paths and prefixes as a tree of path elements. The path `/a/` has the elements `a` and the empty one.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    parent: usize,
    /// How many elements lead here.
    depth: usize,
    /// Sorted by element.
    children: Vec<(Box<str>, usize)>,
    /// Routes for exactly this path, those with more conditions first.
    exact: Vec<Arc<RouteEntry>>,
    /// Routes for this path and all below, likewise.
    prefix: Vec<Arc<RouteEntry>>,
}

/// How far the tree knows a path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    /// The node of its last element that is known.
    node: usize,
    /// That is the last one it has.
    whole: bool,
}

impl Default for Tree {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
        }
    }
}

impl Tree {
    /// Adds a route; regular expressions have no place here and are left out.
    pub(super) fn add(&mut self, path: &PathMatch, entry: Arc<RouteEntry>) {
        match path {
            PathMatch::Exact(path) => {
                let node = self.node(path);
                self.nodes[node].exact.push(entry);
            }
            PathMatch::Prefix(path) if path == "/" => self.nodes[0].prefix.push(entry),
            PathMatch::Prefix(path) => {
                let node = self.node(path);
                self.nodes[node].prefix.push(entry);
            }
            PathMatch::Regex(_) => debug_assert!(false, "patterns are kept elsewhere"),
        }
    }

    /// All routes in it.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Arc<RouteEntry>> {
        let nodes = self.nodes.iter();
        nodes.flat_map(|node| node.exact.iter().chain(&node.prefix))
    }

    /// To be called when all are in.
    pub(super) fn sort(&mut self) {
        for node in &mut self.nodes {
            // Stable: equals keep the order of the snapshot.
            let more_first = |e: &Arc<RouteEntry>| std::cmp::Reverse(e.conditions.count());
            node.exact.sort_by_key(more_first);
            node.prefix.sort_by_key(more_first);
        }
    }

    pub(super) fn walk(&self, path: &str) -> Way {
        let mut node = 0;
        for element in elements(path) {
            match self.child(node, element) {
                Ok(child) => node = child,
                Err(_) => return Way { node, whole: false },
            }
        }
        Way { node, whole: true }
    }

    /// The first route for exactly this path that `matches` accepts.
    pub(super) fn exact(
        &self,
        way: Way,
        matches: impl Fn(&RouteEntry) -> bool,
    ) -> Option<&Arc<RouteEntry>> {
        let mut routes = self.nodes[way.node].exact.iter();
        routes.find(|entry| way.whole && matches(entry))
    }

    /// The route with the longest prefix that `matches` accepts, and how many elements that has.
    pub(super) fn prefix(
        &self,
        way: Way,
        matches: impl Fn(&RouteEntry) -> bool,
    ) -> Option<(usize, &Arc<RouteEntry>)> {
        let mut at = way.node;
        loop {
            let node = &self.nodes[at];
            if let Some(found) = node.prefix.iter().find(|entry| matches(entry)) {
                return Some((node.depth, found));
            }
            if at == 0 {
                return None;
            }
            at = node.parent;
        }
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
                        depth: self.nodes[at].depth + 1,
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
}

fn elements(path: &str) -> impl Iterator<Item = &str> {
    path.strip_prefix('/').unwrap_or(path).split('/')
}
