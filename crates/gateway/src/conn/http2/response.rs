//! An answer of HTTP/1.1 as the fields of one of HTTP/2 (RFC 9113 8.2).

use crate::h1::{Known, ResponseHead, passable_trailers};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

/// The head that `head` was read from, `buf`. One that agrees to WebSocket says so with 200 (RFC 8441 5).
///
/// # Errors
/// None for a head that the parser has accepted, but for a status that is no status.
pub(super) fn read(head: &ResponseHead, buf: &[u8]) -> Result<Response<()>, http::Error> {
    let mut response = Response::new(());
    *response.status_mut() = match head.is_switch() {
        true => StatusCode::OK,
        false => StatusCode::from_u16(head.status)?,
    };
    let fields = response.headers_mut();
    fields.reserve(head.lines.len());
    for line in &head.lines {
        match line.known {
            Known::Connection | Known::HopByHop | Known::TransferEncoding | Known::Upgrade => {}
            Known::ContentLength | Known::Expect | Known::Host | Known::Identity | Known::Other => {
                let name = HeaderName::from_bytes(line.name.of(buf))?;
                // The handshake that this belongs to was the gateway's.
                if !(head.is_switch() && name == "sec-websocket-accept") {
                    // Copied: the table of the compression must not keep a whole head for one of its values.
                    let value = HeaderValue::from_bytes(line.value.of(buf))?;
                    fields.append(name, value);
                }
            }
        }
    }
    Ok(response)
}

/// Those of `lines`, each of which ends in CRLF, that may stand behind an answer.
pub(super) fn trailers(lines: &[u8]) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    for (name, value) in passable_trailers(lines) {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            trailers.append(name, value);
        }
    }
    trailers
}
