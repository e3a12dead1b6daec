use super::header::{HEADER_MAX, Header, Malformed};
use proptest::prelude::*;
use std::net::IpAddr;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn v2(command: u8, family: u8, behind: &[u8]) -> Vec<u8> {
    let length = u16::try_from(behind.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, behind].concat()
}

/// Source 192.0.2.9 or 2001:db8::9, destination zero.
fn addresses(family: u8) -> Vec<u8> {
    let mut bytes = match family {
        0x11 => vec![192, 0, 2, 9],
        _ => vec![0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9],
    };
    bytes.resize(bytes.len() * 2 + 4, 0);
    bytes
}

fn named(source: &str) -> Option<IpAddr> {
    Some(source.parse().unwrap())
}

#[test]
fn both_versions_name_the_client() {
    let with_extras = [addresses(0x11), b"\x04\x00\x03abc".to_vec()].concat();
    let cases: [(Vec<u8>, Option<IpAddr>); 11] = [
        (
            b"PROXY TCP4 192.0.2.9 10.0.0.1 50000 443\r\n".to_vec(),
            named("192.0.2.9"),
        ),
        (
            b"PROXY TCP6 2001:db8::9 ::1 0 65535\r\n".to_vec(),
            named("2001:db8::9"),
        ),
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (b"PROXY UNKNOWN ff:: whatever 1 2\r\n".to_vec(), None),
        (v2(0x21, 0x11, &addresses(0x11)), named("192.0.2.9")),
        (v2(0x21, 0x11, &with_extras), named("192.0.2.9")),
        (v2(0x21, 0x21, &addresses(0x21)), named("2001:db8::9")),
        // A health check of the balancer; what it says of addresses does not count.
        (v2(0x20, 0x00, b""), None),
        (v2(0x20, 0x11, &addresses(0x11)), None),
        (v2(0x21, 0x00, b"xyz"), None),
        (v2(0x21, 0x31, &[0; 216]), None),
    ];
    for (bytes, source) in cases {
        let length = bytes.len();
        let whole = Ok(Some(Header { length, source }));
        assert_eq!(Header::parse(&bytes), whole, "{}", bytes.escape_ascii());
        // What follows belongs to somebody else.
        let followed = [&bytes[..], b"GET / HTTP/1.1\r\n"].concat();
        assert_eq!(Header::parse(&followed), whole);
        for end in 0..length {
            assert_eq!(Header::parse(&bytes[..end]), Ok(None), "{end} of {length}");
        }
    }
}

#[test]
fn what_is_no_header_is_told_apart() {
    let line = |text: &str| format!("PROXY {text}\r\n").into_bytes();
    let lines = [
        "",
        "UDP4 192.0.2.9 10.0.0.1 1 2",
        "tcp4 192.0.2.9 10.0.0.1 1 2",
        "TCP4 192.0.2.9 10.0.0.1 1",
        "TCP4 192.0.2.9 10.0.0.1 1 2 3",
        "TCP4 192.0.2.9 10.0.0.1 1 2 ",
        "TCP4  192.0.2.9 10.0.0.1 1 2",
        "TCP4 192.0.2.9 10.0.0.1 1 65536",
        "TCP4 192.0.2.9 10.0.0.1 01 2",
        "TCP4 192.0.2.9 10.0.0.1 +1 2",
        "TCP4 192.0.2.09 10.0.0.1 1 2",
        "TCP4 ::1 10.0.0.1 1 2",
        "TCP6 192.0.2.9 ::1 1 2",
        "TCP4 192.0.2.9 10.0.0.1 1 2\r",
    ];
    let mut cases: Vec<_> = lines.map(|text| (line(text), Malformed::Line)).into();
    cases.extend([
        (b"PROXY UNKNOWN\n".to_vec(), Malformed::Line),
        (
            line(&format!("UNKNOWN {}", "x".repeat(92))),
            Malformed::LineLength,
        ),
        (b"GET / HTTP/1.1\r\n".to_vec(), Malformed::Start),
        (b"P\0".to_vec(), Malformed::Start),
        // A handshake of TLS.
        (b"\x16\x03\x01".to_vec(), Malformed::Start),
        (b"\r\n\r\nGET".to_vec(), Malformed::Start),
        (v2(0x11, 0x11, &addresses(0x11)), Malformed::Version),
        (v2(0x22, 0x11, &addresses(0x11)), Malformed::Command),
        (v2(0x21, 0x12, &addresses(0x11)), Malformed::Family),
        (v2(0x21, 0x41, &addresses(0x11)), Malformed::Family),
        (v2(0x21, 0x11, &addresses(0x11)[1..]), Malformed::Length),
        (v2(0x21, 0x21, &addresses(0x11)), Malformed::Length),
        (v2(0x21, 0x00, &[0; HEADER_MAX]), Malformed::TooLong),
    ]);
    for (bytes, malformed) in cases {
        assert_eq!(
            Header::parse(&bytes),
            Err(malformed),
            "{}",
            bytes.escape_ascii()
        );
    }
    // As long as it may be.
    let longest = v2(0x21, 0x00, &[0; HEADER_MAX - 16]);
    assert_eq!(Header::parse(&longest).unwrap().unwrap().length, HEADER_MAX);
    let longest = line(&format!("UNKNOWN {}", "x".repeat(91)));
    assert_eq!(Header::parse(&longest).unwrap().unwrap().length, 107);
}

/// Bytes that begin like a header, so that chance finds what lies behind its start.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let start = prop_oneof![
        Just(Vec::new()),
        Just(b"PROXY ".to_vec()),
        Just(b"PROXY TCP4 192.0.2.9 10.0.0.1 ".to_vec()),
        Just(b"PROXY TCP6 ".to_vec()),
        Just(SIGNATURE.to_vec()),
        Just(v2(0x21, 0x11, b"")[..14].to_vec()),
        (0_u8..0x40, 0_u8..60)
            .prop_map(|(family, length)| { [SIGNATURE, &[0x21, family, 0, length]].concat() }),
    ];
    let rest = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        "[0-9a-f:. ]{0,60}(\r\n)?".prop_map(String::into_bytes),
    ];
    (start, rest).prop_map(|(start, rest)| [start, rest].concat())
}

proptest! {
    /// However the bytes are cut, the verdict is the same, no part of what follows is taken, and it comes in time.
    #[test]
    fn any_bytes_have_one_verdict(bytes in nearly()) {
        let verdict = Header::parse(&bytes);
        for end in 0..bytes.len() {
            match (Header::parse(&bytes[..end]), verdict) {
                (Ok(None), Ok(Some(header))) => prop_assert!(end < header.length),
                (Ok(None), _) => prop_assert!(end < HEADER_MAX),
                (decided, _) => prop_assert_eq!(decided, verdict),
            }
        }
        if let Ok(Some(header)) = verdict {
            prop_assert!(header.length <= bytes.len());
        }
    }

    #[test]
    fn every_client_is_named_as_written(source: IpAddr, port: u16) {
        let family = match source {
            IpAddr::V4(_) => "TCP4",
            IpAddr::V6(_) => "TCP6",
        };
        let line = format!("PROXY {family} {source} {source} {port} {port}\r\n");
        let parsed = Header::parse(line.as_bytes());
        prop_assert_eq!(parsed, Ok(Some(Header { length: line.len(), source: Some(source) })));
    }
}
