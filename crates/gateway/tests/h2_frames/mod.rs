//! Frames of HTTP/2 as bytes (RFC 9113 4.1, RFC 7541), right or wrong, and what comes back.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used)] // Each test file uses a part of it.

pub mod cases;

use crate::rig::PATIENCE;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;
pub const WITH_PRIORITY: u8 = 32;
/// A head that is the whole request.
pub const WHOLE: u8 = END_STREAM | END_HEADERS;

pub const NO_ERROR: u32 = 0;
pub const PROTOCOL_ERROR: u32 = 1;
pub const FLOW_CONTROL_ERROR: u32 = 3;
pub const STREAM_CLOSED: u32 = 5;
pub const FRAME_SIZE_ERROR: u32 = 6;
pub const REFUSED_STREAM: u32 = 7;
pub const CANCEL: u32 = 8;
pub const COMPRESSION_ERROR: u32 = 9;
pub const ENHANCE_YOUR_CALM: u32 = 11;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A header block without compression.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            integer(text.len(), 127, &mut block);
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// RFC 7541 5.1, where the first byte has room up to `prefix`.
fn integer(mut value: usize, prefix: usize, out: &mut Vec<u8>) {
    if value < prefix {
        out.push(value as u8);
        return;
    }
    out.push(prefix as u8);
    value -= prefix;
    while value >= 128 {
        out.push((value % 128 + 128) as u8);
        value /= 128;
    }
    out.push(value as u8);
}

pub const GET: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "http"),
    (":path", "/"),
    (":authority", "shop.example.com"),
];
pub const POST: [(&str, &str); 4] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/"),
    (":authority", "shop.example.com"),
];

/// The block of a GET with these behind.
pub fn get_with(more: &[(&str, &str)]) -> Vec<u8> {
    [block(&GET), block(more)].concat()
}

pub fn headers(flags: u8, stream: u32, block: &[u8]) -> Vec<u8> {
    frame(HEADERS, flags, stream, block)
}

/// A whole GET.
pub fn get(stream: u32) -> Vec<u8> {
    headers(WHOLE, stream, &block(&GET))
}

/// The head of a POST whose body follows.
pub fn post(stream: u32) -> Vec<u8> {
    headers(END_HEADERS, stream, &block(&POST))
}

pub fn setting(id: u16, value: u32) -> Vec<u8> {
    let mut setting = id.to_be_bytes().to_vec();
    setting.extend_from_slice(&value.to_be_bytes());
    setting
}

pub fn settings(list: &[(u16, u32)]) -> Vec<u8> {
    let list: Vec<u8> = list
        .iter()
        .flat_map(|(id, value)| setting(*id, *value))
        .collect();
    frame(SETTINGS, 0, 0, &list)
}

pub fn ping() -> Vec<u8> {
    frame(PING, 0, 0, b"8 bytes.")
}

pub fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())
}

pub fn window(stream: u32, more: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &more.to_be_bytes())
}

/// What comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Headers {
        stream: u32,
        status: u16,
        ended: bool,
    },
    Data {
        stream: u32,
        length: usize,
        ended: bool,
    },
    Reset {
        stream: u32,
        code: u32,
    },
    Goaway {
        code: u32,
    },
    Settings,
    SettingsAck,
    Pong,
    Other(u8),
    /// The end of the connection, or its reset.
    End,
    /// The time is over.
    Nothing,
}

/// A connection whose frames are made by hand.
pub struct Raw {
    stream: TcpStream,
}

impl Raw {
    /// Connects and says nothing.
    pub fn silent(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    /// Connects as it should.
    pub fn open(to: SocketAddr) -> Self {
        let mut raw = Self::silent(to);
        assert!(raw.send(&[PREFACE, &settings(&[])].concat()));
        raw
    }

    /// False when the other side has gone.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The next frame.
    pub fn next(&mut self) -> Seen {
        let mut head = [0; 9];
        if let Err(error) = self.stream.read_exact(&mut head) {
            return match error.kind() {
                std::io::ErrorKind::WouldBlock => Seen::Nothing,
                _ => Seen::End,
            };
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (kind, flags) = (head[3], head[4]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; length];
        if self.stream.read_exact(&mut payload).is_err() {
            return Seen::End;
        }
        let number = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
        let ended = flags & END_STREAM != 0;
        match kind {
            HEADERS => Seen::Headers {
                stream,
                status: status(&payload),
                ended,
            },
            DATA => Seen::Data {
                stream,
                length,
                ended,
            },
            RST_STREAM => Seen::Reset {
                stream,
                code: number(0),
            },
            GOAWAY => Seen::Goaway { code: number(4) },
            SETTINGS if flags & ACK != 0 => Seen::SettingsAck,
            SETTINGS => Seen::Settings,
            PING if flags & ACK != 0 => Seen::Pong,
            other => Seen::Other(other),
        }
    }

    /// The first frame for which `is` holds; `Err` with what came instead when the connection ends before.
    pub fn wait(&mut self, is: impl Fn(&Seen) -> bool) -> Result<Seen, Vec<Seen>> {
        let mut before = Vec::new();
        loop {
            let seen = self.next();
            if is(&seen) {
                return Ok(seen);
            }
            before.push(seen.clone());
            if matches!(seen, Seen::End | Seen::Nothing) {
                return Err(before);
            }
        }
    }
}

/// The status that a header block of ours begins with; 0 for trailers.
fn status(block: &[u8]) -> u16 {
    // A change of the table's size may stand before it.
    let skip = block
        .iter()
        .position(|byte| byte & 0xe0 != 0x20)
        .unwrap_or(0);
    match &block[skip..] {
        [0x88, ..] => 200,
        [0x89, ..] => 204,
        [0x8c, ..] => 400,
        [0x8d, ..] => 404,
        [0x8e, ..] => 500,
        // A name from the table, then three digits, plain or as Huffman codes of five bits each.
        [0x48, 0x03, digits @ ..] => String::from_utf8_lossy(&digits[..3]).parse().unwrap(),
        [0x48, 0x82, a, b, ..] => {
            let bits = u16::from_be_bytes([*a, *b]);
            let digit = |shift: u16| match bits >> shift & 31 {
                small @ 0..=2 => small,
                // '3' to '9' have six bits and are not told apart here.
                _ => 9,
            };
            digit(11) * 100 + digit(6) * 10 + digit(1)
        }
        _ => 0,
    }
}
