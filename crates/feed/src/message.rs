//! What publisher and receiver say to each other.
//!
//! The receiver begins with `Hello`; the publisher sends `Full` or `Delta`, and the next only after the `Ack`
//! of the last. Both sides count a peer as gone after [`SILENCE_MAX`] without any frame.

use crate::{Delta, Digest};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tidegate_model::{Generation, Snapshot};

/// The version of the messages. A publisher refuses another.
pub(crate) const PROTOCOL: u32 = 1;
/// From one sign of life of the publisher to the next.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(1);
/// Five missed heartbeats; a busy machine misses one or two.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", deny_unknown_fields)]
pub(crate) enum FromReceiver {
    Hello {
        protocol: u32,
        name: String,
        have: Option<Have>,
    },
    Ack {
        generation: Generation,
        verdict: Verdict,
    },
    Pong {},
}

/// What a receiver serves already.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Have {
    pub(crate) generation: Generation,
    pub(crate) digest: Digest,
}

/// What a receiver did with a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Verdict {
    Accepted,
    Refused(String),
    /// The delta does not fit what it has.
    NeedsFull,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub(crate) enum FromPublisher {
    Full {
        snapshot: Arc<Snapshot>,
        digest: Digest,
    },
    Delta {
        delta: Box<Delta>,
    },
    Ping {},
    /// The publisher will not talk to this receiver.
    Refusal {
        reason: String,
    },
}
