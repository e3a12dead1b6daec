//! Request heads: strict parsing and the framing decision (RFC 9112 3 and 6, B1 to B24).

use super::bytes::{all_token, is_token, trim};
use super::connection::{self, Connection};
use super::host::host_len;
use super::lines::{Known, Line, Scan, Span, scan_lines};
use super::{HEAD_MAX, Refusal, TARGET_MAX};

/// A request head as offsets into the buffer it was read from. Reused from request to request.
#[derive(Debug, Default)]
pub(crate) struct RequestHead {
    /// What is asked.
    pub(crate) method: Method,
    /// The method as written.
    pub(crate) method_text: Span,
    /// The path as written; `/` may be implied by an absolute target, then this is empty.
    pub(crate) path: Span,
    /// The query with its `?`, or nothing.
    pub(crate) query: Span,
    /// The client's version.
    pub(crate) version: Version,
    /// The header lines.
    pub(crate) lines: Vec<Line>,
    /// The value of Host.
    pub(crate) host: Span,
    /// The host part of it, without port.
    pub(crate) host_name: Span,
    /// How the body is delimited.
    pub(crate) framing: Framing,
    /// What Connection asks for.
    pub(crate) connection: Connection,
    /// The client asks to go on with WebSocket (RFC 9110 7.8).
    pub(crate) asks_websocket: bool,
    /// The client waits for 100 before it sends the body.
    pub(crate) expects_continue: bool,
    /// The length of the head in bytes.
    pub(crate) length: usize,
}

/// Methods that the gateway treats differently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Method {
    #[default]
    Get,
    Head,
    /// PUT, DELETE, OPTIONS: idempotent (RFC 9110 9.2.2).
    Idempotent,
    /// POST, PATCH and whatever we do not know.
    Other,
}

impl Method {
    /// HEAD for HEAD, GET for all others.
    pub(crate) fn or_get(self) -> Self {
        match self {
            Self::Head => Self::Head,
            Self::Get | Self::Idempotent | Self::Other => Self::Get,
        }
    }

    /// Whether the same request may be sent again when its fate is unknown.
    pub(crate) fn is_idempotent(self) -> bool {
        match self {
            Self::Get | Self::Head | Self::Idempotent => true,
            Self::Other => false,
        }
    }
}

/// The client's protocol version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Version {
    Http10,
    #[default]
    Http11,
    /// The head came in frames and was written down as that of HTTP/1.1.
    Http2,
}

/// How a request body is delimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is no body.
    #[default]
    None,
    /// So many bytes follow; may be zero.
    Length(u64),
    /// Chunks follow.
    Chunked,
    /// Everything until the end of the HTTP/2 stream follows.
    UntilEnd,
}

impl RequestHead {
    /// Reads a head from the start of `buf`. `Ok(false)`: it is not complete yet. The result depends on
    /// the bytes only, not on how they arrived.
    ///
    /// # Errors
    /// The first [`Refusal`] in the order of the bytes; then the rules that need the whole head.
    pub(crate) fn parse(&mut self, buf: &[u8]) -> Result<bool, Refusal> {
        self.lines.clear();
        // Older clients send one CRLF too many behind a body (RFC 9112 2.2).
        let start = match buf {
            [b'\r', b'\n', ..] => 2,
            // That CRLF, of which only the half has come.
            [b'\r'] => return Ok(false),
            _ => 0,
        };
        let window = &buf[..buf.len().min(start + HEAD_MAX)];
        let scanned = match self.scan_request_line(window, start)? {
            Scan::Incomplete => Scan::Incomplete,
            Scan::Done(at) => scan_lines(window, at, &mut self.lines)?,
        };
        match scanned {
            Scan::Incomplete if window.len() == start + HEAD_MAX => Err(Refusal::HeadTooLarge),
            Scan::Incomplete => Ok(false),
            Scan::Done(length) => {
                self.length = length;
                self.judge(buf)?;
                Ok(true)
            }
        }
    }

    /// Whether bytes of a body follow the head.
    pub(crate) fn has_body(&self) -> bool {
        !matches!(self.framing, Framing::None | Framing::Length(0))
    }

    /// Whether the connection may carry another request after this one.
    pub(crate) fn keeps_alive(&self) -> bool {
        match self.version {
            Version::Http11 | Version::Http2 => !self.connection.close,
            Version::Http10 => self.connection.keep_alive && !self.connection.close,
        }
    }

