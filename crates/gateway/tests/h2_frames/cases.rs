//! Cases: bytes behind the preface, and what must come back.

use super::*;
use crate::rig::*;
use std::net::SocketAddr;

/// What must come back.
#[derive(Clone, Copy, Debug)]
pub enum Expect {
    /// GOAWAY with one of these codes, then the end.
    Goaway(&'static [u32]),
    /// RST_STREAM of stream 1 with one of these codes, or as above.
    Reset(&'static [u32]),
    /// The connection ends.
    End,
    /// The request on this stream is answered 200.
    Answer(u32),
    /// The PING that is sent behind it is answered.
    Alive,
}

pub use Expect::{Alive, Answer, End, Goaway, Reset};

pub const PROTOCOL: &[u32] = &[PROTOCOL_ERROR];
// The `h2` crate ends the connection with PROTOCOL_ERROR in many places where the standard has a narrower code. The
// effect is the same.
pub const SIZE: &[u32] = &[FRAME_SIZE_ERROR, PROTOCOL_ERROR];
pub const CLOSED: &[u32] = &[STREAM_CLOSED, PROTOCOL_ERROR];
pub const COMPRESSION: &[u32] = &[COMPRESSION_ERROR, PROTOCOL_ERROR];
pub const FLOW: &[u32] = &[FLOW_CONTROL_ERROR, PROTOCOL_ERROR];

pub type Case = (&'static str, Vec<u8>, Expect);

/// What is wrong, if anything.
fn check(to: SocketAddr, (name, bytes, expect): &Case) -> Option<String> {
    let mut raw = Raw::open(to);
    raw.send(bytes);
    let came = match expect {
        Alive => {
            raw.send(&ping());
            raw.wait(|seen| *seen == Seen::Pong)
        }
        Answer(on) => raw
            .wait(|seen| matches!(seen, Seen::Headers { stream, status: 200, .. } if stream == on)),
        Goaway(codes) => {
            let came =
                raw.wait(|seen| matches!(seen, Seen::Goaway { code } if codes.contains(code)));
            came.and_then(|_| raw.wait(|seen| *seen == Seen::End))
        }
        Reset(codes) => raw.wait(|seen| match seen {
            Seen::Reset { stream: 1, code } | Seen::Goaway { code } => codes.contains(code),
            _ => false,
        }),
        End => raw.wait(|seen| *seen == Seen::End),
    };
    let came = came.err()?;
    Some(format!("{name}: expected {expect:?}, came {came:?}"))
}

pub async fn check_all(mode: Mode, cases: Vec<Case>) -> Backend {
    let backend = Backend::start("az1", mode);
    let mut content = unprobed(snapshot(&[&backend]));
    // Cases that leave streams open must not keep the gateway from ending.
    content.settings.timeouts.drain = std::time::Duration::from_millis(100);
    let rig = Rig::start(content).await;
    let http = rig.http;
    let check_each = move || cases.iter().filter_map(|case| check(http, case)).collect();
    let wrong: Vec<String> = tokio::task::spawn_blocking(check_each).await.unwrap();
    assert!(wrong.is_empty(), "{wrong:#?}");
    rig.shutdown().await;
    backend
}
