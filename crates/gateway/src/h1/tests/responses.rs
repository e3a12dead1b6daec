//! Heads of answers: how their bodies are delimited, and what a backend may not do (RFC 9112 6.3, B28).

use super::super::{Asked, BadResponse, Method, Refusal, ResponseFraming, ResponseHead};
use proptest::prelude::*;

fn parse(head: &str, method: Method) -> Result<ResponseFraming, BadResponse> {
    let mut parsed = ResponseHead::default();
    let asked = Asked {
        method,
        websocket: false,
    };
    match parsed.parse(head.as_bytes(), asked)? {
        true => Ok(parsed.framing),
        false => panic!("incomplete: {head:?}"),
    }
}

#[test]
fn a_body_is_delimited_as_the_head_says() {
    let cases = [
        (
            "200 OK\r\nContent-Length: 5",
            Method::Get,
            ResponseFraming::Length(5),
        ),
        (
            "200 OK\r\nTransfer-Encoding: chunked",
            Method::Get,
            ResponseFraming::Chunked,
        ),
        ("200 OK", Method::Get, ResponseFraming::UntilClose),
        ("200", Method::Get, ResponseFraming::UntilClose),
        (
            "200 OK\r\nContent-Length: 5",
            Method::Head,
            ResponseFraming::None,
        ),
        (
            "200 OK\r\nTransfer-Encoding: chunked",
            Method::Head,
            ResponseFraming::None,
        ),
        (
            "304 Not Modified\r\nContent-Length: 5",
            Method::Get,
            ResponseFraming::None,
        ),
        ("204 No Content", Method::Get, ResponseFraming::None),
        (
            "204 No Content\r\nContent-Length: 0",
            Method::Get,
            ResponseFraming::None,
        ),
        (
            "103 Early Hints\r\nLink: x",
            Method::Get,
            ResponseFraming::None,
        ),
        ("599 \u{e9}", Method::Get, ResponseFraming::UntilClose),
    ];
    for (head, method, framing) in cases {
        let head = format!("HTTP/1.1 {head}\r\n\r\n");
        assert_eq!(parse(&head, method), Ok(framing), "{head:?}");
    }
}

#[test]
fn what_a_backend_may_not_do_is_named() {
    let cases = [
        ("HTTP/2 200 OK\r\n\r\n", BadResponse::StatusLine),
        ("HTTP/1.1 600 No\r\n\r\n", BadResponse::StatusLine),
        ("HTTP/1.1 099 No\r\n\r\n", BadResponse::StatusLine),
        ("HTTP/1.1 2000 No\r\n\r\n", BadResponse::StatusLine),
        ("HTTP/1.1  200 OK\r\n\r\n", BadResponse::StatusLine),
        ("HTTP/1.1 200 OK\n\n", BadResponse::StatusLine),
        ("HTTP/1.1 200 O\0K\r\n\r\n", BadResponse::StatusLine),
        ("hello", BadResponse::StatusLine),
        (
            "HTTP/1.1 200 OK\r\nX\r\n\r\n",
            BadResponse::Header(Refusal::HeaderWithoutColon),
        ),
        (
            "HTTP/1.1 200 OK\r\n X: y\r\n\r\n",
            BadResponse::Header(Refusal::FoldedHeader),
        ),
        (
            "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
            BadResponse::Header(Refusal::BareCr),
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            BadResponse::Length,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n",
            BadResponse::Length,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            BadResponse::Length,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            BadResponse::Length,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            BadResponse::Coding,
        ),
        (
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            BadResponse::Coding,
        ),
        (
            "HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n",
            BadResponse::UnexpectedBody,
        ),
        (
            "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n",
            BadResponse::UnexpectedBody,
        ),
        ("HTTP/1.1 304 No\r\n\r\nabc", BadResponse::UnexpectedBody),
        (
            "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n",
            BadResponse::UnaskedUpgrade,
        ),
    ];
    for (head, bad) in cases {
        assert_eq!(parse(head, Method::Get), Err(bad), "{head:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer_or_not(tail in prop::collection::vec(any::<u8>(), 0..200), at in 0..200_usize) {
        for start in [&b""[..], b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length:"] {
            let bytes = [start, &tail].concat();
            let whole = ResponseHead::default().parse(&bytes, Asked::default());
            // What is refused early is refused with more bytes too.
            let part = ResponseHead::default().parse(&bytes[..at.min(bytes.len())], Asked::default());
            if let Err(bad) = part {
                prop_assert_eq!(whole, Err(bad));
            }
        }
    }
}
