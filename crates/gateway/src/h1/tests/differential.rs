//! Our reading of requests beside hyper's: what we accept, hyper must read as the very same requests. A gateway
//! and a backend that see different requests in the same bytes are how requests are smuggled.
//!
//! hyper stands for backends here. That we refuse more than it does is intended; that it refuses what we accept
//! is listed in [`INTENDED`].

use super::super::RequestHead;
use super::super::body::BodyDecoder;
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Set to run longer.
const CASES_VARIABLE: &str = "TIDEGATE_DIFFERENTIAL_CASES";

/// What we accept and hyper does not, by what the message holds.
const INTENDED: [(&str, &str); 1] = [(
    "HTTP/1.9",
    "a later minor version is handled as 1.1 (RFC 9110 6.2); hyper knows 1.0 and 1.1 only",
)];

/// A request as somebody read it. Header names in lower case, in the order of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Read {
    method: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

/// The whole requests at the start of `bytes`, and whether they end because of a refusal.
fn ours(mut bytes: &[u8]) -> (Vec<Read>, bool) {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let mut head = RequestHead::default();
        match head.parse(bytes) {
            Ok(true) => {}
            Ok(false) => break,
            Err(_) => return (all, true),
        }
        let text = |span: &[u8]| String::from_utf8_lossy(span).into_owned();
        // An absolute target may leave the root out (RFC 9110 4.2.3).
        let path = match head.path.of(bytes) {
            [] => "/".to_owned(),
            path => text(path),
        };
        let target = path + &text(head.query.of(bytes));
        let lines = head.lines.iter();
        let headers = lines.map(|line| {
            let name = text(line.name.of(bytes)).to_ascii_lowercase();
            (name, line.value.of(bytes).to_vec())
        });
        let mut read = Read {
            method: text(head.method_text.of(bytes)),
            target,
            headers: headers.collect(),
            body: Vec::new(),
        };
        let closes = !head.keeps_alive();
        let mut rest = bytes[head.length..].to_vec();
        let mut used = head.length;
        let mut decoder = BodyDecoder::request(head.framing);
        while !decoder.is_done() && !rest.is_empty() {
            let Ok(decoded) = decoder.decode(&mut rest) else {
                return (all, true);
            };
            read.body.extend_from_slice(&rest[..decoded.payload]);
            used += decoded.consumed;
            rest.drain(..decoded.consumed);
        }
        if !decoder.is_done() {
            break;
        }
        all.push(read);
        if closes {
            break;
        }
        bytes = &bytes[used..];
    }
    (all, false)
}

/// The whole requests that hyper reads, in order.
async fn hypers(bytes: &[u8]) -> Vec<Read> {
    let all = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&all);
    let service = service_fn(move |request: Request<Incoming>| {
        let seen = Rc::clone(&seen);
        async move {
            let (parts, body) = request.into_parts();
            if let Ok(body) = body.collect().await {
                let target = parts.uri.path_and_query().map_or("", |t| t.as_str());
                let headers = parts.headers.iter();
                seen.borrow_mut().push(Read {
                    method: parts.method.to_string(),
                    target: target.to_owned(),
                    headers: headers
                        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
                        .collect(),
                    body: body.to_bytes().to_vec(),
                });
            }
            Ok::<_, Infallible>(Response::new(http_body_util::Full::<Bytes>::default()))
        }
    });
    let (mut client, server) = tokio::io::duplex(64 * 1024);
    let talk = async {
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answers = Vec::new();
        // hyper may close in the middle of what it refuses.
        let _ = client.read_to_end(&mut answers).await;
    };
    let mut http = hyper::server::conn::http1::Builder::new();
    let serve = http
        .half_close(true)
        .serve_connection(TokioIo::new(server), service);
    let (_, served) = tokio::join!(talk, serve);
    // How it ended does not matter: what it read does.
    drop(served);
    all.take()
}

fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(texts).prop_map(str::to_owned)
}

/// Mostly clean, with one of the ways to be unclear here and there.
fn mostly(clean: &'static str, unclear: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![6 => Just(clean.to_owned()), 1 => one_of(unclear)]
}

fn request_line() -> impl Strategy<Value = String> {
    let method = prop_oneof![
        4 => one_of(&["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"]),
        1 => one_of(&["get", "G-T", "M~!#$%&'*+^_`|", "", "GE T", "GET\t", "CONNECT", "TRACE"]),
    ];
    let target = prop_oneof![
        4 => one_of(&["/", "/a", "/a?b=c", "/a%2Fb", "/a/../b", "//a", "/?", "/a;b", "/~a"]),
        1 => one_of(&[
            "*", "http://a/x", "http://a", "http://b/x", "https://a/", "a", "", "/a#b", "/a\\b", "/\u{e9}",
            "/a b", "/a\tb", "/%", "/%00", "/[", "/|", "/{}", "/\"", "/<",
        ]),
    ];
    let version = mostly(
        "HTTP/1.1",
        &[
            "HTTP/1.0",
            "HTTP/1.9",
            "HTTP/2.0",
            "http/1.1",
            "HTTP/1.1 ",
            "HTTP/11",
            "HTTP/1.",
            "",
        ],
    );
    let space = || mostly(" ", &["  ", "\t", ""]);
    (method, space(), target, space(), version, end()).prop_map(
        |(method, one, target, two, version, end)| {
            format!("{method}{one}{target}{two}{version}{end}")
        },
    )
}

fn end() -> impl Strategy<Value = String> {
    prop_oneof![30 => Just("\r\n".to_owned()), 1 => one_of(&["\n", "\r", "\r\r\n", "\n\r\n", " \r\n"])]
}

