//! Requests of the gateway's own.

use super::exchange::{Exchange, Rules, Turn};
use super::{Limits, relay};
use crate::choose::Claim;
use crate::h1::{Asked, Method};
use crate::table::ForwardEntry;
use crate::worker::{Alarm, Scratch, Worker};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use tidegate_model::Settings;

/// Sends the request that stands in `request_out` and has no body, and waits for the head of its answer, which stands in
/// `response` then. Gives the attempt that has it, if one has: whoever has read it must have it put away.
pub(crate) async fn ask(
    worker: &Rc<Worker>,
    scratch: &mut Scratch,
    to: &ForwardEntry,
    claim: Claim,
    settings: &Settings,
    method: Method,
) -> Option<usize> {
    let rules = Rules {
        to,
        claim,
        settings,
        limits: Limits::NONE,
        asked: Asked {
            method,
            websocket: false,
        },
        repeatable: method.is_idempotent(),
    };
    let alarm = Alarm::new(Rc::clone(worker));
    let mut exchange = Exchange::new(rules, worker.now());
    scratch.tried.clear();
    let winner = poll_fn(|context| {
        loop {
            match exchange.poll(context, worker, scratch) {
                Poll::Ready(Turn::Head(at)) => return Poll::Ready(Some(at)),
                Poll::Ready(Turn::Interim(at)) => {
                    let length = scratch.response.length;
                    scratch.attempts[at].skip_head(length);
                }
                Poll::Ready(Turn::Failed(_)) => return Poll::Ready(None),
                Poll::Pending if alarm.expired(exchange.wake_at, context) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
    if winner.is_none() {
        relay::give_up_others(worker, scratch);
    }
    winner
}