    /// The value of the first header of this lower-case name, among those that routes may match.
    #[cfg(test)]
    pub(crate) fn header<'a>(&self, buf: &'a [u8], name: &str) -> Option<&'a [u8]> {
        let named = |line: &&Line| line.name.of(buf).eq_ignore_ascii_case(name.as_bytes());
        self.lines.iter().find(named).map(|line| line.value.of(buf))
    }

    fn scan_request_line(&mut self, buf: &[u8], start: usize) -> Result<Scan<usize>, Refusal> {
        // The longest registered method has 17 characters.
        const METHOD_MAX: usize = 32;
        let Some(length) = buf[start..].iter().position(|b| !is_token(*b)) else {
            return match buf.len() - start {
                0..=METHOD_MAX => Ok(Scan::Incomplete),
                _ => Err(Refusal::MethodTooLong),
            };
        };
        if length > METHOD_MAX {
            return Err(Refusal::MethodTooLong);
        }
        let space = start + length;
        if length == 0 || buf[space] != b' ' {
            return Err(Refusal::Method);
        }
        self.method_text = Span::new(start, space);
        self.method = method(&buf[start..space])?;
        let target = space + 1;
        let Some(length) = buf[target..].iter().position(|b| !may_stand_in_target(*b)) else {
            return match buf.len() - target {
                0..=TARGET_MAX => Ok(Scan::Incomplete),
                _ => Err(Refusal::TargetTooLong),
            };
        };
        if length > TARGET_MAX {
            return Err(Refusal::TargetTooLong);
        }
        let space = target + length;
        match buf[space] {
            b' ' => {}
            b'\r' | b'\n' => return Err(Refusal::Version),
            _ => return Err(Refusal::TargetByte),
        }
        self.path = Span::new(target, space);
        self.scan_version(buf, space + 1)
    }

    fn scan_version(&mut self, buf: &[u8], at: usize) -> Result<Scan<usize>, Refusal> {
        const FORM: &[u8] = b"HTTP/d.d\r\n";
        for (offset, expect) in FORM.iter().enumerate() {
            let fits = match (buf.get(at + offset), expect) {
                (None, _) => return Ok(Scan::Incomplete),
                (Some(b), b'd') => b.is_ascii_digit(),
                (Some(b'\n'), b'\r') => return Err(Refusal::BareLf),
                (Some(b), expect) => b == expect,
            };
            if !fits {
                return Err(Refusal::Version);
            }
        }
        self.version = match (buf[at + 5], buf[at + 7]) {
            (b'1', b'0') => Version::Http10,
            // A later minor version is handled as the one we know (RFC 9110 6.2).
            (b'1', _) => Version::Http11,
            _ => return Err(Refusal::VersionNotSupported),
        };
        Ok(Scan::Done(at + FORM.len()))
    }

    /// The rules that need the whole head.
    fn judge(&mut self, buf: &[u8]) -> Result<(), Refusal> {
        let mut hosts = 0;
        let mut length = None;
        let mut codings = 0;
        let mut connections = 0;
        self.expects_continue = false;
        for line in &self.lines {
            match line.known {
                Known::Other | Known::HopByHop | Known::Identity | Known::Upgrade => {}
                Known::Host => {
                    hosts += 1;
                    self.host = line.value;
                }
                Known::ContentLength => {
                    if length.replace(content_length(line.value.of(buf))).is_some() {
                        return Err(Refusal::TwoLengths);
                    }
                }
                Known::TransferEncoding => codings += 1,
                Known::Connection => connections += 1,
                Known::Expect => {
                    if !line.value.of(buf).eq_ignore_ascii_case(b"100-continue") {
                        return Err(Refusal::Expectation);
                    }
                    self.expects_continue = true;
                }
            }
        }
        if hosts != 1 {
            return Err(Refusal::Host);
        }
        let name = host_len(self.host.of(buf)).ok_or(Refusal::Host)?;
        let start = self.host.start as usize;
        self.host_name = Span::new(start, start + name);
        self.framing = match (length, codings) {
            (None, 0) => Framing::None,
            (Some(length), 0) => Framing::Length(length.ok_or(Refusal::Length)?),
            (Some(_), _) => return Err(Refusal::LengthAndCoding),
            (None, _) if self.version == Version::Http10 => return Err(Refusal::CodingInHttp10),
            (None, _) => {
                check_codings(buf, &self.lines)?;
                Framing::Chunked
            }
        };
        self.connection = match connections {
            0 => Connection::default(),
            _ => connection::read(buf, &self.lines).ok_or(Refusal::Connection)?,
        };
        // A server ignores Upgrade in HTTP/1.0, and a body would have to be sent before the switch.
        self.asks_websocket = self.connection.upgrade
            && self.version == Version::Http11
            && self.framing == Framing::None
            && self.method == Method::Get
            && connection::upgrades_to_websocket(buf, &self.lines);
        self.split_target(buf)
    }

    /// Splits the target into path and query, and checks both.
    fn split_target(&mut self, buf: &[u8]) -> Result<(), Refusal> {
        let target = self.path.of(buf);
        let mut start = self.path.start as usize;
        if target.first() != Some(&b'/') {
            // RFC 9112 3.2.2; a target in any other form is nothing a reverse proxy could route.
            let scheme = [&b"http://"[..], b"https://"].into_iter().find(|scheme| {
                let start = target.get(..scheme.len());
                start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
            });
            let scheme_len = scheme.ok_or(Refusal::TargetForm)?.len();
            let rest = &target[scheme_len..];
            let end = rest
                .iter()
                .position(|b| matches!(b, b'/' | b'?'))
                .unwrap_or(rest.len());
            if !rest[..end].eq_ignore_ascii_case(self.host.of(buf)) {
                return Err(Refusal::HostMismatch);
            }
            start += scheme_len + end;
        }
        let end = self.path.end as usize;
        let rest = &buf[start..end];
        let path_end = rest
            .iter()
            .position(|b| *b == b'?')
            .map_or(end, |at| start + at);
        self.path = Span::new(start, path_end);
        self.query = Span::new(path_end, end);
        check_percent(rest)
    }
}

