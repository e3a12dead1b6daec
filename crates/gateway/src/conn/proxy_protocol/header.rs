//! The header itself, in both versions, as a function of the bytes that have come.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A whole header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Bytes it takes.
    pub(super) length: usize,
    /// Whose connection it is; none: that of who sent the header.
    pub(super) source: Option<IpAddr>,
}

/// What is no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// It begins like neither version.
    Start,
    /// The line of version 1 has no end where it must have one.
    LineLength,
    /// The line of version 1 is not written as it must be.
    Line,
    /// Version 2 with a number that is none of 2.
    Version,
    /// Neither LOCAL nor PROXY.
    Command,
    /// A family or transport that does not exist, or datagrams.
    Family,
    /// Too short for its addresses.
    Length,
    /// Longer than [`HEADER_MAX`].
    TooLong,
}

/// The longest line of version 1, with its CRLF (section 2.1).
const LINE_MAX: usize = 107;
/// The first bytes of version 2 (section 2.2): no method of HTTP, no record of TLS and no line of version 1 begins so.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, command, family and length.
const FIXED: usize = 16;
/// A header of version 2 is read up to here. What it holds behind the addresses, such as names of an end point in a
/// cloud, takes some hundred bytes, and a client certificate less than the rest.
pub(super) const HEADER_MAX: usize = 4096;

impl Header {
    /// Reads the header at the start of `bytes`; none as long as it may still become one.
    ///
    /// # Errors
    /// It never will. Found out with the first byte that says so, as far as the versions differ.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, Malformed> {
        let begins = |start: &[u8]| {
            let shared = bytes.len().min(start.len());
            bytes[..shared] == start[..shared]
        };
        if begins(SIGNATURE) {
            version_2(bytes)
        } else if begins(b"PROXY ") {
            version_1(bytes)
        } else {
            Err(Malformed::Start)
        }
    }
}

/// `PROXY TCP4 192.0.2.9 10.0.0.1 50000 443` and a CRLF (section 2.1).
fn version_1(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    let seen = &bytes[..bytes.len().min(LINE_MAX)];
    let Some(end) = seen.iter().position(|b| *b == b'\n') else {
        return match seen.len() < LINE_MAX {
            true => Ok(None),
            false => Err(Malformed::LineLength),
        };
    };
    let line = seen[..end].strip_suffix(b"\r").ok_or(Malformed::Line)?;
    let line = std::str::from_utf8(line).map_err(|_| Malformed::Line)?;
    let mut words = line.split(' ').skip(1);
    let family = words.next();
    let source = match family {
        // What stands behind it is to be ignored.
        Some("UNKNOWN") => None,
        Some("TCP4" | "TCP6") => {
            let mut address = || {
                let word = words.next()?;
                match family {
                    Some("TCP4") => word.parse().ok().map(IpAddr::V4),
                    _ => word.parse().ok().map(IpAddr::V6),
                }
            };
            let (source, destination) = (address(), address());
            let ports = (words.next().and_then(port), words.next().and_then(port));
            match (source, destination, ports, words.next()) {
                (Some(source), Some(_), (Some(_), Some(_)), None) => Some(source),
                _ => return Err(Malformed::Line),
            }
        }
        _ => return Err(Malformed::Line),
    };
    Ok(Some(Header {
        length: end + 1,
        source,
    }))
}

/// A port without sign or leading zeros.
fn port(word: &str) -> Option<u16> {
    let canonical = word == "0" || word.starts_with(|c: char| matches!(c, '1'..='9'));
    word.parse().ok().filter(|_| canonical)
}

/// The binary form (section 2.2). What follows the addresses is skipped.
fn version_2(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    let Some(&[command, family, high, low]) = bytes.get(SIGNATURE.len()..FIXED) else {
        return Ok(None);
    };
    if command >> 4 != 2 {
        return Err(Malformed::Version);
    }
    let behind = usize::from(u16::from_be_bytes([high, low]));
    let length = FIXED + behind;
    if length > HEADER_MAX {
        return Err(Malformed::TooLong);
    }
    let local = match command & 0xf {
        0 => true,
        1 => false,
        _ => return Err(Malformed::Command),
    };
    // Source and destination, each with its port; those of a socket in the file system are paths.
    let addresses = match family {
        _ if local => 0,
        0x00 => 0,
        0x11 => 12,
        0x21 => 36,
        0x31 => 216,
        _ => return Err(Malformed::Family),
    };
    if behind < addresses {
        return Err(Malformed::Length);
    }
    let Some(rest) = bytes.get(FIXED..length) else {
        return Ok(None);
    };
    let source = match addresses {
        12 => rest
            .first_chunk::<4>()
            .map(|octets| Ipv4Addr::from(*octets).into()),
        36 => rest
            .first_chunk::<16>()
            .map(|octets| Ipv6Addr::from(*octets).into()),
        _ => None,
    };
    Ok(Some(Header { length, source }))
}

impl Malformed {
    /// For the log.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Start => "it does not begin with a PROXY header",
            Self::LineLength => "the line of version 1 does not end within 107 bytes",
            Self::Line => "the line of version 1 is malformed",
            Self::Version => "version 2 with another number",
            Self::Command => "the command is neither LOCAL nor PROXY",
            Self::Family => "the address family or transport is none of a connection",
            Self::Length => "it is too short for its addresses",
            Self::TooLong => "it is longer than 4096 bytes",
        }
    }
}
