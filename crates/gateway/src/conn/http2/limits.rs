//! What one connection of HTTP/2 may cost, and what is too much.
//!
//! Beside these, the `h2` crate limits CONTINUATION frames by the size of the header list, answers one PING at a time
//! before it reads on, and ends connections of many small DATA frames (ENHANCE_YOUR_CALM).

use h2::server::Builder;
use std::time::Duration;
use tidegate_runtime::Tick;

/// Requests at the same time (RFC 9113 5.1.2): what browsers are used to and gRPC clients divide by.
const STREAMS_MAX: u32 = 100;
/// As large as a head of HTTP/1.1 may be. The list is measured with 32 bytes a field (RFC 9113 6.5.2).
const HEADER_LIST_MAX: u32 = 64 * 1024;
/// What a client may send of one body before the endpoint takes it: 20 Mbit/s at a round trip of 50 ms, and no more
/// memory than a slow endpoint is worth.
const STREAM_WINDOW: u32 = 128 * 1024;
/// The same for all bodies of a connection: a few slow endpoints must not stop the uploads to the others.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// What is kept of an answer that the client's socket does not take. It is bounded by the client's window as well.
const SEND_BUFFER: usize = 32 * 1024;
/// Streams that were reset before we came to look at them; a browser that leaves a page may well reset all.
const UNSEEN_RESETS_MAX: usize = 100;
/// Streams that a client made us reset by breaking the rules: no honest client does that twice.
const BROKEN_MAX: usize = 100;
/// Requests of one connection after which it is asked to begin anew: connections must not stay with an old
/// gateway, or on one worker, for ever.
pub(super) const REQUESTS_MAX: u64 = 100_000;
/// Streams given up in a row before their answer. All of a page left twice is fine; what goes on is the attack that
/// makes a gateway work for nobody (CVE-2023-44487).
const ABANDONED_MAX: u32 = 200;
/// How long they are remembered.
const ABANDONED_WINDOW: Duration = Duration::from_secs(10);

/// What a connection begins with.
pub(super) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_LIST_MAX)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(UNSEEN_RESETS_MAX)
        .max_local_error_reset_streams(Some(BROKEN_MAX))
        .enable_connect_protocol();
    builder
}

/// How many streams a client has given up. Answers that it takes make up for them.
#[derive(Debug)]
pub(super) struct Abandoned {
    count: u32,
    since: Tick,
}

impl Abandoned {
    pub(super) fn new(now: Tick) -> Self {
        Self {
            count: 0,
            since: now,
        }
    }

    /// An answer was taken to its end.
    pub(super) fn completed(&mut self) {
        self.count = self.count.saturating_sub(1);
    }

    /// A stream was given up before its end.
    pub(super) fn abandoned(&mut self, now: Tick) {
        if now.since(self.since) >= ABANDONED_WINDOW {
            *self = Self::new(now);
        }
        self.count += 1;
    }

    /// Whether it is an attack.
    pub(super) fn is_too_much(&self) -> bool {
        self.count > ABANDONED_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn giving_up_is_too_much_only_at_speed_and_without_answers_taken() {
        let start = Tick::NEVER;
        let mut page_left_twice = Abandoned::new(start);
        (0..200).for_each(|_| page_left_twice.abandoned(start));
        assert!(!page_left_twice.is_too_much());

        let mut attack = Abandoned::new(start);
        (0..=200).for_each(|_| attack.abandoned(start));
        assert!(attack.is_too_much());

        let mut half = Abandoned::new(start);
        for _ in 0..10_000 {
            half.abandoned(start);
            half.completed();
        }
        assert!(!half.is_too_much());

        let mut slow = Abandoned::new(start);
        for second in 0..1000 {
            (0..15).for_each(|_| slow.abandoned(start + Duration::from_secs(second)));
            assert!(!slow.is_too_much());
        }
    }
}
