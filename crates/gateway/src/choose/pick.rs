//! The account of one attempt.

use crate::health::{EndpointId, EndpointState, Outcome, Part};
use std::net::SocketAddr;
use std::sync::Arc;
use tidegate_runtime::Tick;

/// An attempt at an endpoint, counted as under way until it is finished or dropped.
///
/// Dropping it unfinished is [`Outcome::Cancelled`]: it says nothing about the endpoint.
#[derive(Debug)]
pub struct Pick {
    endpoint: Arc<EndpointState>,
    part: Part,
    begun: Tick,
    heard: bool,
}

impl Pick {
    /// Enters an attempt.
    pub fn begin(endpoint: Arc<EndpointState>, part: Part, now: Tick) -> Self {
        endpoint.begin(part, now);
        Self {
            endpoint,
            part,
            begun: now,
            heard: false,
        }
    }

    /// Where to send it.
    pub fn address(&self) -> SocketAddr {
        self.endpoint.address()
    }

    /// For the list of those already tried.
    pub fn id(&self) -> EndpointId {
        self.endpoint.id()
    }

    /// The endpoint.
    pub fn endpoint(&self) -> &Arc<EndpointState> {
        &self.endpoint
    }

    /// To be called whenever bytes of the answer came. The first time measures latency.
    pub fn byte_seen(&mut self, now: Tick) {
        if self.heard {
            self.endpoint.byte_seen(now);
        } else {
            self.heard = true;
            self.endpoint.first_byte(self.begun, now);
        }
    }

    /// Whether the endpoint or its cluster is silent while we wait for the first byte: a repeatable request
    /// should be sent elsewhere as well. Cheap; meant to be asked every few milliseconds.
    pub fn suspicious(&self, now: Tick) -> bool {
        !self.heard && self.endpoint.check_silence(now)
    }

    /// Ends the attempt and judges the endpoint by it.
    pub fn finish(self, outcome: Outcome, now: Tick) {
        self.endpoint.judge(outcome, now);
    }
}

impl Drop for Pick {
    fn drop(&mut self) {
        self.endpoint.end(self.part);
    }
}
