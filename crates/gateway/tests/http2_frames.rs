//! What RFC 9113 and RFC 7541 ask of a server, frame by frame.
//!
//! The cases are those that a conformance suite would have, in the order of the sections. Where the standard leaves
//! the choice between an error of the stream and one of the connection, both are right.
#![allow(missing_docs, clippy::unwrap_used)]

mod h2_frames;
mod rig;

use h2_frames::cases::*;
use h2_frames::*;
use rig::*;

#[tokio::test]
async fn frames_and_their_sizes() {
    let unknown = |flags, stream| frame(0x16, flags, stream, b"12345678");
    let open = headers(0, 1, &block(&GET));
    let data = |length: usize| [post(1), frame(DATA, END_STREAM, 1, &vec![0; length])].concat();
    let head_of = |length: usize| get_with(&[("x", &"x".repeat(length))]);
    let cases = vec![
        ("4.1 a frame of an unknown type", unknown(0, 0), Alive),
        ("4.1 on a stream", [post(1), unknown(0, 1)].concat(), Alive),
        (
            "4.1 flags without meaning",
            frame(PING, 0x16, 0, &[0; 8]),
            Alive,
        ),
        (
            "4.1 the reserved bit",
            frame(PING, 0, 0x8000_0000, &[0; 8]),
            Alive,
        ),
        ("4.2 a frame of the largest size", data(16_384), Answer(1)),
        ("4.2 a larger one", data(16_385), Reset(SIZE)),
        (
            "4.2 a larger head",
            headers(WHOLE, 1, &head_of(17_000)),
            Goaway(SIZE),
        ),
        (
            "4.3 a broken block",
            headers(WHOLE, 1, &[0x4f, 1]),
            Goaway(COMPRESSION),
        ),
        (
            "4.3 PRIORITY inside a block",
            [open.clone(), frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1])].concat(),
            Goaway(PROTOCOL),
        ),
        (
            "4.3 another head inside a block",
            [open.clone(), get(3)].concat(),
            Goaway(PROTOCOL),
        ),
        (
            "5.5 an unknown frame inside a block",
            [open.clone(), unknown(0, 0)].concat(),
            Goaway(PROTOCOL),
        ),
        (
            "6.10 a head in pieces",
            [
                open.clone(),
                frame(CONTINUATION, 0, 1, &block(&[("a", "b")])),
                frame(CONTINUATION, END_HEADERS, 1, &[]),
                frame(DATA, END_STREAM, 1, b""),
            ]
            .concat(),
            Answer(1),
        ),
        (
            "6.10 CONTINUATION, then DATA",
            [
                open.clone(),
                frame(CONTINUATION, 0, 1, &[]),
                frame(DATA, 0, 1, b"a"),
            ]
            .concat(),
            Goaway(PROTOCOL),
        ),
        (
            "6.10 CONTINUATION of no stream",
            [open.clone(), frame(CONTINUATION, END_HEADERS, 0, &[])].concat(),
            Goaway(PROTOCOL),
        ),
        (
            "6.10 CONTINUATION of another stream",
            [open, frame(CONTINUATION, END_HEADERS, 3, &[])].concat(),
            Goaway(PROTOCOL),
        ),
        (
            "6.10 CONTINUATION behind a whole head",
            [post(1), frame(CONTINUATION, END_HEADERS, 1, &[])].concat(),
            Goaway(PROTOCOL),
        ),
        (
            "6.10 CONTINUATION behind DATA",
            [
                post(1),
                frame(DATA, 0, 1, b"a"),
                frame(CONTINUATION, END_HEADERS, 1, &[]),
            ]
            .concat(),
            Goaway(PROTOCOL),
        ),
        (
            "6.1 DATA of no stream",
            frame(DATA, 0, 0, b"a"),
            Goaway(PROTOCOL),
        ),
        (
            "6.1 more padding than DATA",
            [post(1), frame(DATA, PADDED, 1, &[9, 0, 0])].concat(),
            Goaway(PROTOCOL),
        ),
        (
            "6.1 DATA with padding",
            [
                post(1),
                frame(DATA, PADDED | END_STREAM, 1, &[2, b'a', 0, 0]),
            ]
            .concat(),
            Answer(1),
        ),
        (
            "6.2 HEADERS of no stream",
            headers(WHOLE, 0, &block(&GET)),
            Goaway(PROTOCOL),
        ),
        (
            "6.2 more padding than HEADERS",
            headers(WHOLE | PADDED, 1, &[200, 0x88]),
            Goaway(PROTOCOL),
        ),
        (
            "6.2 HEADERS with padding and priority",
            headers(
                WHOLE | PADDED | WITH_PRIORITY,
                1,
                &[&[1, 0, 0, 0, 0, 9][..], &block(&GET), &[0]].concat(),
            ),
            Answer(1),
        ),
        (
            "6.3 PRIORITY of no stream",
            frame(PRIORITY, 0, 0, &[0, 0, 0, 0, 1]),
            Goaway(PROTOCOL),
        ),
        (
            "6.3 PRIORITY of another length",
            [post(1), frame(PRIORITY, 0, 1, &[0, 0, 0, 1])].concat(),
            Reset(SIZE),
        ),
        (
            "6.3 PRIORITY of an idle stream",
            [frame(PRIORITY, 0, 9, &[0, 0, 0, 0, 1]), get(11)].concat(),
            Answer(11),
        ),
        ("6.4 RST_STREAM of no stream", reset(0), Goaway(PROTOCOL)),
        (
            "6.4 RST_STREAM of an idle stream",
            reset(1),
            Goaway(PROTOCOL),
        ),
        (
            "6.4 RST_STREAM of another length",
            [post(1), frame(RST_STREAM, 0, 1, &[0; 3])].concat(),
            Goaway(SIZE),
        ),
        (
            "7 an unknown code",
            [post(1), frame(RST_STREAM, 0, 1, &[0xff; 4])].concat(),
            Alive,
        ),
        (
            "7 an unknown code for all",
            [frame(GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 0xff])].concat(),
            End,
        ),
        (
            "6.8 GOAWAY of a stream",
            frame(GOAWAY, 0, 1, &[0; 8]),
            Goaway(PROTOCOL),
        ),
        (
            "8.4 PUSH_PROMISE from a client",
            frame(
                PUSH_PROMISE,
                END_HEADERS,
                1,
                &[&[0, 0, 0, 2][..], &block(&GET)].concat(),
            ),
            Goaway(PROTOCOL),
        ),
    ];
    check_all(Mode::Serve, cases).await;
}

