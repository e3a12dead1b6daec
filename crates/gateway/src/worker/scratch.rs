//! What a connection needs only while a request is under way.

use super::buffer::Buffer;
use crate::forward::Attempt;
use crate::h1::{RequestHead, ResponseHead};
use crate::health::EndpointId;
use std::cell::RefCell;

/// The working memory of one request, lent to a connection when its first byte arrives and given back
/// after the answer.
#[derive(Debug)]
pub(crate) struct Scratch {
    /// Bytes from the client.
    pub(crate) input: Buffer,
    /// The head of the request.
    pub(crate) request: RequestHead,
    /// Head, and body as far as it is known, for backends; what a further attempt sends again.
    pub(crate) request_out: Vec<u8>,
    /// The head of the question that is asked when another backend tells errors.
    pub(crate) page_out: Vec<u8>,
    /// The head of the copy of the request; empty where none is sent.
    pub(crate) mirror_out: Vec<u8>,
    /// The head of the answer.
    pub(crate) response: ResponseHead,
    /// Head of the answer and framing of its body, for the client.
    pub(crate) response_out: Vec<u8>,
    /// Header lines for whatever answer the client will see.
    pub(crate) answer_lines: Vec<u8>,
    /// The body that a rule gives the gateway's own answer.
    pub(crate) answer_body: Vec<u8>,
    /// Endpoints tried for this request.
    pub(crate) tried: Vec<EndpointId>,
    /// Attempts under way; empty between requests.
    pub(crate) attempts: Vec<Attempt>,
}

/// Working memory that nobody uses at the moment.
#[derive(Debug, Default)]
pub(crate) struct ScratchPool {
    #[expect(
        clippy::vec_box,
        reason = "they are handed out and taken back by pointer, for every request"
    )]
    scratches: RefCell<Vec<Box<Scratch>>>,
    buffers: RefCell<Vec<Buffer>>,
}

/// Kept for the next burst; the rest goes back to the allocator.
const KEPT: usize = 256;
/// Output that grew beyond this for a large head or body is not kept.
const KEPT_OUTPUT_LEN: usize = 16 * 1024;

impl ScratchPool {
    pub(crate) fn take(&self) -> Box<Scratch> {
        match self.scratches.borrow_mut().pop() {
            Some(scratch) => scratch,
            None => Box::new(Scratch {
                input: Buffer::new(),
                request: RequestHead::default(),
                request_out: Vec::new(),
                page_out: Vec::new(),
                mirror_out: Vec::new(),
                response: ResponseHead::default(),
                response_out: Vec::new(),
                answer_lines: Vec::new(),
                answer_body: Vec::new(),
                tried: Vec::new(),
                attempts: Vec::new(),
            }),
        }
    }

    pub(crate) fn give(&self, mut scratch: Box<Scratch>) {
        scratch.attempts.clear();
        scratch.tried.clear();
        scratch.input.clear();
        scratch.answer_lines.clear();
        let large = scratch
            .request_out
            .capacity()
            .max(scratch.response_out.capacity());
        let mut kept = self.scratches.borrow_mut();
        if kept.len() < KEPT && large <= KEPT_OUTPUT_LEN && !scratch.input.is_oversized() {
            kept.push(scratch);
        }
    }

    /// A buffer for an answer.
    pub(crate) fn take_buffer(&self) -> Buffer {
        self.buffers.borrow_mut().pop().unwrap_or_else(Buffer::new)
    }

    pub(crate) fn give_buffer(&self, mut buffer: Buffer) {
        buffer.clear();
        let mut kept = self.buffers.borrow_mut();
        if kept.len() < KEPT && !buffer.is_oversized() {
            kept.push(buffer);
        }
    }
}
