//! Writing heads: what leaves towards backends and clients.

use super::connection;
use super::edits::{Edits, append_line};
use super::lines::{Known, Line};
use super::{BodyEncoder, Framing, RequestHead, ResponseFraming, ResponseHead, Version};

/// What the gateway says about the client, in place of what the client says about itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity<'a> {
    /// The client's address as text, and those of the trusted proxies behind it.
    pub(crate) chain: &'a [u8],
    /// The scheme the client used, such as `https`.
    pub(crate) scheme: &'static str,
    /// The Host that the client asked for.
    pub(crate) host: &'a [u8],
    /// The request's name.
    pub(crate) request_id: &'a [u8],
}

/// Asks for WebSocket, and agrees to it.
const TO_WEBSOCKET: &[u8] = b"Connection: Upgrade\r\nUpgrade: websocket\r\n";

/// Whether the client's connection goes on after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Persistence {
    KeepAlive,
    Close,
}

/// What the head of an answer depends on beside the answer itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientSide {
    /// The client's version.
    pub(crate) version: Version,
    /// Whether the connection may go on as far as the gateway is concerned.
    pub(crate) persistence: Persistence,
}

/// What the backend is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// In normal form.
    pub(crate) path: &'a [u8],
    /// With its `?`, or nothing.
    pub(crate) query: &'a [u8],
    /// In place of the client's Host.
    pub(crate) host: Option<&'a [u8]>,
    /// Changes of the headers.
    pub(crate) edits: &'a Edits,
    /// Another method, and no body.
    pub(crate) bodiless: Option<&'a str>,
}

