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

/// Where a request of the gateway's own goes, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) to: &'a ForwardEntry,
    pub(crate) claim: Claim,
    pub(crate) settings: &'a Settings,
    pub(crate) method: Method,
    /// It may be sent more than once.
    pub(crate) repeatable: bool,
}

/// Sends the request that stands whole in `request_out`, and waits for the head of its answer, which stands in `response`
/// then. Gives the attempt that has it, if one has: whoever has read it must have it put away.
pub(crate) async fn ask(
    worker: &Rc<Worker>,
    scratch: &mut Scratch,
    question: Question<'_>,
) -> Option<usize> {
    let rules = Rules {
        to: question.to,
        claim: question.claim,
        settings: question.settings,
        limits: Limits::NONE,
        asked: Asked {
            method: question.method,
            websocket: false,
        },
        repeatable: question.repeatable,
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
