//! Bodies out of one framing and into another.

use super::super::body::{BodyDecoder, BodyEncoder, BodyError};
use super::super::{Framing, ResponseFraming};
use proptest::prelude::*;

/// Decodes `pieces` one after the other: the payload, and how many bytes were used, once it is complete.
fn decode(framing: Framing, pieces: &[&[u8]]) -> Result<Option<(Vec<u8>, usize)>, BodyError> {
    let mut decoder = BodyDecoder::request(framing);
    let (mut payload, mut used) = (Vec::new(), 0);
    for piece in pieces {
        let mut rest = piece.to_vec();
        while !rest.is_empty() && !decoder.is_done() {
            let decoded = decoder.decode(&mut rest)?;
            payload.extend_from_slice(&rest[..decoded.payload]);
            used += decoded.consumed;
            rest.drain(..decoded.consumed);
        }
    }
    Ok(decoder.is_done().then_some((payload, used)))
}

#[test]
fn chunks_are_the_same_wherever_they_are_split() {
    let cases: [(&[u8], &[u8]); 5] = [
        (b"4\r\nabcd\r\n0\r\n\r\n", b"abcd"),
        (b"0\r\n\r\n", b""),
        (
            b"00A;name=value\r\n0123456789\r\n000\r\n\r\n",
            b"0123456789",
        ),
        (b"1\r\na\r\n2\r\nbc\r\n0\r\nX: y\r\nZ: w\r\n\r\n", b"abc"),
        (b"3\r\n\r\n0\r\n0\r\n\r\n", b"\r\n0"),
    ];
    for (body, expect) in cases {
        let mut message = body.to_vec();
        message.extend_from_slice(b"GET / HTTP/1.1");
        for at in 0..message.len() {
            let (one, two) = message.split_at(at);
            let (payload, used) = decode(Framing::Chunked, &[one, two]).unwrap().unwrap();
            assert_eq!((&*payload, used), (expect, body.len()), "split at {at}");
        }
        let bytes: Vec<&[u8]> = message.chunks(1).collect();
        assert!(decode(Framing::Chunked, &bytes).unwrap().is_some());
    }
}

#[test]
fn chunks_that_are_not_clean_are_refused() {
    let long = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(2000));
    let trailers = format!("0\r\nX: {}\r\n\r\n", "x".repeat(9000));
    let cases = [
        ("B7", "g\r\n"),
        ("B7", "0x1\r\na\r\n0\r\n\r\n"),
        ("B7", " 1\r\na\r\n0\r\n\r\n"),
        ("B7", "+1\r\na\r\n0\r\n\r\n"),
        ("B7", "-1\r\n"),
        ("B7", "\r\n"),
        ("B7", ";\r\n"),
        ("B7", "10000000000000000\r\n"),
        ("B7", "00000000000000001\r\n"),
        ("B8", "1\na\r\n0\r\n\r\n"),
        ("B8", "1\r\na\n0\r\n\r\n"),
        ("B8", "1\r\nab\r\n0\r\n\r\n"),
        ("B8", "1\r\na0\r\n\r\n"),
        ("B8", "0\r\n\n"),
        ("B8", "0\n\r\n"),
        ("B9", "1;a\nb\r\na\r\n0\r\n\r\n"),
        ("B9", "1;a\rb\r\na\r\n0\r\n\r\n"),
        ("B9", "1 \r\na\r\n0\r\n\r\n"),
        ("B9", &long),
        ("B10", "0\r\nX\r\n\r\n"),
        ("B10", "0\r\n X: y\r\n\r\n"),
        ("B10", "0\r\nX: a\0b\r\n\r\n"),
        ("B10", &trailers),
    ];
    for (number, body) in cases {
        let refused = decode(Framing::Chunked, &[body.as_bytes()]);
        assert_eq!(refused, Err(BodyError::Chunk), "{number}: {body:?}");
    }
}

#[test]
fn a_length_takes_what_it_says_and_no_more() {
    let message = b"abcdGET / HTTP/1.1";
    let found = decode(Framing::Length(4), &[&message[..1], &message[1..]]);
    assert_eq!(found, Ok(Some((b"abcd".to_vec(), 4))));
    assert_eq!(decode(Framing::Length(30), &[message]), Ok(None));
    assert!(BodyDecoder::request(Framing::Length(0)).is_done());
    assert!(BodyDecoder::request(Framing::None).is_done());
}

#[test]
fn only_a_body_that_the_end_delimits_may_be_cut() {
    let may_end = |framing| BodyDecoder::response(framing).may_end_here();
    assert!(may_end(ResponseFraming::UntilClose) && may_end(ResponseFraming::None));
    assert!(!may_end(ResponseFraming::Chunked) && !may_end(ResponseFraming::Length(1)));
}

proptest! {
    #[test]
    fn any_bytes_are_chunks_or_refused(bytes in prop::collection::vec(prop_oneof![
        any::<u8>(), Just(b'\r'), Just(b'\n'), Just(b'0'), Just(b'2'), Just(b';'),
    ], 0..80), at in 0..80_usize) {
        let whole = decode(Framing::Chunked, &[&bytes]);
        let (one, two) = bytes.split_at(at.min(bytes.len()));
        prop_assert_eq!(decode(Framing::Chunked, &[one, two]), whole);
    }

    #[test]
    fn what_is_encoded_is_decoded(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..6)) {
        let mut wire = Vec::new();
        for piece in &pieces {
            BodyEncoder::Chunked.before(piece.len(), &mut wire);
            wire.extend_from_slice(piece);
            wire.extend_from_slice(BodyEncoder::Chunked.after(piece.len(), false));
        }
        wire.extend_from_slice(BodyEncoder::Chunked.after(0, true));
        let (payload, used) = decode(Framing::Chunked, &[&wire]).unwrap().unwrap();
        prop_assert_eq!(payload, pieces.concat());
        prop_assert_eq!(used, wire.len());
    }
}
