//! Sending copies of requests, beside everything else.

use super::ask::{Question, ask};
use crate::filter::Mirror;
use crate::h1::{BodyDecoder, Method};
use crate::worker::{Alarm, BUFFER_LEN, Scratch, Worker};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::task::spawn_local;

/// Copies under way at the same time, for each worker: beyond that the mirror is too slow for what it gets.
const COPIES_MAX: usize = 256;
/// An answer to a copy is read to its end up to this size, so that its connection can carry another ...
const ANSWER_MAX: usize = 1024 * 1024;
/// ... and for so long.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// The place of a copy under way.
struct Place(Rc<Worker>);

impl Place {
    fn take(worker: &Rc<Worker>) -> Option<Self> {
        let before = worker.copies.get();
        (before < COPIES_MAX).then(|| {
            worker.copies.set(before + 1);
            Self(Rc::clone(worker))
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.copies.set(self.0.copies.get() - 1);
    }
}

/// Sends a copy, `request`, whole, to whoever `mirror` says. Nobody waits for it.
pub(super) fn send(worker: &Rc<Worker>, mirror: &Arc<Mirror>, request: Vec<u8>, method: Method) {
    let Some(place) = Place::take(worker) else {
        worker.shared.traffic.copy_dropped();
        return;
    };
    worker.shared.traffic.copy();
    let mirror = Arc::clone(mirror);
    spawn_local(async move {
        let worker = Rc::clone(&place.0);
        let table = worker.table();
        let mut scratch = worker.scratch.take();
        scratch.request_out = request;
        let question = Question {
            to: &mirror.to,
            claim: crate::choose::Claim::Free,
            settings: table.settings(),
            method,
            // Once is enough.
            repeatable: false,
        };
        if let Some(at) = ask(&worker, &mut scratch, question).await {
            discard(&worker, &mut scratch, at).await;
        }
        worker.scratch.give(scratch);
    });
}

/// Reads the answer of attempt `at` to its end, if that is near, and keeps its connection.
async fn discard(worker: &Rc<Worker>, scratch: &mut Scratch, at: usize) {
    let alarm = Alarm::new(Rc::clone(worker));
    let deadline = worker.now() + ANSWER_PATIENCE;
    let attempt = scratch.attempts.remove(at);
    let head = &scratch.response;
    let (status, address) = (head.status, attempt.address());
    let may_stay = head.keeps_alive() && attempt.has_sent();
    let (mut stream, received) = (attempt.stream, attempt.received);
    attempt
        .pick
        .finish(crate::health::Outcome::Answered { status }, worker.now());
    let Some(mut buffer) = received else {
        return;
    };
    buffer.consume(head.length);
    let mut decoder = BodyDecoder::response(head.framing);
    let mut left = ANSWER_MAX;
    let whole = poll_fn(|context| {
        loop {
            match decoder.decode(buffer.data_mut()) {
                Ok(decoded) => buffer.consume(decoded.consumed),
                Err(_) => return Poll::Ready(false),
            }
            if decoder.is_done() {
                return Poll::Ready(buffer.is_empty());
            }
            if !buffer.is_empty() {
                continue;
            }
            buffer.make_room(BUFFER_LEN);
            match buffer.poll_fill(&mut stream, context) {
                Poll::Ready(Ok(count @ 1..)) if count < left => left -= count,
                Poll::Ready(_) => return Poll::Ready(false),
                Poll::Pending if alarm.expired(deadline, context) => return Poll::Ready(false),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
    worker.scratch.give_buffer(buffer);
    if whole && may_stay {
        let jitter = (worker.random() >> 32) as u32;
        worker.pools.give(address, stream, worker.now(), jitter);
    }
}