#[tokio::test]
async fn settings_pings_and_windows() {
    const PUSH: u16 = 2;
    const INITIAL_WINDOW: u16 = 4;
    const FRAME_MAX: u16 = 5;
    let max = 0x7fff_ffff;
    let cases = vec![
        (
            "6.5 an acknowledgement with content",
            frame(SETTINGS, ACK, 0, &[0; 6]),
            Goaway(SIZE),
        ),
        (
            "6.5 SETTINGS of a stream",
            frame(SETTINGS, 0, 1, &[]),
            Goaway(PROTOCOL),
        ),
        (
            "6.5 SETTINGS of another length",
            frame(SETTINGS, 0, 0, &[0; 3]),
            Goaway(SIZE),
        ),
        (
            "6.5.2 push neither on nor off",
            settings(&[(PUSH, 2)]),
            Goaway(PROTOCOL),
        ),
        (
            "6.5.2 too large a window",
            settings(&[(INITIAL_WINDOW, max + 1)]),
            Goaway(FLOW),
        ),
        (
            "6.5.2 too small a frame",
            settings(&[(FRAME_MAX, 16_383)]),
            Goaway(PROTOCOL),
        ),
        (
            "6.5.2 too large a frame",
            settings(&[(FRAME_MAX, 1 << 24)]),
            Goaway(PROTOCOL),
        ),
        ("6.5.2 an unknown setting", settings(&[(0xff, 1)]), Alive),
        (
            "6.5.2 a large table",
            [settings(&[(1, 0xffff_ffff)]), get(1)].concat(),
            Answer(1),
        ),
        (
            "6.5.3 one setting twice",
            [
                settings(&[(INITIAL_WINDOW, 100), (INITIAL_WINDOW, 1)]),
                get(1),
            ]
            .concat(),
            Answer(1),
        ),
        ("6.7 PING", vec![], Alive),
        (
            "6.7 an answer to no PING",
            frame(PING, ACK, 0, &[0; 8]),
            Alive,
        ),
        (
            "6.7 PING of a stream",
            frame(PING, 0, 1, &[0; 8]),
            Goaway(PROTOCOL),
        ),
        (
            "6.7 PING of another length",
            frame(PING, 0, 0, &[0; 6]),
            Goaway(SIZE),
        ),
        (
            "6.9 a window of nothing more",
            window(0, 0),
            Goaway(PROTOCOL),
        ),
        (
            "6.9 the same of a stream",
            [post(1), window(1, 0)].concat(),
            Reset(PROTOCOL),
        ),
        (
            "6.9 WINDOW_UPDATE of another length",
            frame(WINDOW_UPDATE, 0, 0, &[0; 3]),
            Goaway(SIZE),
        ),
        (
            "6.9.1 too large a window",
            [window(0, max), window(0, max)].concat(),
            Goaway(FLOW),
        ),
        (
            "6.9.1 the same of a stream",
            [post(1), window(1, max), window(1, max)].concat(),
            Reset(FLOW),
        ),
        (
            "6.9.2 a window made too large",
            [
                window(0, max - 65_535),
                post(1),
                window(1, max - 65_535),
                settings(&[(INITIAL_WINDOW, 65_536)]),
            ]
            .concat(),
            Reset(FLOW),
        ),
    ];
    check_all(Mode::Serve, cases).await;
}

