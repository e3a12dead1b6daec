//! Requests of HTTP/2 that RFC 9113 8 calls malformed, and header blocks that RFC 7541 does not allow.
#![allow(missing_docs, clippy::unwrap_used)]

mod h2_frames;
mod rig;

use h2_frames::cases::*;
use h2_frames::*;
use rig::*;

#[tokio::test]
async fn malformed_heads_leave_no_byte_at_the_endpoint() {
    let whole = |fields: &[(&str, &str)]| headers(WHOLE, 1, &block(fields));
    let with = |name: &str, value: &str| headers(WHOLE, 1, &get_with(&[(name, value)]));
    let [method, scheme, path, authority] = GET;
    let cases = vec![
        ("8.2.1 upper case", with("X-Test", "ok"), Reset(PROTOCOL)),
        (
            "8.2.1 a space in a name",
            with("x test", "ok"),
            Reset(PROTOCOL),
        ),
        (
            "8.2.1 a colon in a name",
            with("x:test", "ok"),
            Reset(PROTOCOL),
        ),
        (
            "8.2.1 CR and LF in a value",
            with("x-test", "a\r\nb: c"),
            Reset(PROTOCOL),
        ),
        (
            "8.2.1 NUL in a value",
            with("x-test", "a\0b"),
            Reset(PROTOCOL),
        ),
        (
            "8.2.1 a space before a value",
            with("x-test", " a"),
            Reset(PROTOCOL),
        ),
        (
            "8.2.1 a tab behind a value",
            with("x-test", "a\t"),
            Reset(PROTOCOL),
        ),
        ("8.2.1 an empty name", with("", "a"), Reset(COMPRESSION)),
        (
            "8.2.2 connection",
            with("connection", "keep-alive"),
            Reset(PROTOCOL),
        ),
        ("8.2.2 keep-alive", with("keep-alive", "5"), Reset(PROTOCOL)),
        (
            "8.2.2 proxy-connection",
            with("proxy-connection", "close"),
            Reset(PROTOCOL),
        ),
        (
            "8.2.2 transfer-encoding",
            with("transfer-encoding", "chunked"),
            Reset(PROTOCOL),
        ),
        (
            "8.2.2 upgrade",
            with("upgrade", "websocket"),
            Reset(PROTOCOL),
        ),
        ("8.2.2 te", with("te", "trailers, deflate"), Reset(PROTOCOL)),
        ("8.3 an unknown one", with(":test", "ok"), Reset(PROTOCOL)),
        (
            "8.3 one of answers",
            with(":status", "200"),
            Reset(PROTOCOL),
        ),
        (
            "8.3 one behind a header",
            whole(&[method, scheme, authority, ("x", "y"), path]),
            Reset(PROTOCOL),
        ),
        (
            "8.3.1 an empty path",
            whole(&[method, scheme, authority, (":path", "")]),
            Reset(PROTOCOL),
        ),
        (
            "8.3.1 no method",
            whole(&[scheme, path, authority]),
            Reset(PROTOCOL),
        ),
        (
            "8.3.1 no scheme",
            whole(&[method, path, authority]),
            Reset(PROTOCOL),
        ),
        (
            "8.3.1 no path",
            whole(&[method, scheme, authority]),
            Reset(PROTOCOL),
        ),
        ("8.3.1 two methods", with(":method", "GET"), Reset(PROTOCOL)),
        (
            "8.3.1 two schemes",
            with(":scheme", "http"),
            Reset(PROTOCOL),
        ),
        ("8.3.1 two paths", with(":path", "/"), Reset(PROTOCOL)),
        (
            "8.3.1 two authorities",
            with(":authority", "shop.example.com"),
            Reset(PROTOCOL),
        ),
        (
            "8.3.1 another host",
            with("host", "other.example.com"),
            Reset(PROTOCOL),
        ),
        (
            "8.1.1 a length without a body",
            with("content-length", "1"),
            Reset(PROTOCOL),
        ),
        (
            "8.1.1 a length that is none",
            with("content-length", "+1"),
            Reset(PROTOCOL),
        ),
        (
            "8.5 CONNECT with a path",
            whole(&[(":method", "CONNECT"), path, authority]),
            Reset(PROTOCOL),
        ),
        (
            "RFC 8441 4 a protocol for GET",
            with(":protocol", "websocket"),
            Reset(PROTOCOL),
        ),
        (
            "RFC 7541 2.3.3 an index without entry",
            headers(WHOLE, 1, &[0xc6]),
            Goaway(COMPRESSION),
        ),
        (
            "RFC 7541 2.3.3 a name without entry",
            headers(WHOLE, 1, &[0x7f, 7, 1, b'a']),
            Goaway(COMPRESSION),
        ),
        (
            "RFC 7541 4.2 a table size at the end",
            headers(WHOLE, 1, &[block(&GET), vec![0x20]].concat()),
            Goaway(COMPRESSION),
        ),
        (
            "RFC 7541 5.1 an integer without end",
            headers(WHOLE, 1, &[0xff; 12]),
            Goaway(COMPRESSION),
        ),
        (
            "RFC 7541 5.2 more than 7 bits of padding",
            headers(
                WHOLE,
                1,
                &[block(&GET), vec![0, 1, b'x', 0x82, 0x1f, 0xff]].concat(),
            ),
            Goaway(COMPRESSION),
        ),
        (
            "RFC 7541 5.2 padding of zeros",
            headers(
                WHOLE,
                1,
                &[block(&GET), vec![0, 1, b'x', 0x81, 0x18]].concat(),
            ),
            Goaway(COMPRESSION),
        ),
        (
            "RFC 7541 5.2 EOS",
            headers(
                WHOLE,
                1,
                &[block(&GET), vec![0, 1, b'x', 0x84, 0xff, 0xff, 0xff, 0xff]].concat(),
            ),
            Goaway(COMPRESSION),
        ),
        (
            "RFC 7541 6.1 index 0",
            headers(WHOLE, 1, &[0x80]),
            Goaway(COMPRESSION),
        ),
        (
            "RFC 7541 6.3 too large a table",
            headers(WHOLE, 1, &[&[0x3f, 0xe2, 0x1f][..], &block(&GET)].concat()),
            Goaway(COMPRESSION),
        ),
    ];
    let backend = check_all(Mode::Serve, cases).await;
    assert_eq!(
        (backend.bytes(), backend.connections()),
        (0, 0),
        "{}",
        backend.received()
    );
}

