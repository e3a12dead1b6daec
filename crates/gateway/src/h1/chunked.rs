//! The chunked transfer coding, RFC 9112 7.1, strictly: CRLF only, no white space, extensions bounded
//! and dropped, trailers checked and kept apart from the headers (B7 to B10).

use super::body::{BodyError, Decoded};
use super::bytes::is_token;

/// A decoder that keeps its place between reads.
#[derive(Debug)]
pub(crate) struct Chunked {
    state: State,
    extension_bytes: usize,
    /// As lines that end in CRLF.
    trailers: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// In the digits of a size line.
    Size {
        digits: u32,
        value: u64,
    },
    Extension {
        value: u64,
    },
    SizeLf {
        value: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    Done,
}

/// Extensions over a whole body (B9); nobody uses them, only attackers.
const EXTENSIONS_MAX: usize = 1024;
/// Trailers of a body: a status and a few checksums in practice.
const TRAILERS_MAX: usize = 8 * 1024;
/// 16 hex digits are 64 bits.
const DIGITS_MAX: u32 = 16;

impl Chunked {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Size {
                digits: 0,
                value: 0,
            },
            extension_bytes: 0,
            trailers: Vec::new(),
        }
    }

    /// Whether the last chunk and the trailers were read.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// The trailers, once all is read; before that there are none.
    pub(super) fn trailers(&self) -> &[u8] {
        match self.is_done() {
            true => &self.trailers,
            false => b"",
        }
    }

    /// Decodes in place: the payload found in `buf` is moved to its start.
    pub(super) fn decode(&mut self, buf: &mut [u8]) -> Result<Decoded, BodyError> {
        let mut at = 0;
        let mut payload = 0;
        while at < buf.len() {
            if let State::Data { left } = self.state {
                let here = usize::try_from(left)
                    .unwrap_or(usize::MAX)
                    .min(buf.len() - at);
                if payload != at {
                    buf.copy_within(at..at + here, payload);
                }
                payload += here;
                at += here;
                self.state = match left - here as u64 {
                    0 => State::DataCr,
                    left => State::Data { left },
                };
                continue;
            }
            if let State::Done = self.state {
                break;
            }
            self.state = self.step(buf[at])?;
            at += 1;
        }
        Ok(Decoded {
            consumed: at,
            payload,
            done: self.is_done(),
        })
    }

    /// One byte of anything but data.
    fn step(&mut self, byte: u8) -> Result<State, BodyError> {
        Ok(match (self.state, byte) {
            (State::Size { digits, value }, b) if b.is_ascii_hexdigit() => {
                let digit = char::from(b).to_digit(16).map_or(0, u64::from);
                if digits == DIGITS_MAX || value > (i64::MAX as u64) >> 4 {
                    return Err(BodyError::Chunk);
                }
                State::Size {
                    digits: digits + 1,
                    value: value << 4 | digit,
                }
            }
            (State::Size { digits: 1.., value }, b'\r') => State::SizeLf { value },
            (State::Size { digits: 1.., value }, b';') => State::Extension { value },
            (State::Extension { value }, b'\r') => State::SizeLf { value },
            (State::Extension { value }, b) if b == b'\t' || !b.is_ascii_control() => {
                self.extension_bytes += 1;
                if self.extension_bytes > EXTENSIONS_MAX {
                    return Err(BodyError::Chunk);
                }
                State::Extension { value }
            }
            (State::SizeLf { value: 0 }, b'\n') => State::TrailerStart,
            (State::SizeLf { value }, b'\n') => State::Data { left: value },
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size {
                digits: 0,
                value: 0,
            },
            (State::TrailerStart, b'\r') => State::EndLf,
            (State::TrailerStart | State::TrailerName, b) if is_token(b) => {
                self.keep_trailer(b)?;
                State::TrailerName
            }
            (State::TrailerName, b':') => {
                self.keep_trailer(b':')?;
                State::TrailerValue
            }
            (State::TrailerValue, b'\r') => State::TrailerLf,
            (State::TrailerValue, b) if b == b'\t' || !b.is_ascii_control() => {
                self.keep_trailer(b)?;
                State::TrailerValue
            }
            (State::TrailerLf, b'\n') => {
                self.trailers.extend_from_slice(b"\r\n");
                State::TrailerStart
            }
            (State::EndLf, b'\n') => State::Done,
            _ => return Err(BodyError::Chunk),
        })
    }

    fn keep_trailer(&mut self, byte: u8) -> Result<(), BodyError> {
        if self.trailers.len() >= TRAILERS_MAX {
            return Err(BodyError::Chunk);
        }
        self.trailers.push(byte);
        Ok(())
    }
}
