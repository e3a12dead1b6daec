//! From a head to a route: the path in normal form, the decision, and the request as a backend will
//! see it.

use super::Client;
use crate::h1::{Identity, Line, Refusal, RequestHead, write_request};
use crate::table::{self, HeaderLookup, RouteEntry, Table};
use crate::worker::Scratch;
use std::borrow::Cow;
use std::sync::Arc;
use tidegate_model::normalise_path;

/// A request that may be answered.
#[derive(Debug)]
pub(super) struct Admitted<'t> {
    /// The route it takes, if there is one; then its head for the backend stands in `request_out`.
    pub(super) route: Option<&'t Arc<RouteEntry>>,
}

/// Finds the route of the request whose head stands in `scratch`.
///
/// # Errors
/// The path leads above the root.
pub(super) fn admit<'t>(
    table: &'t Table,
    scratch: &mut Scratch,
    client: &Client,
) -> Result<Admitted<'t>, Refusal> {
    let Scratch {
        input,
        request,
        request_out,
        ..
    } = scratch;
    let buf = input.data();
    let path = match request.path.of(buf) {
        // `http://host` and `http://host?query` mean the root (RFC 9110 4.2.3).
        [] => "/",
        path => std::str::from_utf8(path).map_err(|_| Refusal::TargetByte)?,
    };
    let path = normalise_path(path).ok_or(Refusal::TargetAboveRoot)?;
    let host = std::str::from_utf8(request.host_name.of(buf)).map_err(|_| Refusal::Host)?;
    let head = table::RequestHead {
        host: &normal_host(host),
        path: &path,
        headers: &Headers { request, buf },
    };
    let route = table::route(table, &head);
    if route.is_some() {
        let identity = Identity {
            address: client.address.as_bytes(),
            scheme: client.stream.scheme(),
            request_id: &request_id(client),
        };
        request_out.clear();
        write_request(request, buf, path.as_bytes(), identity, request_out);
    }
    Ok(Admitted { route })
}

/// The form hosts of routes are kept in.
fn normal_host(host: &str) -> Cow<'_, str> {
    let host = host.strip_suffix('.').unwrap_or(host);
    match host.bytes().any(|b| b.is_ascii_uppercase()) {
        true => host.to_ascii_lowercase().into(),
        false => host.into(),
    }
}

fn request_id(client: &Client) -> [u8; 32] {
    let mut id = [0; 32];
    for half in id.chunks_exact_mut(16) {
        let mut number = client.worker.random();
        for digit in half {
            *digit = b"0123456789abcdef"[(number & 15) as usize];
            number >>= 4;
        }
    }
    id
}

struct Headers<'a> {
    request: &'a RequestHead,
    buf: &'a [u8],
}

impl HeaderLookup for Headers<'_> {
    fn value(&self, name: &str) -> Option<&[u8]> {
        let named = |line: &&Line| line.name.of(self.buf).eq_ignore_ascii_case(name.as_bytes());
        let line = self.request.lines.iter().find(named)?;
        Some(line.value.of(self.buf))
    }
}
