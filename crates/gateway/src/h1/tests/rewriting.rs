//! What leaves is read again: a backend, and a client, must find in it what the codec found before.

use super::super::edits::Edits;
use super::super::rewrite::{
    ClientSide, Identity, Persistence, Wanted, write_request, write_response,
};
use super::super::{Asked, Line, RequestHead, ResponseHead, Version};
use super::differential::message;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

const IDENTITY: Identity<'static> = Identity {
    chain: b"192.0.2.1",
    scheme: "http",
    host: b"shop.example.com",
    request_id: &[b'0'; 32],
};

fn rewritten(head: &RequestHead, buf: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let path = match head.path.of(buf) {
        [] => b"/",
        path => path,
    };
    let wanted = Wanted {
        path,
        query: head.query.of(buf),
        host: None,
        edits: Edits::NONE,
        bodiless: None,
    };
    write_request(head, buf, wanted, IDENTITY, &mut out);
    out
}

/// The beginnings of names that the gateway writes itself. It writes `Connection` and `Upgrade` for WebSocket
/// only, and `Transfer-Encoding` in one spelling.
const OWN: [&str; 5] = [
    "x-forwarded-",
    "x-request-id",
    "connection",
    "upgrade",
    "transfer-encoding",
];

/// Names in lower case, and values.
fn headers(lines: &[Line], buf: &[u8]) -> Vec<(String, Vec<u8>)> {
    let text = |b: &[u8]| String::from_utf8_lossy(b).to_ascii_lowercase();
    lines
        .iter()
        .map(|line| (text(line.name.of(buf)), line.value.of(buf).to_vec()))
        .collect()
}

#[test]
fn a_request_that_is_accepted_says_the_same_as_rewritten() {
    // The same messages each time, as in the comparison with hyper.
    let mut runner = TestRunner::deterministic();
    let strategy = message();
    let mut accepted = 0;
    for _ in 0..10_000 {
        let message = strategy.new_tree(&mut runner).unwrap().current();
        let buf = message.as_bytes();
        let mut head = RequestHead::default();
        if head.parse(buf) != Ok(true) {
            continue;
        }
        accepted += 1;
        let out = rewritten(&head, buf);
        let mut again = RequestHead::default();
        assert_eq!(again.parse(&out), Ok(true), "{message:?}");
        assert_eq!(again.length, out.len(), "{message:?}");
        assert_eq!(again.method_text.of(&out), head.method_text.of(buf));
        assert_eq!(again.query.of(&out), head.query.of(buf));
        assert_eq!(again.host.of(&out), head.host.of(buf));
        assert_eq!(again.framing, head.framing, "{message:?}");
        assert_eq!(again.asks_websocket, head.asks_websocket, "{message:?}");
        assert!(again.keeps_alive(), "{message:?}");
        // Nothing that did not stand there, but what the gateway says itself.
        let before = headers(&head.lines, buf);
        for header in headers(&again.lines, &out) {
            let ours = OWN.iter().any(|name| header.0.starts_with(name));
            assert!(
                ours || before.contains(&header),
                "{header:?} of {message:?}"
            );
        }
        // A second gateway behind this one has nothing left to change.
        assert_eq!(rewritten(&again, &out), out, "{message:?}");
    }
    assert!(accepted > 1000, "{accepted} accepted");
}

proptest! {
    #[test]
    fn an_answer_that_is_accepted_is_accepted_as_rewritten_and_is_delimited(
        status in prop::sample::select(vec!["200 OK", "200", "204 No", "304 No", "404 ", "500 a b"]),
        lines in prop::collection::vec(prop::sample::select(vec![
            "Content-Length: 0", "Content-Length: 4", "Transfer-Encoding: chunked", "Connection: close", "X: y",
            "Connection: x, keep-alive", "Keep-Alive: 5", "Upgrade: h2c", "TE: x", "Set-Cookie: a", "Trailer: X",
        ]), 0..5),
        old in any::<bool>(),
    ) {
        let mut text = format!("HTTP/1.1 {status}\r\n");
        for line in &lines {
            text += line;
            text += "\r\n";
        }
        text += "\r\n";
        let mut head = ResponseHead::default();
        if head.parse(text.as_bytes(), Asked::default()) != Ok(true) {
            return Ok(());
        }
        let version = if old { Version::Http10 } else { Version::Http11 };
        let side = ClientSide { version, persistence: Persistence::KeepAlive };
        let mut out = Vec::new();
        let (_, persistence) = write_response(&head, text.as_bytes(), side, Edits::NONE, b"", &mut out);
        let mut again = ResponseHead::default();
        prop_assert_eq!(again.parse(&out, Asked::default()), Ok(true), "{:?}", String::from_utf8_lossy(&out));
        prop_assert_eq!(again.status, head.status);
        // The client is told of the end if and only if the end of the connection is one.
        prop_assert_eq!(again.keeps_alive(), persistence == Persistence::KeepAlive);
    }
}

/// Split at every byte, a head is first incomplete and then what it is as a whole.
#[test]
fn heads_are_the_same_wherever_they_are_split() {
    let requests: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST http://a?b HTTP/1.0\r\nHost:a\r\nContent-Length:  7 \r\nConnection: keep-alive\r\n\r\n",
        b"PUT /x HTTP/1.9\r\nhost: [::1]:80\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
        b"GET /x HTTP/1.1\r\nhost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"GET /x HTTP/1.1\r\nhost: a\r\nX:\r\nY: \xff\t\xfe\r\n\r\n",
    ];
    for message in requests {
        for at in 0..message.len() {
            let found = RequestHead::default().parse(&message[..at]);
            assert_eq!(
                found,
                Ok(false),
                "{at} bytes of {:?}",
                String::from_utf8_lossy(message)
            );
        }
        assert_eq!(RequestHead::default().parse(message), Ok(true));
    }
    let answers: [&[u8]; 4] = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n",
        b"HTTP/1.0 404\r\n\r\n",
        b"HTTP/1.1 204 \r\nX: \xff\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
    ];
    for message in answers {
        for at in 0..message.len() {
            let found = ResponseHead::default().parse(&message[..at], Asked::default());
            assert_eq!(
                found,
                Ok(false),
                "{at} bytes of {:?}",
                String::from_utf8_lossy(message)
            );
        }
        assert_eq!(
            ResponseHead::default().parse(message, Asked::default()),
            Ok(true)
        );
    }
}

#[test]
fn an_answer_gets_the_space_and_loses_the_length_that_it_should() {
    let check = |from: &str, to: &str| {
        let mut head = ResponseHead::default();
        assert_eq!(head.parse(from.as_bytes(), Asked::default()), Ok(true));
        let side = ClientSide {
            version: Version::Http11,
            persistence: Persistence::KeepAlive,
        };
        let mut out = Vec::new();
        write_response(&head, from.as_bytes(), side, Edits::NONE, b"", &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), to);
    };
    check(
        "HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n",
    );
    check(
        "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nX: y\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nX: y\r\n\r\n",
    );
}
