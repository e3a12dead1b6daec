//! Response heads of backends: as strict as requests, with 502 instead of 400 (B28).

use super::connection::{self, Connection};
use super::lines::{Known, Line, Scan, Span, scan_lines};
use super::request::content_length;
use super::{BadResponse, HEAD_MAX, Method, Refusal, Version};

/// A response head as offsets into the buffer it was read from. Reused from response to response.
#[derive(Debug, Default)]
pub(crate) struct ResponseHead {
    /// 100 to 599.
    pub(crate) status: u16,
    /// Status code and reason phrase, as `200 OK`.
    pub(crate) status_text: Span,
    /// The backend's version.
    pub(crate) version: Version,
    /// The header lines.
    pub(crate) lines: Vec<Line>,
    /// How the body is delimited.
    pub(crate) framing: ResponseFraming,
    /// What Connection asks for.
    pub(crate) connection: Connection,
    /// The length of the head in bytes.
    pub(crate) length: usize,
}

/// What the request was, as far as its answer depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    /// It asked to go on with WebSocket.
    pub(crate) websocket: bool,
}

/// How a response body is delimited (RFC 9112 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ResponseFraming {
    /// There is no body, whatever the headers say.
    #[default]
    None,
    /// So many bytes follow.
    Length(u64),
    /// Chunks follow.
    Chunked,
    /// Everything until the connection ends.
    UntilClose,
}

impl ResponseHead {
    /// Reads the head of an answer to what was `asked` from the start of `buf`. `Ok(false)`: it
    /// is not complete yet.
    ///
    /// # Errors
    /// [`BadResponse`] says what a backend may not do.
    pub(crate) fn parse(&mut self, buf: &[u8], asked: Asked) -> Result<bool, BadResponse> {
        self.lines.clear();
        let window = &buf[..buf.len().min(HEAD_MAX)];
        let scanned = match self.scan_status_line(window)? {
            Scan::Incomplete => Scan::Incomplete,
            Scan::Done(at) => {
                scan_lines(window, at, &mut self.lines).map_err(|refusal| match refusal {
                    Refusal::TooManyHeaders => BadResponse::HeadTooLarge,
                    other => BadResponse::Header(other),
                })?
            }
        };
        match scanned {
            Scan::Incomplete if window.len() == HEAD_MAX => Err(BadResponse::HeadTooLarge),
            Scan::Incomplete => Ok(false),
            Scan::Done(length) => {
                self.length = length;
                self.judge(buf, asked)?;
                Ok(true)
            }
        }
    }

    /// Whether this is a 1xx answer that another one follows.
    pub(crate) fn is_interim(&self) -> bool {
        self.status < 200 && !self.is_switch()
    }

    /// Whether WebSocket follows instead of HTTP.
    pub(crate) fn is_switch(&self) -> bool {
        self.status == 101
    }

    fn upgrades(&self, buf: &[u8]) -> bool {
        self.connection.upgrade && connection::upgrades_to_websocket(buf, &self.lines)
    }

    /// Whether the backend keeps the connection after this answer.
    pub(crate) fn keeps_alive(&self) -> bool {
        match (self.framing, self.version) {
            (ResponseFraming::UntilClose, _) => false,
            (_, Version::Http11 | Version::Http2) => !self.connection.close,
            (_, Version::Http10) => self.connection.keep_alive && !self.connection.close,
        }
    }

    fn scan_status_line(&mut self, buf: &[u8]) -> Result<Scan<usize>, BadResponse> {
        const FORM: &[u8] = b"HTTP/1.d sdd";
        for (offset, expect) in FORM.iter().enumerate() {
            let fits = match (buf.get(offset), expect) {
                (None, _) => return Ok(Scan::Incomplete),
                (Some(b), b'd') => b.is_ascii_digit(),
                (Some(b), b's') => matches!(b, b'1'..=b'5'),
                (Some(b), expect) => b == expect,
            };
            if !fits {
                return Err(BadResponse::StatusLine);
            }
        }
        let rest = FORM.len();
        let end = super::bytes::value_end(buf, rest);
        match (buf.get(rest), buf.get(end), buf.get(end + 1)) {
            (Some(b), _, _) if !matches!(b, b' ' | b'\r') => return Err(BadResponse::StatusLine),
            (_, Some(b'\r'), Some(b'\n')) => {}
            (_, None, _) | (_, Some(b'\r'), None) => return Ok(Scan::Incomplete),
            _ => return Err(BadResponse::StatusLine),
        }
        let digit = |at: usize| u16::from(buf[at] - b'0');
        self.status = digit(9) * 100 + digit(10) * 10 + digit(11);
        self.status_text = Span::new(9, end);
        self.version = if buf[7] == b'0' {
            Version::Http10
        } else {
            Version::Http11
        };
        Ok(Scan::Done(end + 2))
    }

    fn judge(&mut self, buf: &[u8], asked: Asked) -> Result<(), BadResponse> {
        let mut length = None;
        let mut chunked = false;
        let mut connections = 0;
        for line in &self.lines {
            match line.known {
                Known::ContentLength => {
                    let value = content_length(line.value.of(buf)).ok_or(BadResponse::Length)?;
                    if length.replace(value).is_some() {
                        return Err(BadResponse::Length);
                    }
                }
                Known::TransferEncoding => {
                    let once = !chunked && line.value.of(buf).eq_ignore_ascii_case(b"chunked");
                    if !once || self.version == Version::Http10 {
                        return Err(BadResponse::Coding);
                    }
                    chunked = true;
                }
                Known::Connection => connections += 1,
                Known::Expect
                | Known::Host
                | Known::HopByHop
                | Known::Identity
                | Known::Other
                | Known::Upgrade => {}
            }
        }
        self.connection = match connections {
            0 => Connection::default(),
            _ => connection::read(buf, &self.lines)
                .ok_or(BadResponse::Header(Refusal::Connection))?,
        };
        self.framing = match (self.status, length, chunked) {
            // What follows is no HTTP; the end of the connection ends it.
            (101, None, false) if asked.websocket && self.upgrades(buf) => {
                ResponseFraming::UntilClose
            }
            (101, _, _) => return Err(BadResponse::UnaskedUpgrade),
            (_, Some(_), true) => return Err(BadResponse::Length),
            (100..=199 | 204, Some(1..), _) | (100..=199 | 204, _, true) => {
                return Err(BadResponse::UnexpectedBody);
            }
            (100..=199 | 204 | 304, _, _) => ResponseFraming::None,
            _ if asked.method == Method::Head => ResponseFraming::None,
            (_, Some(length), _) => ResponseFraming::Length(length),
            (_, None, true) => ResponseFraming::Chunked,
            (_, None, false) => ResponseFraming::UntilClose,
        };
        // Bytes behind a head that ends the message are a body that may not be, or the start of
        // somebody else's answer.
        if matches!(self.status, 204 | 304) && buf.len() > self.length {
            return Err(BadResponse::UnexpectedBody);
        }
        Ok(())
    }
}