/// Appends the head for the backend: the request line, the end-to-end headers with their changes, our own
/// `X-Forwarded-*` and `X-Request-Id`.
pub(crate) fn write_request(
    head: &RequestHead,
    buf: &[u8],
    wanted: Wanted<'_>,
    identity: Identity<'_>,
    out: &mut Vec<u8>,
) {
    out.reserve(head.length + 256);
    let own_body = wanted.bodiless.is_none();
    out.extend_from_slice(match wanted.bodiless {
        None => head.method_text.of(buf),
        Some(method) => method.as_bytes(),
    });
    out.push(b' ');
    out.extend_from_slice(wanted.path);
    out.extend_from_slice(wanted.query);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    if let Some(host) = wanted.host {
        append_line(out, "Host", host);
    }
    copy_lines(
        buf,
        &head.lines,
        head.connection.names_headers,
        wanted.edits,
        out,
        |known| match known {
            Known::Other => true,
            Known::ContentLength => own_body,
            Known::Host => wanted.host.is_none(),
            // HTTP/1.0 has no expectations (RFC 9110 10.1.1).
            Known::Expect => {
                own_body && head.version != Version::Http10 && head.framing != Framing::None
            }
            Known::Connection
            | Known::HopByHop
            | Known::Identity
            | Known::TransferEncoding
            | Known::Upgrade => false,
        },
    );
    if own_body && matches!(head.framing, Framing::Chunked | Framing::UntilEnd) {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    if own_body && head.asks_websocket {
        out.extend_from_slice(TO_WEBSOCKET);
    }
    out.extend_from_slice(&wanted.edits.lines);
    out.extend_from_slice(b"X-Forwarded-For: ");
    out.extend_from_slice(identity.chain);
    out.extend_from_slice(b"\r\nX-Forwarded-Proto: ");
    out.extend_from_slice(identity.scheme.as_bytes());
    out.extend_from_slice(b"\r\nX-Forwarded-Host: ");
    out.extend_from_slice(identity.host);
    out.extend_from_slice(b"\r\nX-Request-Id: ");
    out.extend_from_slice(identity.request_id);
    out.extend_from_slice(b"\r\n\r\n");
}

/// Appends the head for the client with changes, and says how the body must be framed and whether the connection
/// goes on behind it. `more` are whole lines.
pub(crate) fn write_response(
    head: &ResponseHead,
    buf: &[u8],
    client: ClientSide,
    edits: &Edits,
    more: &[u8],
    out: &mut Vec<u8>,
) -> (BodyEncoder, Persistence) {
    let ends_by_close = matches!(
        head.framing,
        ResponseFraming::Chunked | ResponseFraming::UntilClose
    );
    let (encoder, persistence) = match (ends_by_close, client.version) {
        (false, _) => (BodyEncoder::Plain, client.persistence),
        (true, Version::Http11) => (BodyEncoder::Chunked, client.persistence),
        (true, Version::Http10) => (BodyEncoder::Plain, Persistence::Close),
        // The stream ends it.
        (true, Version::Http2) => (BodyEncoder::Plain, client.persistence),
    };
    out.reserve(head.length + 64);
    write_status_line(head, buf, out);
    copy_lines(
        buf,
        &head.lines,
        head.connection.names_headers,
        edits,
        out,
        |known| match known {
            // There is no body whose length could be told (RFC 9110 8.6).
            Known::ContentLength => head.status != 204,
            Known::Host | Known::Other | Known::Expect | Known::Identity => true,
            Known::Connection | Known::HopByHop | Known::TransferEncoding | Known::Upgrade => false,
        },
    );
    out.extend_from_slice(&edits.lines);
    out.extend_from_slice(more);
    if encoder == BodyEncoder::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    match (persistence, client.version) {
        (_, Version::Http2) => {}
        (Persistence::Close, _) => out.extend_from_slice(b"Connection: close\r\n"),
        (Persistence::KeepAlive, Version::Http10) => {
            out.extend_from_slice(b"Connection: keep-alive\r\n");
        }
        (Persistence::KeepAlive, Version::Http11) => {}
    }
    out.extend_from_slice(b"\r\n");
    (encoder, persistence)
}

/// Appends a 1xx head for the client.
pub(crate) fn write_interim(head: &ResponseHead, buf: &[u8], out: &mut Vec<u8>) {
    write_informational(head, buf, out);
    out.extend_from_slice(b"\r\n");
}

/// Appends the 101 head for the client.
pub(crate) fn write_switch(head: &ResponseHead, buf: &[u8], more: &[u8], out: &mut Vec<u8>) {
    write_informational(head, buf, out);
    out.extend_from_slice(more);
    out.extend_from_slice(TO_WEBSOCKET);
    out.extend_from_slice(b"\r\n");
}

/// With the space behind the code also where the backend has left it out with the reason (RFC 9112 4).
fn write_status_line(head: &ResponseHead, buf: &[u8], out: &mut Vec<u8>) {
    let text = head.status_text.of(buf);
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(text);
    if text.len() == 3 {
        out.push(b' ');
    }
    out.extend_from_slice(b"\r\n");
}

fn write_informational(head: &ResponseHead, buf: &[u8], out: &mut Vec<u8>) {
    write_status_line(head, buf, out);
    copy_lines(
        buf,
        &head.lines,
        head.connection.names_headers,
        Edits::NONE,
        out,
        |known| match known {
            Known::Other => true,
            Known::Host
            | Known::ContentLength
            | Known::Expect
            | Known::Identity
            | Known::Connection
            | Known::HopByHop
            | Known::TransferEncoding
            | Known::Upgrade => false,
        },
    );
}

/// Copies the lines to keep as they came; neighbours with one copy.
fn copy_lines(
    buf: &[u8],
    lines: &[Line],
    names_headers: bool,
    edits: &Edits,
    out: &mut Vec<u8>,
    keep: impl Fn(Known) -> bool,
) {
    let mut run = 0..0;
    for line in lines {
        let named = || {
            let name = line.name.of(buf);
            connection::members(buf, lines).any(|member| member.eq_ignore_ascii_case(name))
        };
        let kept = keep(line.known)
            && !(names_headers && line.known == Known::Other && named())
            && (edits.dropped.is_empty() || !edits.drops(line.name.of(buf)));
        let start = line.name.start as usize;
        let end = line.end as usize;
        if !kept {
            out.extend_from_slice(&buf[run.clone()]);
            run = end..end;
        } else if run.end == start {
            run.end = end;
        } else {
            out.extend_from_slice(&buf[run]);
            run = start..end;
        }
    }
    out.extend_from_slice(&buf[run]);
}