#[tokio::test]
async fn streams_and_their_states() {
    let data = |flags| frame(DATA, flags, 1, b"a");
    let again = headers(WHOLE, 1, &block(&[("a", "b")]));
    let cases = vec![
        ("5.1 DATA of an idle stream", data(0), Goaway(PROTOCOL)),
        (
            "5.1 RST_STREAM of an idle stream",
            reset(1),
            Goaway(PROTOCOL),
        ),
        (
            "5.1 WINDOW_UPDATE of an idle stream",
            window(1, 9),
            Goaway(PROTOCOL),
        ),
        (
            "5.1 CONTINUATION of an idle stream",
            frame(CONTINUATION, END_HEADERS, 1, &[]),
            Goaway(PROTOCOL),
        ),
        (
            "5.1 DATA behind the end",
            [get(1), data(0)].concat(),
            Reset(CLOSED),
        ),
        (
            "5.1 HEADERS behind the end",
            [get(1), again.clone()].concat(),
            Reset(CLOSED),
        ),
        (
            "5.1 CONTINUATION behind the end",
            [get(1), frame(CONTINUATION, END_HEADERS, 1, &[])].concat(),
            Goaway(CLOSED),
        ),
        (
            "5.1 DATA behind a reset",
            [post(1), reset(1), data(0)].concat(),
            Reset(CLOSED),
        ),
        (
            "5.1 HEADERS behind a reset",
            [post(1), reset(1), again].concat(),
            Reset(CLOSED),
        ),
        (
            "5.1 WINDOW_UPDATE behind the end",
            [get(1), window(1, 9)].concat(),
            Alive,
        ),
        ("5.1.1 a stream of the server's", get(2), Goaway(PROTOCOL)),
        (
            "5.1.1 a number that was passed",
            [get(5), get(3)].concat(),
            Goaway(CLOSED),
        ),
    ];
    // The streams stay open: the endpoint does not answer.
    check_all(Mode::Hang, cases).await;
}

#[tokio::test]
async fn more_streams_than_allowed_are_refused() {
    let backend = Backend::start("az1", Mode::Wait);
    let rig = Rig::start(unprobed(snapshot(&[&backend]))).await;
    let http = rig.http;
    tokio::task::spawn_blocking(move || {
        let mut raw = Raw::open(http);
        raw.wait(|seen| *seen == Seen::SettingsAck).unwrap();
        raw.send(&frame(SETTINGS, ACK, 0, &[]));
        for stream in 0..=100 {
            raw.send(&get(2 * stream + 1));
        }
        let refused = Seen::Reset {
            stream: 201,
            code: REFUSED_STREAM,
        };
        raw.wait(|seen| *seen == refused).unwrap();
        backend.set(Mode::Serve);
        for _ in 0..100 {
            raw.wait(|seen| matches!(seen, Seen::Headers { status: 200, .. }))
                .unwrap();
        }
        raw.send(&get(203));
        raw.wait(|seen| {
            matches!(
                seen,
                Seen::Headers {
                    stream: 203,
                    status: 200,
                    ..
                }
            )
        })
        .unwrap();
    })
    .await
    .unwrap();
    rig.shutdown().await;
}
