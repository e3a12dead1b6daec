//! Heads from HTTP/1.1 into fields, and back.

use crate::h1::{Known, RequestHead, passable_trailers};
use http::header::{CONTENT_LENGTH, TE};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};

/// The request whose head was read from `buf` (RFC 9113 8.3.1). An upgrade stays behind: it is one of HTTP/1.1.
///
/// # Errors
/// None for a head that the gateway has written.
pub(super) fn request(
    head: &RequestHead,
    buf: &[u8],
    scheme: Scheme,
) -> Result<Request<()>, http::Error> {
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(head.method_text.of(buf))?;
    let target = [head.path.of(buf), head.query.of(buf)].concat();
    *request.uri_mut() = Uri::builder()
        .scheme(scheme)
        .authority(head.host.of(buf))
        .path_and_query(PathAndQuery::try_from(target)?)
        .build()?;
    let fields = request.headers_mut();
    fields.reserve(head.lines.len());
    for line in &head.lines {
        match line.known {
            Known::Connection
            | Known::HopByHop
            | Known::Host
            | Known::TransferEncoding
            | Known::Upgrade => {}
            Known::ContentLength | Known::Expect | Known::Identity | Known::Other => {
                let name = HeaderName::from_bytes(line.name.of(buf))?;
                // Copied: the table of the compression must not keep a whole head for one of its values.
                fields.append(name, HeaderValue::from_bytes(line.value.of(buf))?);
            }
        }
    }
    // True, and gRPC asks for it.
    fields.insert(TE, HeaderValue::from_static("trailers"));
    Ok(request)
}

/// How the body of an answer is framed where it is written in HTTP/1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// As it is: there is none, or its length is known.
    Plain,
    /// In chunks, behind which trailers can stand.
    Chunked,
}

/// Appends a head; `ended` says that nothing follows it, `to_head` that it answers HEAD.
pub(super) fn write_head(
    response: &Response<()>,
    ended: Ended,
    asked: &Method,
    out: &mut Vec<u8>,
) -> Framing {
    let status = response.status();
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.extend_from_slice(b" \r\n");
    write_lines(response.headers(), out);
    let bodiless = status.is_informational() || matches!(status.as_u16(), 204 | 304);
    let has_length = response.headers().contains_key(CONTENT_LENGTH);
    let framing = match ended {
        _ if bodiless || has_length || asked == Method::HEAD => Framing::Plain,
        Ended::Yes => {
            out.extend_from_slice(b"content-length: 0\r\n");
            Framing::Plain
        }
        Ended::No => {
            out.extend_from_slice(b"transfer-encoding: chunked\r\n");
            Framing::Chunked
        }
    };
    out.extend_from_slice(b"\r\n");
    framing
}

/// Whether a message ends with its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Yes,
    No,
}

/// Appends each field as a line.
pub(super) fn write_lines(fields: &HeaderMap, out: &mut Vec<u8>) {
    for (name, value) in fields {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
}

/// Those of `lines`, each of which ends in CRLF, that may stand behind a body.
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
