//! The Connection header, RFC 9110 7.6.1.

use super::bytes::{all_token, trim};
use super::lines::{Known, Line};

/// What the Connection headers of a head ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Connection {
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
    pub(crate) upgrade: bool,
    /// Headers are named that only the slow path of the rewrite removes.
    pub(crate) names_headers: bool,
}

/// The members of all Connection headers.
pub(super) fn members<'a>(buf: &'a [u8], lines: &'a [Line]) -> impl Iterator<Item = &'a [u8]> {
    lines
        .iter()
        .filter(|line| line.known == Known::Connection)
        .flat_map(|line| line.value.of(buf).split(|b| *b == b','))
        .map(trim)
        .filter(|member| !member.is_empty())
}

/// Reads them; `None` when one is not a token or names a header that must reach the other end (B21).
pub(super) fn read(buf: &[u8], lines: &[Line]) -> Option<Connection> {
    let mut connection = Connection::default();
    for member in members(buf, lines) {
        let is = |name: &str| member.eq_ignore_ascii_case(name.as_bytes());
        if is("close") {
            connection.close = true;
        } else if is("keep-alive") {
            connection.keep_alive = true;
        } else if is("upgrade") {
            connection.upgrade = true;
        } else if is("te") || is("http2-settings") {
            // Removed whether named or not.
        } else if all_token(member) && !must_reach_the_end(member) {
            connection.names_headers = true;
        } else {
            return None;
        }
    }
    Some(connection)
}

/// Headers that decide who is asking, for what, or how the message is framed. Letting a client have
/// them removed on the way is an attack on the backend.
fn must_reach_the_end(name: &[u8]) -> bool {
    const NAMES: [&str; 12] = [
        "authorization",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "forwarded",
        "host",
        "origin",
        "set-cookie",
        "transfer-encoding",
        "x-real-ip",
        "x-request-id",
    ];
    NAMES
        .iter()
        .any(|n| name.eq_ignore_ascii_case(n.as_bytes()))
        || name
            .get(..12)
            .is_some_and(|head| head.eq_ignore_ascii_case(b"x-forwarded-"))
}

/// Whether the Upgrade headers name WebSocket (RFC 6455 4.1) and nothing else. `h2c` would let a client speak to
/// the backend unseen (B24).
pub(super) fn upgrades_to_websocket(buf: &[u8], lines: &[Line]) -> bool {
    let mut upgrades = lines.iter().filter(|line| line.known == Known::Upgrade);
    let first = upgrades.next();
    let is_websocket = |line: &Line| trim(line.value.of(buf)).eq_ignore_ascii_case(b"websocket");
    first.is_some_and(is_websocket) && upgrades.next().is_none()
}
