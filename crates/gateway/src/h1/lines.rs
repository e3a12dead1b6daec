//! Header lines: the part that requests and responses share.

use super::bytes::{is_ows, is_token, value_end};
use super::{HEADERS_MAX, Refusal};

/// A range of the buffer that a head was read from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    /// First byte.
    pub(crate) start: u32,
    /// One after the last byte.
    pub(crate) end: u32,
}

impl Span {
    pub(crate) fn new(start: usize, end: usize) -> Self {
        Self {
            start: offset(start),
            end: offset(end),
        }
    }

    /// The bytes it stands for.
    pub(crate) fn of<'a>(&self, buf: &'a [u8]) -> &'a [u8] {
        &buf[self.start as usize..self.end as usize]
    }
}

/// Heads are at most `HEAD_MAX` bytes long and begin near the start of their buffer.
fn offset(at: usize) -> u32 {
    u32::try_from(at).expect("a buffer is far smaller than 4 GiB")
}

/// One header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// The name as written.
    pub(crate) name: Span,
    /// The value without surrounding white space.
    pub(crate) value: Span,
    /// One after the line's CRLF.
    pub(crate) end: u32,
    /// What the gateway knows the name as.
    pub(crate) known: Known,
}

/// Names that mean something to the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Connection,
    ContentLength,
    Expect,
    /// `Forwarded`, `X-Real-IP`, `X-Request-Id` and all of `X-Forwarded-*`: what a client says about
    /// itself is worth nothing, the gateway writes its own.
    Identity,
    Host,
    /// Meant for the next hop only: `Keep-Alive`, `Proxy-Connection`, `TE`, `Trailer`, `HTTP2-Settings`.
    HopByHop,
    Other,
    TransferEncoding,
    /// Meant for the next hop, which passes a WebSocket on and nothing else.
    Upgrade,
}

/// How far a scan came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scan<T> {
    /// More bytes are needed.
    Incomplete,
    /// The part ends before this offset.
    Done(T),
}

/// Reads header lines from `at` up to and with the empty line, appending to `lines`.
pub(super) fn scan_lines(
    buf: &[u8],
    mut at: usize,
    lines: &mut Vec<Line>,
) -> Result<Scan<usize>, Refusal> {
    loop {
        match buf.get(at) {
            None => return Ok(Scan::Incomplete),
            Some(b'\r') => {
                return match buf.get(at + 1) {
                    None => Ok(Scan::Incomplete),
                    Some(b'\n') => Ok(Scan::Done(at + 2)),
                    Some(_) => Err(Refusal::BareCr),
                };
            }
            Some(b'\n') => return Err(Refusal::BareLf),
            Some(b' ' | b'\t') => return Err(Refusal::FoldedHeader),
            Some(_) if lines.len() == HEADERS_MAX => return Err(Refusal::TooManyHeaders),
            Some(_) => {}
        }
        match scan_line(buf, at)? {
            Scan::Incomplete => return Ok(Scan::Incomplete),
            Scan::Done(line) => {
                at = line.end as usize;
                lines.push(line);
            }
        }
    }
}

fn scan_line(buf: &[u8], start: usize) -> Result<Scan<Line>, Refusal> {
    let Some(length) = buf[start..].iter().position(|b| !is_token(*b)) else {
        return Ok(Scan::Incomplete);
    };
    let colon = start + length;
    match buf[colon] {
        b':' if length == 0 => return Err(Refusal::EmptyHeaderName),
        b':' => {}
        b'\r' | b'\n' => return Err(Refusal::HeaderWithoutColon),
        b' ' | b'\t' => return Err(Refusal::SpaceBeforeColon),
        _ => return Err(Refusal::HeaderNameByte),
    }
    let end = value_end(buf, colon + 1);
    match buf.get(end) {
        None => return Ok(Scan::Incomplete),
        Some(b'\r') => {}
        Some(b'\n') => return Err(Refusal::BareLf),
        Some(_) => return Err(Refusal::ControlByte),
    }
    match buf.get(end + 1) {
        None => return Ok(Scan::Incomplete),
        Some(b'\n') => {}
        Some(_) => return Err(Refusal::BareCr),
    }
    let mut value = (colon + 1, end);
    while value.0 < value.1 && is_ows(buf[value.0]) {
        value.0 += 1;
    }
    while value.0 < value.1 && is_ows(buf[value.1 - 1]) {
        value.1 -= 1;
    }
    Ok(Scan::Done(Line {
        name: Span::new(start, colon),
        value: Span::new(value.0, value.1),
        end: offset(end + 2),
        known: known(&buf[start..colon])?,
    }))
}

/// Classifies a name. One that differs from a known one only by `_` for `-` is refused: many servers
/// hand both to applications under the same variable (B15).
fn known(name: &[u8]) -> Result<Known, Refusal> {
    let class = classify(name);
    if class != Known::Other || !name.contains(&b'_') {
        return Ok(class);
    }
    // Nothing but the open-ended X-Forwarded- family is longer than this copy, and that is known by
    // its first twelve bytes.
    let mut dashed = [0; 32];
    let length = name.len().min(dashed.len());
    let copy = &mut dashed[..length];
    copy.copy_from_slice(&name[..length]);
    copy.iter_mut().for_each(dash);
    match classify(copy) {
        Known::Other => Ok(class),
        _ => Err(Refusal::UnderscoreName),
    }
}

fn dash(byte: &mut u8) {
    if *byte == b'_' {
        *byte = b'-';
    }
}

fn classify(name: &[u8]) -> Known {
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    match (name.len(), name[0] | 0x20) {
        (2, b't') if is("te") => Known::HopByHop,
        (4, b'h') if is("host") => Known::Host,
        (6, b'e') if is("expect") => Known::Expect,
        (7, b'u') if is("upgrade") => Known::Upgrade,
        (7, b't') if is("trailer") => Known::HopByHop,
        (9, b'f') if is("forwarded") => Known::Identity,
        (9, b'x') if is("x-real-ip") => Known::Identity,
        (10, b'c') if is("connection") => Known::Connection,
        (10, b'k') if is("keep-alive") => Known::HopByHop,
        (12, b'x') if is("x-request-id") => Known::Identity,
        (14, b'c') if is("content-length") => Known::ContentLength,
        (14, b'h') if is("http2-settings") => Known::HopByHop,
        (16, b'p') if is("proxy-connection") => Known::HopByHop,
        (17, b't') if is("transfer-encoding") => Known::TransferEncoding,
        (12.., b'x') if name[..12].eq_ignore_ascii_case(b"x-forwarded-") => Known::Identity,
        _ => Known::Other,
    }
}
