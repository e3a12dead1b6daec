//! Bodies: taking them out of one framing and putting them into another.

use super::chunked::Chunked;
use super::{Framing, ResponseFraming};
use std::borrow::Cow;

/// Takes a body out of its framing, keeping its place between reads.
#[derive(Debug)]
pub(crate) enum BodyDecoder {
    /// The body is complete.
    Done,
    /// So many bytes are to come; never zero.
    Length(u64),
    /// Chunks are to come.
    Chunked(Chunked),
    /// Bytes until the connection or the HTTP/2 stream ends are to come.
    UntilClose,
}

/// What one call of [`BodyDecoder::decode`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    /// Bytes used; what follows belongs to the next message.
    pub(crate) consumed: usize,
    /// Bytes of payload, moved to the start of the buffer.
    pub(crate) payload: usize,
    /// The body is complete.
    pub(crate) done: bool,
}

/// A body that breaks its framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// The chunk grammar (B7 to B9).
    Chunk,
}

impl BodyDecoder {
    /// For a request body.
    pub(crate) fn request(framing: Framing) -> Self {
        match framing {
            Framing::None | Framing::Length(0) => Self::Done,
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(Chunked::new()),
            Framing::UntilEnd => Self::UntilClose,
        }
    }

    /// For a response body.
    pub(crate) fn response(framing: ResponseFraming) -> Self {
        match framing {
            ResponseFraming::None | ResponseFraming::Length(0) => Self::Done,
            ResponseFraming::Length(length) => Self::Length(length),
            ResponseFraming::Chunked => Self::Chunked(Chunked::new()),
            ResponseFraming::UntilClose => Self::UntilClose,
        }
    }

    /// Whether the body is complete.
    pub(crate) fn is_done(&self) -> bool {
        match self {
            Self::Done => true,
            Self::Chunked(chunked) => chunked.is_done(),
            Self::Length(_) | Self::UntilClose => false,
        }
    }

    /// Whether the end of the connection is the end of the body and not a cut.
    pub(crate) fn may_end_here(&self) -> bool {
        self.is_done() || matches!(self, Self::UntilClose)
    }

    /// The trailers behind the chunks, as lines that end in CRLF; nothing before the body is complete.
    pub(crate) fn trailers(&self) -> &[u8] {
        match self {
            Self::Chunked(chunked) => chunked.trailers(),
            Self::Done | Self::Length(_) | Self::UntilClose => b"",
        }
    }

    /// Takes what `buf` holds of the body; the payload is moved to its start.
    ///
    /// # Errors
    /// [`BodyError`] when the framing is broken; the message must then be given up.
    pub(crate) fn decode(&mut self, buf: &mut [u8]) -> Result<Decoded, BodyError> {
        let decoded = match self {
            Self::Done => Decoded {
                consumed: 0,
                payload: 0,
                done: true,
            },
            Self::Length(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(buf.len());
                *left -= here as u64;
                Decoded {
                    consumed: here,
                    payload: here,
                    done: *left == 0,
                }
            }
            // It stays what it is, because it holds the trailers.
            Self::Chunked(chunked) => return chunked.decode(buf),
            Self::UntilClose => Decoded {
                consumed: buf.len(),
                payload: buf.len(),
                done: false,
            },
        };
        if decoded.done {
            *self = Self::Done;
        }
        Ok(decoded)
    }
}

/// How a body is framed on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyEncoder {
    /// As it is: the length was announced, or the end of the connection ends it.
    Plain,
    /// As one chunk for each piece.
    Chunked,
}

impl BodyEncoder {
    /// Appends what must stand before a piece of `payload` bytes.
    pub(crate) fn before(self, payload: usize, out: &mut Vec<u8>) {
        if self == Self::Chunked && payload > 0 {
            let mut digits = [0; 16];
            let mut at = digits.len();
            let mut rest = payload;
            while rest > 0 {
                at -= 1;
                digits[at] = b"0123456789abcdef"[rest & 15];
                rest >>= 4;
            }
            out.extend_from_slice(&digits[at..]);
            out.extend_from_slice(b"\r\n");
        }
    }

    /// What must stand behind it.
    pub(crate) fn after(self, payload: usize, done: bool) -> &'static [u8] {
        match (self, payload > 0, done) {
            (Self::Plain, _, _) | (Self::Chunked, false, false) => b"",
            (Self::Chunked, true, false) => b"\r\n",
            (Self::Chunked, true, true) => b"\r\n0\r\n\r\n",
            (Self::Chunked, false, true) => b"0\r\n\r\n",
        }
    }

    /// The end behind the last piece, with `trailers`, lines that end in CRLF, where they can stand.
    pub(crate) fn end(self, trailers: &[u8]) -> Cow<'static, [u8]> {
        match (self, trailers) {
            (Self::Plain, _) | (_, []) => Cow::Borrowed(self.after(0, true)),
            (Self::Chunked, trailers) => [b"0\r\n", trailers, b"\r\n"].concat().into(),
        }
    }
}
