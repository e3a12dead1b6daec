//! A request in frames, written down as one of HTTP/1.1 (RFC 9113 8.3, RFC 9110 7.6).
//!
//! What `h2` has refused before: pseudo-headers that are missing, doubled, unknown or late, upper case in names,
//! headers of a connection, `te` other than `trailers`, a length that the body does not have. What HTTP/1.1 would
//! refuse is refused by its parser, which reads what is written here.

use crate::h1::passable_trailers;
use crate::worker::Buffer;
use h2::ext::Protocol;
use http::header::{COOKIE, HOST, TE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};

/// A request that breaks a rule of RFC 9113 and ends its stream with PROTOCOL_ERROR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Whether the client asks to speak WebSocket on the stream (RFC 8441 4).
pub(super) fn asks_websocket(request: &Parts) -> bool {
    let protocol = request.extensions.get::<Protocol>();
    request.method == Method::CONNECT
        && protocol.is_some_and(|protocol| protocol.as_str() == "websocket")
}

/// Appends the head. `key` is for the handshake that WebSocket has in HTTP/1.1 only.
///
/// # Errors
/// [`Malformed`].
pub(super) fn write(request: &Parts, key: [u8; 16], out: &mut Buffer) -> Result<(), Malformed> {
    let websocket = asks_websocket(request);
    let method = match websocket {
        true => "GET",
        false => request.method.as_str(),
    };
    let path = request.uri.path_and_query();
    out.append(method.as_bytes());
    out.append(b" ");
    out.append(path.map_or(b"/", |path| path.as_str().as_bytes()));
    out.append(b" HTTP/1.1\r\n");
    let authority = request.uri.authority().map(|name| name.as_str().as_bytes());
    if let Some(authority) = authority {
        write_line(b"host", authority, out);
    }
    for (name, value) in &request.headers {
        let value = clean(value)?;
        if name == HOST {
            match authority {
                // They must not name two origins (RFC 9113 8.3.1).
                Some(authority) if !value.eq_ignore_ascii_case(authority) => return Err(Malformed),
                Some(_) => {}
                None => write_line(b"host", value, out),
            }
        } else if name != COOKIE && name != TE {
            write_line(name.as_str().as_bytes(), value, out);
        }
    }
    write_cookies(request, out);
    if websocket {
        out.append(b"connection: upgrade\r\nupgrade: websocket\r\n");
        write_line(b"sec-websocket-key", &base64(key), out);
    }
    out.append(b"\r\n");
    Ok(())
}

/// They come in crumbs, and leave in one piece (RFC 9113 8.2.3).
fn write_cookies(request: &Parts, out: &mut Buffer) {
    let mut before: &[u8] = b"cookie: ";
    for crumb in request.headers.get_all(COOKIE) {
        out.append(before);
        out.append(crumb.as_bytes());
        before = b"; ";
    }
    if before == b"; " {
        out.append(b"\r\n");
    }
}

/// Those of `trailers` that may pass, as lines that end in CRLF.
pub(super) fn trailers(trailers: &HeaderMap) -> Vec<u8> {
    let mut all = Vec::new();
    for (name, value) in trailers {
        push_line(name.as_str().as_bytes(), value.as_bytes(), &mut all);
    }
    let mut passing = Vec::new();
    for (name, value) in passable_trailers(&all) {
        push_line(name, value, &mut passing);
    }
    passing
}

fn push_line(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    for part in [name, b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

fn write_line(name: &[u8], value: &[u8], out: &mut Buffer) {
    out.append(name);
    out.append(b": ");
    out.append(value);
    out.append(b"\r\n");
}

/// The bytes of a value, which has no space at its ends (RFC 9113 8.2.1).
fn clean(value: &HeaderValue) -> Result<&[u8], Malformed> {
    let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let bytes = value.as_bytes();
    match is_space(bytes.first()) || is_space(bytes.last()) {
        true => Err(Malformed),
        false => Ok(bytes),
    }
}

/// RFC 4648 4.
fn base64(bytes: [u8; 16]) -> [u8; 24] {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = [b'='; 24];
    for (three, four) in bytes.chunks(3).zip(text.chunks_exact_mut(4)) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (at, digit) in four.iter_mut().enumerate().take(three.len() + 1) {
            *digit = DIGITS[(bits >> (18 - 6 * at)) as usize & 63];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The head, or nothing when it is malformed.
    fn check(method: &str, uri: &str, headers: &[(&str, &str)], expect: Option<&str>) {
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        if method == "CONNECT" {
            parts.extensions.insert(Protocol::from_static("websocket"));
        }
        let mut out = Buffer::new();
        let written = write(&parts, *b"the sample nonce", &mut out);
        let text = String::from_utf8(out.data().to_vec()).unwrap();
        assert_eq!(
            written.ok().map(|()| text.as_str()),
            expect,
            "{uri} {headers:?}"
        );
    }

    #[test]
    fn a_request_becomes_one_of_http_1_1() {
        let uri = "https://shop.example.com/a?b";
        let start = "GET /a?b HTTP/1.1\r\nhost: shop.example.com\r\n";
        let with = |lines: &str| format!("{start}{lines}\r\n");
        check("GET", uri, &[], Some(&with("")));
        let same = [
            ("host", "Shop.Example.com"),
            ("x-a", "b"),
            ("te", "trailers"),
        ];
        check("GET", uri, &same, Some(&with("x-a: b\r\n")));
        let crumbs = [("cookie", "a=b"), ("x-a", "b"), ("cookie", "c=d")];
        let one = with("x-a: b\r\ncookie: a=b; c=d\r\n");
        check("GET", uri, &crumbs, Some(&one));
        let host = "GET /a HTTP/1.1\r\nhost: shop\r\n\r\n";
        check("GET", "/a", &[("host", "shop")], Some(host));
    }

    #[test]
    fn what_could_be_understood_in_two_ways_is_malformed() {
        let uri = "https://shop.example.com/";
        for header in [
            ("host", "other.example.com"),
            ("host", "shop.example.com:80"),
            ("x-a", " b"),
            ("x-a", "b\t"),
            ("cookie", "a "),
        ] {
            check("GET", uri, &[header], None);
        }
    }

    #[test]
    fn websocket_asks_as_in_http_1_1() {
        let asks = "GET /chat HTTP/1.1\r\nhost: a\r\nsec-websocket-version: 13\r\nconnection: upgrade\r\n\
                    upgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let version = [("sec-websocket-version", "13")];
        check("CONNECT", "https://a/chat", &version, Some(asks));
    }
}