fn method(text: &[u8]) -> Result<Method, Refusal> {
    Ok(match text {
        b"GET" => Method::Get,
        b"HEAD" => Method::Head,
        b"PUT" | b"DELETE" | b"OPTIONS" => Method::Idempotent,
        b"CONNECT" | b"TRACE" => return Err(Refusal::MethodNotAllowed),
        _ => Method::Other,
    })
}

/// Visible ASCII without `#` and the characters that RFC 3986 keeps out of URIs and that no browser
/// sends raw. A raw backslash would be a second path separator for some backends.
fn may_stand_in_target(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'#' | b'"' | b'<' | b'>' | b'\\' | b'`')
}

/// RFC 9112 6.2: digits only. 19 digits hold 2^63.
pub(super) fn content_length(value: &[u8]) -> Option<u64> {
    if !(1..=19).contains(&value.len()) {
        return None;
    }
    let number = value.iter().try_fold(0_u64, |sum, digit| {
        digit
            .is_ascii_digit()
            .then(|| sum * 10 + u64::from(digit - b'0'))
    })?;
    (number <= i64::MAX as u64).then_some(number)
}

/// All Transfer-Encoding lines together must say `chunked` and nothing else.
fn check_codings(buf: &[u8], lines: &[Line]) -> Result<(), Refusal> {
    let coded = || {
        lines
            .iter()
            .filter(|line| line.known == Known::TransferEncoding)
    };
    let has_tab =
        coded().any(|line| buf[line.name.end as usize..line.end as usize].contains(&b'\t'));
    let mut members = 0;
    let mut chunked = 0;
    let mut last_is_chunked = false;
    for member in coded().flat_map(|line| line.value.of(buf).split(|b| *b == b',')) {
        let member = trim(member);
        if !all_token(member) {
            return Err(Refusal::Coding);
        }
        last_is_chunked = member.eq_ignore_ascii_case(b"chunked");
        chunked += u32::from(last_is_chunked);
        members += 1;
    }
    match (members, chunked, last_is_chunked) {
        _ if has_tab => Err(Refusal::Coding),
        (1, 1, true) => Ok(()),
        (_, 1, true) | (1, 0, false) => Err(Refusal::CodingUnknown),
        _ => Err(Refusal::Coding),
    }
}

/// Every `%` must be followed by two hex digits that are not both zero.
fn check_percent(target: &[u8]) -> Result<(), Refusal> {
    let mut rest = target;
    while let Some(at) = rest.iter().position(|b| *b == b'%') {
        match rest.get(at + 1..at + 3) {
            Some(code) if code.iter().all(u8::is_ascii_hexdigit) && code != b"00" => {}
            _ => return Err(Refusal::TargetPercent),
        }
        rest = &rest[at + 3..];
    }
    Ok(())
}