fn header() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        4 => one_of(&["Content-Length", "Transfer-Encoding", "Host", "Connection", "X", "Accept", "TE", "Upgrade"]),
        1 => one_of(&[
            "content-length", "Content-Length ", " Content-Length", "Content_Length", "Content-Length\t",
            "transfer-encoding", "Transfer-Encoding ", "Transfer_Encoding", "\tTransfer-Encoding", "", "X\0", "X:Y",
            "X(", "\u{e9}", "Expect", "Trailer", "Keep-Alive", "Proxy-Connection",
        ]),
    ];
    let colon = mostly(": ", &[":", ":\t", " : ", ":  ", "", ":\r\n "]);
    let value = prop_oneof![
        5 => one_of(&["4", "0", "a", "chunked", "close", "keep-alive", "100-continue"]),
        2 => one_of(&[
            "+4", "-4", "4 ", " 4", "4,4", "4, 4", "0x4", "04", "4;", "", "99999999999999999999", "4\0", "4\u{b}",
            "Chunked", "chunked ", "chunked, chunked", "gzip, chunked", "chunked, gzip", "identity", "xchunked",
            "\"chunked\"", "chunked;a=b", "\tchunked", ",chunked", "chunked,", "a, b", "a\tb", "a\u{1}b", "a\rb", "a\nb",
            "\u{e9}", "close, X", "upgrade", "a:1", "a,b", "trailers",
        ]),
    ];
    (name, colon, value, end())
        .prop_map(|(name, colon, value, end)| format!("{name}{colon}{value}{end}"))
}

fn body() -> impl Strategy<Value = String> {
    one_of(&[
        "",
        "",
        "abcd",
        "abcdef",
        "4\r\nabcd\r\n0\r\n\r\n",
        "4;a=b\r\nabcd\r\n0\r\n\r\n",
        "4\r\nabcd\r\n0\r\nX: y\r\n\r\n",
        "4\nabcd\n0\n\n",
        "4\r\nabcde\r\n0\r\n\r\n",
        "04\r\nabcd\r\n00\r\n\r\n",
        "0x4\r\nabcd\r\n0\r\n\r\n",
        "+4\r\nabcd\r\n0\r\n\r\n",
        "4 \r\nabcd\r\n0\r\n\r\n",
        "4;\n\r\nabcd\r\n0\r\n\r\n",
        "0\r\n\r\n",
        "0\r\n",
        "4\r\nabcd\r\n0\r\nContent-Length: 9\r\n\r\n",
        "fffffffffffffffff\r\n",
        "\r\n",
        "\r\n\r\n",
    ])
}

/// What both readers are given: requests with any number of unclear places, and requests with at most one.
pub(super) fn message() -> impl Strategy<Value = String> {
    let one = prop_oneof![anything(), one_place()];
    one.prop_map(|one| one + "GET /second HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn anything() -> impl Strategy<Value = String> {
    let host = mostly(
        "Host: a\r\n",
        &[
            "",
            "Host: b\r\n",
            "Host: a\r\nHost: a\r\n",
            "host:a\r\n",
            "Host : a\r\n",
        ],
    );
    let headers = prop::collection::vec(header(), 0..4).prop_map(|lines| lines.concat());
    (request_line(), host, headers, end(), body())
        .prop_map(|(line, host, headers, end, body)| format!("{line}{host}{headers}{end}{body}"))
}

/// Where several places are unclear, the first is refused and the others are never read.
fn one_place() -> impl Strategy<Value = String> {
    const LINE: &str = "POST /a HTTP/1.1\r\n";
    const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";
    let of_line = request_line().prop_map(|line| format!("{line}Host: a\r\n\r\n"));
    let of_header = header().prop_map(|header| format!("{LINE}Host: a\r\n{header}\r\n"));
    let of_chunks = body().prop_map(|body| format!("{LINE}Host: a\r\n{CHUNKED}\r\n{body}"));
    let of_length =
        body().prop_map(|body| format!("{LINE}Host: a\r\nContent-Length: 4\r\n\r\n{body}"));
    let of_version = (header(), body()).prop_map(|(header, body)| {
        format!("POST /a HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n{header}\r\n{body}")
    });
    prop_oneof![of_line, of_header, of_chunks, of_length, of_version]
}

#[test]
fn what_we_accept_hyper_reads_as_the_same_requests() {
    let cases = std::env::var(CASES_VARIABLE).ok();
    let cases: u32 = cases.map_or(6000, |text| text.parse().expect("a number"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    // The same messages each time: a failure here is one for whoever runs it next, too.
    let mut runner = TestRunner::deterministic();
    let strategy = message();
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..cases {
        let message = strategy.new_tree(&mut runner).unwrap().current();
        let (ours, ends_refused) = ours(message.as_bytes());
        let hypers = runtime.block_on(hypers(message.as_bytes()));
        accepted += ours.len();
        refused += usize::from(ends_refused);
        if INTENDED.iter().any(|(text, _)| message.contains(text)) {
            continue;
        }
        for (at, read) in ours.iter().enumerate() {
            let theirs = hypers.get(at);
            assert_eq!(
                theirs.map(sorted),
                Some(sorted(read)),
                "request {at} of {message:?}"
            );
        }
        // Both read to the end: there is no request that only one of them sees.
        if !ends_refused {
            assert_eq!(hypers.len(), ours.len(), "requests in {message:?}");
        }
    }
    // The generator must not drift to one side.
    let enough = usize::try_from(cases).unwrap() / 10;
    assert!(
        accepted > enough && refused > enough,
        "{accepted} accepted, {refused} refused"
    );
}

/// hyper keeps headers of one name together.
fn sorted(read: &Read) -> Read {
    let mut read = read.clone();
    read.headers.sort_by(|a, b| a.0.cmp(&b.0));
    read
}