#[tokio::test]
async fn bodies_that_are_not_as_announced() {
    let long = [block(&POST), block(&[("content-length", "2")])].concat();
    let head = headers(END_HEADERS, 1, &long);
    let data = |flags, body: &[u8]| frame(DATA, flags, 1, body);
    let cases = vec![
        (
            "8.1.1 a body shorter than its length",
            [head.clone(), data(END_STREAM, b"a")].concat(),
            Reset(PROTOCOL),
        ),
        (
            "8.1.1 a longer one",
            [head.clone(), data(0, b"a"), data(END_STREAM, b"bc")].concat(),
            Reset(PROTOCOL),
        ),
        (
            "8.1.1 as long as it says",
            [head, data(0, b"a"), data(END_STREAM, b"b")].concat(),
            Answer(1),
        ),
        (
            "8.1 a second head in the middle",
            [
                post(1),
                data(0, b"a"),
                headers(END_HEADERS, 1, &block(&[("a", "b")])),
            ]
            .concat(),
            Reset(PROTOCOL),
        ),
        (
            "8.1 trailers",
            [
                post(1),
                data(0, b"a"),
                headers(WHOLE, 1, &block(&[("a", "b")])),
            ]
            .concat(),
            Answer(1),
        ),
        // Should be PROTOCOL_ERROR; `h2` drops it, so nobody sees it.
        (
            "8.1 a pseudo-header in trailers",
            [
                post(1),
                data(0, b"a"),
                headers(WHOLE, 1, &block(&[(":method", "GET")])),
            ]
            .concat(),
            Answer(1),
        ),
        (
            "8.1 a header of connections in trailers",
            [
                post(1),
                data(0, b"a"),
                headers(WHOLE, 1, &block(&[("connection", "x")])),
            ]
            .concat(),
            Reset(PROTOCOL),
        ),
    ];
    check_all(Mode::Serve, cases).await;
}
