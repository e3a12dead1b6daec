//! Request heads in tables; bodies, answers and the comparison with hyper in files of their own.

mod bodies;
mod differential;
mod responses;
mod rewriting;

use super::*;
use proptest::prelude::*;

/// The status that a message is refused with, 0 for a head that is accepted.
fn judge(message: &[u8]) -> u16 {
    match RequestHead::default().parse(message) {
        Ok(true) => 0,
        Ok(false) => panic!("incomplete: {:?}", String::from_utf8_lossy(message)),
        Err(refusal) => refusal.status(),
    }
}

fn with(lines: &str) -> Vec<u8> {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n").into_bytes()
}

#[test]
fn ambiguous_headers_are_refused() {
    let check = |number: &str, lines: &str, status: u16| {
        assert_eq!(judge(&with(lines)), status, "{number}: {lines:?}");
    };
    check("-", "Content-Length: 4", 0);
    check("-", "Transfer-Encoding: chunked", 0);
    check("B1", "Content-Length: 4\r\nTransfer-Encoding: chunked", 400);
    check("B2", "Content-Length: 4\r\nContent-Length: 4", 400);
    check("B2", "Content-Length: 4, 4", 400);
    for length in ["+4", "0x4", "", "-1", "4 4", "99999999999999999999"] {
        check("B3", &format!("Content-Length: {length}"), 400);
    }
    check("B4", "Transfer-Encoding: chunked, chunked", 400);
    check("B4", "Transfer-Encoding: chunked, identity", 400);
    check("B4", "Transfer-Encoding: gzip", 501);
    check("B5", "Transfer-Encoding: \x0bchunked", 400);
    check("B5", "Transfer-Encoding : chunked", 400);
    check("B5", "Transfer-Encoding:\r\n chunked", 400);
    check("B5", "Transfer-Encoding: \"chunked\"", 400);
    check("B11", "Host: b", 400);
    check("B13", "X: a\0b", 400);
    check("B13", "X: a\rb", 400);
    check("B13", "X: a\u{1}\nY: b", 400);
    check("B14", "X", 400);
    check("B14", ": x", 400);
    check("B21", "Connection: close, Authorization", 400);
    check("B22", "Expect: tea", 417);
}

#[test]
fn ambiguous_request_lines_are_refused() {
    let check = |number: &str, line: &str, status: u16| {
        let message = format!("{line}\r\nHost: a\r\n\r\n");
        assert_eq!(judge(message.as_bytes()), status, "{number}: {line:?}");
    };
    check("-", "GET / HTTP/1.1", 0);
    check("-", "GET http://a/x HTTP/1.1", 0);
    check("-", "GET HTTPS://a/x HTTP/1.1", 0);
    check("B19", "GET ftp://a/x HTTP/1.1", 400);
    check("B12", "GET http://b/x HTTP/1.1", 400);
    check("B17", "G(T / HTTP/1.1", 400);
    check("B17", "CONNECT a:1 HTTP/1.1", 405);
    check("B17", "TRACE / HTTP/1.1", 405);
    check("B18", "GET / HTTP/1.9", 0);
    check("B18", "GET / HTTP/2.0", 505);
    check("B18", "GET / HTTP/1.1x", 400);
    check("B18", "GET /", 400);
    check("B19", "GET /#a HTTP/1.1", 400);
    check("B19", "GET /a b HTTP/1.1", 400);
    check("B19", "GET /%00 HTTP/1.1", 400);
    check("B19", "GET /%4 HTTP/1.1", 400);
}

#[test]
fn missing_and_malformed_hosts_are_refused() {
    assert_eq!(judge(b"GET / HTTP/1.1\r\n\r\n"), 400);
    for host in ["", "a@b", "a%62", "a,b", "a b"] {
        let message = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(judge(message.as_bytes()), 400, "{host:?}");
    }
}

#[test]
fn http10_has_no_transfer_coding_and_bare_line_feeds_end_nothing() {
    let coded = b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(judge(coded), 400);
    assert_eq!(judge(b"GET / HTTP/1.1\nHost: a\n\n"), 400);
}

#[test]
fn heads_and_targets_have_a_size() {
    let long = "a".repeat(TARGET_MAX + 1);
    let target = format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(judge(target.as_bytes()), 414);
    assert_eq!(judge(&with(&format!("X: {}", "a".repeat(HEAD_MAX)))), 431);
    let many = vec!["X: a"; HEADERS_MAX + 1].join("\r\n");
    assert_eq!(judge(&with(&many)), 431);
}

#[test]
fn a_head_says_what_it_holds() {
    let message = b"PUT /a/b?c=d HTTP/1.1\r\nHost: Shop.example.com:80\r\nX-A: 1\r\nContent-Length: 3\r\n\r\nxyz";
    let mut head = RequestHead::default();
    assert_eq!(head.parse(message), Ok(true));
    assert_eq!(head.method, Method::Idempotent);
    assert_eq!(head.path.of(message), b"/a/b");
    assert_eq!(head.query.of(message), b"?c=d");
    assert_eq!(head.host_name.of(message), b"Shop.example.com");
    assert_eq!(head.header(message, "x-a"), Some(&b"1"[..]));
    assert_eq!(head.framing, Framing::Length(3));
    assert_eq!(head.length, message.len() - 3);
    assert!(head.keeps_alive());
}

proptest! {
    #[test]
    fn any_bytes_are_judged_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = RequestHead::default().parse(&bytes);
    }

    #[test]
    fn a_head_is_judged_by_its_bytes_not_by_their_arrival(
        lines in prop::collection::vec("[A-Za-z-]{0,12}:? ?[ -~]{0,12}", 0..6),
        cut in 0_usize..200,
    ) {
        let message = with(&lines.join("\r\n"));
        let whole = RequestHead::default().parse(&message);
        let part = RequestHead::default().parse(&message[..cut.min(message.len())]);
        // A beginning is refused only if the whole is, and is complete only as the whole is.
        if part.is_err() || part == Ok(true) {
            prop_assert_eq!(part, whole);
        }
    }
}
