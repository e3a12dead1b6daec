//! Which route a request takes.

use super::{RouteEntry, Table};
use std::sync::Arc;

/// What the router may know about a request.
#[derive(Debug)]
pub struct RequestHead<'a, H> {
    /// The host in lower case, without port and trailing dot.
    pub host: &'a str,
    /// Host as the client sent it.
    pub authority: &'a [u8],
    /// `https` or `http`: how the client, or a proxy that is trusted, was asked.
    pub scheme: &'a str,
    /// The path in normal form ([`tidegate_model::normalise_path`]), without query.
    pub path: &'a str,
    /// The method as written.
    pub method: &'a [u8],
    /// The query with its `?`, or nothing.
    pub query: &'a [u8],
    /// Its header fields.
    pub headers: &'a H,
}

/// Finds header fields by name.
pub trait HeaderLookup {
    /// The value of the header `name`, which is in lower case; the first, if there are several.
    fn value(&self, name: &str) -> Option<&[u8]>;
}

/// The route for a request; allocates nothing.
///
/// The most specific host decides: exact, then wildcard, then any. Within it, an exact path goes before regular
/// expressions, the longer of these before the shorter, these before prefixes, and a longer prefix before a shorter
/// one; a path that minds the case goes before the same one that does not; for one path more conditions go before fewer. If none of its paths
/// match, the routes for any host are asked, which hold the default backend; a wildcard host is not asked
/// after an exact one (as ingress-nginx does it, which chooses the server by host alone).
pub fn route<'t, H: HeaderLookup>(
    table: &'t Table,
    head: &RequestHead<'_, H>,
) -> Option<&'t Arc<RouteEntry>> {
    let wildcard = || {
        let (label, suffix) = head.host.split_once('.')?;
        if label.is_empty() {
            return None;
        }
        table.hosts.wildcard.get(suffix)
    };
    let own = table.hosts.exact.get(head.host).or_else(wildcard);
    let hosts = own.into_iter().chain(&table.hosts.any);
    hosts
        .into_iter()
        .find_map(|routes| routes.find(head.path, |entry| entry.conditions.met_by(head)))
}
