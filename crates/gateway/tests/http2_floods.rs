//! Connections of HTTP/2 that are wrong from the start, or that make the gateway work for nobody.
#![allow(missing_docs, clippy::unwrap_used)]

mod h2_frames;
mod rig;

use h2_frames::*;
use rig::*;
use std::net::SocketAddr;

#[tokio::test]
async fn what_does_not_begin_with_the_preface_ends() {
    let backend = Backend::start("az1", Mode::Serve);
    let mut content = unprobed(snapshot(&[&backend]));
    content.settings.timeouts.request_head = std::time::Duration::from_millis(200);
    let rig = Rig::start(content).await;
    let http = rig.http;
    tokio::task::spawn_blocking(move || {
        let starts: [&[u8]; 4] = [
            // Wrong, and given up in its middle.
            b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nS",
            b"PRI * HTTP/2.0\r\n",
            // No SETTINGS behind it.
            &[PREFACE, &ping()].concat(),
        ];
        for start in starts {
            let mut raw = Raw::silent(http);
            raw.send(start);
            let came = raw.wait(|seen| *seen == Seen::End);
            assert!(came.is_ok(), "{start:?}: {came:?}");
        }
    })
    .await
    .unwrap();
    assert_eq!(backend.bytes(), 0);
    rig.shutdown().await;
}

/// Repeats `bytes(at)` until the connection is ended; how often, and the code.
fn flood(
    to: SocketAddr,
    begin: &[u8],
    most: u32,
    bytes: impl Fn(u32) -> Vec<u8>,
) -> (u32, Option<u32>) {
    let mut raw = Raw::open(to);
    raw.send(begin);
    // Nobody reads what comes back until it is over: that, too, must not cost the gateway anything.
    let mut sent = 0;
    while sent < most && raw.send(&bytes(sent)) {
        sent += 1;
    }
    let end = raw.wait(|seen| matches!(seen, Seen::Goaway { .. }));
    match end {
        Ok(Seen::Goaway { code }) => (sent, Some(code)),
        _ => (sent, None),
    }
}

#[tokio::test]
async fn floods_end_their_connection_and_nothing_else() {
    let backend = Backend::start("az1", Mode::Serve);
    let rig = Rig::start(unprobed(snapshot(&[&backend]))).await;
    let http = rig.http;
    tokio::task::spawn_blocking(move || {
        let id = |at: u32| 2 * at + 1;
        // CVE-2023-44487.
        let rapid = |at| [get(id(at)), reset(id(at))].concat();
        assert_eq!(flood(http, b"", 20_000, rapid).1, Some(ENHANCE_YOUR_CALM));
        // B32: streams that the gateway must reset, as `h2` and as it sees it itself.
        for field in [("content-length", "1"), ("host", "other.example.com")] {
            let broken = |at| headers(WHOLE, id(at), &get_with(&[field]));
            let (_, code) = flood(http, b"", 20_000, broken);
            assert_eq!(code, Some(ENHANCE_YOUR_CALM), "{field:?}");
        }
        // B33: a head without end.
        let endless = |_| frame(CONTINUATION, 0, 1, &block(&[("x", &"x".repeat(8000))]));
        let (sent, code) = flood(http, &headers(END_STREAM, 1, &block(&GET)), 2000, endless);
        assert!(
            matches!(code, None | Some(PROTOCOL_ERROR | ENHANCE_YOUR_CALM)),
            "{sent}: {code:?}"
        );
        assert!(sent < 2000);
        // B33: the same with empty pieces.
        let empty = |_| frame(CONTINUATION, 0, 1, &[]);
        let (_, code) = flood(http, &headers(END_STREAM, 1, &block(&GET)), 20_000, empty);
        assert!(
            matches!(code, None | Some(PROTOCOL_ERROR | ENHANCE_YOUR_CALM)),
            "{code:?}"
        );
        // B35.
        let nothing = |_| frame(DATA, 0, 1, &[]);
        assert_eq!(
            flood(http, &post(1), 200_000, nothing).1,
            Some(ENHANCE_YOUR_CALM)
        );
        // B39: one large entry of the table, named again and again: 431, or the end.
        let entry = [
            &[0x40, 1, b'x', 0x7f, 0xa1, 0x1e][..],
            "y".repeat(4000).as_bytes(),
        ]
        .concat();
        let bomb = [block(&GET), entry, vec![0xbe; 10_000]].concat();
        let mut raw = Raw::open(http);
        raw.send(&headers(WHOLE, 1, &bomb));
        raw.wait(|seen| match seen {
            Seen::Headers { status, .. } => *status != 200,
            Seen::Goaway { .. } | Seen::End => true,
            _ => false,
        })
        .unwrap();
        // All others are served as before.
        let mut raw = Raw::open(http);
        raw.send(&get(1));
        raw.wait(|seen| matches!(seen, Seen::Headers { status: 200, .. }))
            .unwrap();
    })
    .await
    .unwrap();
    rig.shutdown().await;
}
