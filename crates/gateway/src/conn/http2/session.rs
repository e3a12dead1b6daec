//! A connection's life beside its requests: when it is asked to go, and when it ends.

use super::limits::{Abandoned, REQUESTS_MAX};
use super::transport::Transport;
use crate::conn::client::{DRAIN_GRACE, LINGER};
use crate::worker::Worker;
use bytes::Bytes;
use h2::Reason;
use h2::server::Connection;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};
use tidegate_runtime::Tick;

/// A connection in use.
pub(super) struct Session<'a> {
    pub(super) connection: Connection<Transport<'a>, Bytes>,
    pub(super) streams: Rc<Streams>,
    requests: u64,
    /// A first GOAWAY was sent: the client is to use another connection for what comes next.
    asked_to_go: bool,
    /// Since when there is no request.
    idle_since: Option<Tick>,
    /// The last GOAWAY was sent: when the client must have taken it, and what comes then.
    closing: Option<(Tick, End)>,
}

/// What a connection's task does next.
pub(super) enum Next {
    /// There are new frames to send.
    Again,
    /// Nothing, before this.
    Wait(Tick),
    End(End),
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The client has closed it, or everything was said.
    Gone,
    /// The client may still be sending, and is to read why that is in vain.
    Broken,
    /// The client takes nothing.
    Stuck,
}

impl<'a> Session<'a> {
    pub(super) fn new(connection: Connection<Transport<'a>, Bytes>, since: Tick) -> Self {
        Self {
            connection,
            streams: Rc::new(Streams::new(since)),
            requests: 0,
            asked_to_go: false,
            idle_since: Some(since),
            closing: None,
        }
    }

    /// Counts a request; its task belongs to what is returned.
    pub(super) fn count_request(&mut self) -> &Rc<Streams> {
        self.requests += 1;
        self.idle_since = None;
        &self.streams
    }

    /// How it has ended, when nothing has failed.
    pub(super) fn end(&self) -> End {
        self.closing.map_or(End::Gone, |(_, end)| end)
    }

    /// Looks at what does not come from the client.
    pub(super) fn look(&mut self, worker: &Worker, stuck: &Cell<Option<Tick>>) -> Next {
        let now = worker.now();
        let table = worker.table();
        let timeouts = &table.settings().timeouts;
        let mut wake_at = Tick::END;
        if let Some(since) = stuck.get() {
            if now >= since + timeouts.body_idle {
                return Next::End(End::Stuck);
            }
            wake_at = since + timeouts.body_idle;
        }
        if let Some((until, end)) = self.closing {
            return match now >= until {
                true => Next::End(end),
                false => Next::Wait(wake_at.min(until)),
            };
        }
        if self.streams.abandoned.borrow().is_too_much() {
            worker.shared.traffic.http2_flood();
            return self.close(Reason::ENHANCE_YOUR_CALM, now);
        }
        let draining = worker.draining();
        if !self.asked_to_go && (draining.is_some() || self.requests >= REQUESTS_MAX) {
            self.asked_to_go = true;
            self.connection.graceful_shutdown();
            return Next::Again;
        }
        // Frames of answers that are complete may still have to be sent.
        if self.streams.active.get() > 0 || self.connection.has_streams() {
            self.idle_since = None;
            return Next::Wait(wake_at);
        }
        let since = *self.idle_since.get_or_insert(now);
        let limit = match self.requests {
            0 => timeouts.request_head,
            _ => timeouts.client_idle,
        };
        let mut until = since + limit;
        if let Some(draining) = draining {
            until = until.min(draining + DRAIN_GRACE);
        }
        match now >= until {
            // A request that is on its way was not served, and the client can tell by the number of the last
            // stream that was (RFC 9113 6.8).
            true => self.close(Reason::NO_ERROR, now),
            false => Next::Wait(wake_at.min(until)),
        }
    }

    /// Ends the connection with its last frame.
    fn close(&mut self, reason: Reason, now: Tick) -> Next {
        self.connection.abrupt_shutdown(reason);
        let end = match reason {
            Reason::NO_ERROR => End::Gone,
            _ => End::Broken,
        };
        self.closing = Some((now + LINGER, end));
        Next::Again
    }
}

/// What the tasks of a connection's streams share with it.
#[derive(Debug)]
pub(super) struct Streams {
    /// How many there are.
    pub(super) active: Cell<usize>,
    pub(super) abandoned: RefCell<Abandoned>,
    pub(super) connection: RefCell<Option<Waker>>,
}

impl Streams {
    pub(super) fn new(now: Tick) -> Self {
        Self {
            active: Cell::new(0),
            abandoned: RefCell::new(Abandoned::new(now)),
            connection: RefCell::new(None),
        }
    }

    /// Has the connection's task woken when a stream ends.
    pub(super) fn wake_me(&self, context: &Context<'_>) {
        let mut waker = self.connection.borrow_mut();
        match &mut *waker {
            Some(known) if known.will_wake(context.waker()) => {}
            other => *other = Some(context.waker().clone()),
        }
    }
}
