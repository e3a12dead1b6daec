//! Passing a request on: body -> attempts -> answer.
//!
//! ```text
//! hold the body, if it is small and the request may be sent twice
//! Exchange: attempts at endpoints, one or several at a time, until one has the head of an answer
//! relay: the answer's body to the client; the rest of the request's body to the endpoint
//! tunnel: after a switch to WebSocket, bytes both ways
//! ```
//!
//! All of it is one task that polls its sockets in place: no future, channel or copy for an attempt.

mod ask;
mod attempt;
mod download;
mod exchange;
mod mirror;
mod outgoing;
mod pace;
mod relay;
mod tunnel;
mod upload;

pub(crate) use ask::{Question, ask};
pub(crate) use attempt::Attempt;
pub(crate) use relay::put_away;
pub(crate) use tunnel::{Moved, Tunnel};

use crate::choose::Claim;
use crate::conn::{After, Client, OwnAnswer};
use crate::filter::{ErrorPages, Filters};
use crate::h1::{Asked, Framing, HEAD_MAX, Persistence, Refusal, Version, write_interim};
use crate::table::ForwardEntry;
use crate::worker::{Scratch, Worker};
use exchange::{Exchange, Rules, Turn};
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;
use tidegate_model::Settings;
use tidegate_runtime::Tick;
use upload::{Upload, UploadFailure};

/// What is to be done with the request whose head stands in the scratch, rewritten, in `request_out`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    /// Where it goes.
    pub(crate) to: &'a ForwardEntry,
    /// What it says about the endpoint.
    pub(crate) claim: Claim,
    pub(crate) filters: Option<&'a Filters>,
    pub(crate) settings: &'a Settings,
    /// Whether the client's connection may go on.
    pub(crate) persistence: Persistence,
}

/// When a request must be over, as its route says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The last byte of the answer must be passed on.
    end: Tick,
    /// No further try begins.
    tries_end: Tick,
}

impl Limits {
    const NONE: Self = Self {
        end: Tick::END,
        tries_end: Tick::END,
    };

    /// A route that limits nothing does not look at the clock.
    fn of(filters: Option<&Filters>, worker: &Worker) -> Self {
        let from_now =
            |limit: Option<Duration>| limit.map_or(Tick::END, |limit| worker.now() + limit);
        Self {
            end: from_now(filters.and_then(|filters| filters.timeouts.total)),
            tries_end: from_now(filters.and_then(|filters| filters.retry.within)),
        }
    }
}

/// A body up to this size is held, so that the request can be sent again.
const HELD_BODY_MAX: usize = 64 * 1024;

/// Passes the request on and the answer back.
pub(crate) async fn forward(
    client: &mut Client,
    scratch: &mut Scratch,
    mut request: Request<'_>,
) -> After {
    let limits = Limits::of(request.filters, &client.worker);
    let max_body = request.filters.and_then(|filters| filters.max_body);
    let mut upload = Upload::new(scratch.request.framing, max_body);
    let head_length = scratch.request_out.len();
    scratch.input.consume(scratch.request.length);
    if let Err(refusal) = upload.take_buffered(&mut scratch.input, &mut scratch.request_out) {
        return give_up(client, scratch, OwnAnswer::Refused(refusal), &upload).await;
    }
    if may_hold(scratch, request, &upload) {
        match hold_body(client, scratch, &mut upload, request.settings, limits).await {
            Held::Yes => {}
            Held::Gone => return After::Close,
            Held::TooLong => return give_up(client, scratch, OwnAnswer::Timeout, &upload).await,
            Held::Refused(refusal) => {
                return give_up(client, scratch, OwnAnswer::Refused(refusal), &upload).await;
            }
        }
    }
    if scratch.request.version == Version::Http2
        && let Err(refusal) = take_what_is_there(client, scratch, &mut upload).await
    {
        return give_up(client, scratch, OwnAnswer::Refused(refusal), &upload).await;
    }
    if !scratch.mirror_out.is_empty() {
        copy(client, scratch, request, head_length, &upload);
    }
    let rules = Rules {
        to: request.to,
        claim: request.claim,
        settings: request.settings,
        limits,
        asked: Asked {
            method: scratch.request.method,
            websocket: scratch.request.asks_websocket,
        },
        repeatable: request.is_repeatable(scratch) && upload.is_done(),
    };
    let mut exchange = Exchange::new(rules, client.worker.now());
    scratch.tried.clear();
    let mut pages = request.filters.and_then(|filters| filters.pages.as_deref());
    // What the client is told when nobody tells the error.
    let mut untold = None;
    let mut unread = false;
    loop {
        let event = next_turn(client, scratch, &mut exchange, &mut upload).await;
        let error = match &event {
            Event::Head(_) => Some(scratch.response.status),
            Event::Failed(answer) => Some(answer.status()),
            Event::Interim(_) | Event::Refused(_) | Event::ClientGone => None,
        };
        if let Some(status) = error
            && let Some(pages) = pages.take_if(|pages| pages.tell(status))
        {
            untold = Some(match event {
                Event::Failed(answer) => answer,
                _ => OwnAnswer::Bare(status),
            });
            if let Event::Head(winner) = event {
                put_away(&client.worker, scratch, winner, upload.is_done());
            }
            // What is left of the body is not for whoever tells the error.
            unread = !upload.is_done();
            upload = Upload::new(Framing::None, None);
            request = request.for_error(pages, unread);
            let rules = ask_for_page(scratch, request, status, exchange.rules);
            exchange = Exchange::new(rules, client.worker.now());
            continue;
        }
        match event {
            Event::Head(winner) => {
                let after =
                    relay::relay(client, scratch, request, winner, upload, limits.end).await;
                return linger_unless(!unread, after);
            }
            Event::Interim(at) => {
                if !pass_interim(client, scratch, at).await {
                    return After::Close;
                }
            }
            Event::Failed(answer) => {
                scratch.attempts.clear();
                let answer = untold.unwrap_or(answer);
                // Whether the connection goes on is up to the body.
                let whole = upload.is_done() && !unread;
                let persistence = match whole {
                    true => request.persistence,
                    false => Persistence::Close,
                };
                let after = client.answer(scratch, answer, persistence).await;
                return linger_unless(whole, after);
            }
            Event::Refused(refusal) => {
                scratch.attempts.clear();
                return give_up(client, scratch, OwnAnswer::Refused(refusal), &upload).await;
            }
            Event::ClientGone => return After::Close,
        }
    }
}

/// Makes the question about an error the request to send; gives the rules for it.
fn ask_for_page<'a>(
    scratch: &mut Scratch,
    request: Request<'a>,
    status: u16,
    rules: Rules<'a>,
) -> Rules<'a> {
    ErrorPages::write_status(status, &mut scratch.page_out);
    std::mem::swap(&mut scratch.request_out, &mut scratch.page_out);
    scratch.tried.clear();
    Rules {
        to: request.to,
        claim: request.claim,
        asked: Asked {
            method: scratch.request.method.or_get(),
            websocket: false,
        },
        repeatable: true,
        ..rules
    }
}

async fn give_up(
    client: &mut Client,
    scratch: &mut Scratch,
    answer: OwnAnswer,
    upload: &Upload,
) -> After {
    let after = client.answer(scratch, answer, Persistence::Close).await;
    linger_unless(upload.is_done(), after)
}

/// An answer to a request that was not read to its end.
fn linger_unless(whole: bool, after: After) -> After {
    match (whole, after) {
        (false, After::Close | After::KeepAlive) => After::Linger,
        (_, after) => after,
    }
}

impl<'a> Request<'a> {
    /// The same to whoever tells its error; with a part of its body unread, its connection ends behind it.
    fn for_error(self, pages: &'a ErrorPages, unread: bool) -> Self {
        Self {
            to: &pages.to,
            claim: Claim::Free,
            persistence: match unread {
                true => Persistence::Close,
                false => self.persistence,
            },
            ..self
        }
    }

    /// Whether it may be sent more than once.
    fn is_repeatable(&self, scratch: &Scratch) -> bool {
        scratch.request.method.is_idempotent()
            || self.filters.is_some_and(|filters| filters.retry.any_method)
    }
}

fn may_hold(scratch: &Scratch, request: Request<'_>, upload: &Upload) -> bool {
    let head = &scratch.request;
    let small = match head.framing {
        Framing::None | Framing::Chunked | Framing::UntilEnd => true,
        Framing::Length(length) => length <= HELD_BODY_MAX as u64,
    };
    let wanted = request.is_repeatable(scratch) || copies_body(scratch, request);
    // A client that waits for the backend's consent must not be asked for the body before.
    small && !upload.is_done() && wanted && !head.expects_continue
}

/// Whether a copy of the request has its body.
fn copies_body(scratch: &Scratch, request: Request<'_>) -> bool {
    let mirror = request.filters.and_then(|filters| filters.mirror.as_ref());
    !scratch.mirror_out.is_empty() && mirror.is_some_and(|mirror| mirror.takes_body())
}

/// Sends the copy whose head stands in `mirror_out`, with the body behind the head in `request_out`.
fn copy(
    client: &Client,
    scratch: &mut Scratch,
    request: Request<'_>,
    head_length: usize,
    upload: &Upload,
) {
    let Some(mirror) = request.filters.and_then(|filters| filters.mirror.as_ref()) else {
        return;
    };
    let mut copy = std::mem::take(&mut scratch.mirror_out);
    if mirror.takes_body() {
        if !upload.is_done() {
            client.worker.shared.traffic.copy_dropped();
            return;
        }
        copy.extend_from_slice(&scratch.request_out[head_length..]);
    }
    mirror::send(&client.worker, mirror, copy, scratch.request.method);
}

enum Held {
    /// All of it, or as much as may be.
    Yes,
    Gone,
    /// The time for the whole request is over.
    TooLong,
    Refused(Refusal),
}

/// Reads the body behind the head in `request_out`, as far as it may be held.
async fn hold_body(
    client: &mut Client,
    scratch: &mut Scratch,
    upload: &mut Upload,
    settings: &Settings,
    limits: Limits,
) -> Held {
    let limit = scratch.request_out.len() + HELD_BODY_MAX;
    let idle = settings.timeouts.body_idle;
    let mut deadline = client.worker.now() + idle;
    poll_fn(|context| {
        while !upload.is_done() && scratch.request_out.len() < limit {
            scratch.input.make_room(HEAD_MAX);
            match scratch.input.poll_fill(&mut client.stream, context) {
                Poll::Ready(Ok(1..)) => {
                    deadline = client.worker.now() + idle;
                    let out = &mut scratch.request_out;
                    if let Err(refusal) = upload.take_buffered(&mut scratch.input, out) {
                        return Poll::Ready(Held::Refused(refusal));
                    }
                }
                Poll::Ready(Ok(0))
                    if upload.end_buffered(&mut client.stream, &mut scratch.request_out) => {}
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Held::Gone),
                Poll::Pending if client.expired(deadline.min(limits.end), context) => {
                    if client.worker.now() >= limits.end {
                        return Poll::Ready(Held::TooLong);
                    }
                    return Poll::Ready(Held::Refused(Refusal::BodyTimeout));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Held::Yes)
    })
    .await
}

/// Moves what has come of the body behind the head in `request_out`. In HTTP/2 a small body often comes with its
/// head, and then all of the request is at hand for an endpoint that must be sent it again.
async fn take_what_is_there(
    client: &mut Client,
    scratch: &mut Scratch,
    upload: &mut Upload,
) -> Result<(), Refusal> {
    let limit = scratch.request_out.len() + HELD_BODY_MAX;
    poll_fn(|context| {
        let (input, out) = (&mut scratch.input, &mut scratch.request_out);
        while !upload.is_done() && out.len() < limit {
            input.make_room(HEAD_MAX);
            match input.poll_fill(&mut client.stream, context) {
                Poll::Ready(Ok(1..)) => upload.take_buffered(input, out)?,
                Poll::Ready(Ok(0)) if upload.end_buffered(&mut client.stream, out) => {}
                // Whoever sends the rest finds out.
                Poll::Ready(Ok(0) | Err(_)) | Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(()))
    })
    .await
}

/// What can happen until there is an answer.
enum Event {
    /// This attempt has the head of the final answer.
    Head(usize),
    /// This attempt has a 1xx head for the client.
    Interim(usize),
    /// There will be no answer.
    Failed(OwnAnswer),
    /// The client has broken the framing of its body, or stopped sending it.
    Refused(Refusal),
    ClientGone,
}

/// Waits for the next event, sending the body meanwhile.
async fn next_turn(
    client: &mut Client,
    scratch: &mut Scratch,
    exchange: &mut Exchange<'_>,
    upload: &mut Upload,
) -> Event {
    let worker = std::rc::Rc::clone(&client.worker);
    let idle = exchange.rules.settings.timeouts.body_idle;
    let mut endpoint_full = false;
    let mut ahead = !scratch.input.is_empty();
    poll_fn(|context| {
        loop {
            match exchange.poll(context, &worker, scratch) {
                Poll::Ready(Turn::Head(at)) => return Poll::Ready(Event::Head(at)),
                Poll::Ready(Turn::Interim(at)) => return Poll::Ready(Event::Interim(at)),
                Poll::Ready(Turn::Failed(answer)) => return Poll::Ready(Event::Failed(answer)),
                Poll::Pending => {}
            }
            let mut progress = 0;
            if upload.is_done() || endpoint_full {
                if client.has_left(context, &mut ahead) {
                    return Poll::Ready(Event::ClientGone);
                }
            } else if let [attempt] = &mut scratch.attempts[..]
                && attempt.has_sent()
            {
                let (stream, input) = (&mut client.stream, &mut scratch.input);
                let before = (upload.bytes, upload.is_done());
                let fed = upload.poll(context, stream, input, &mut attempt.stream, &mut progress);
                attempt.fed |= before != (upload.bytes, upload.is_done());
                match fed {
                    Poll::Pending => {}
                    Poll::Ready(Ok(())) => exchange.sent_all(worker.now()),
                    // It may still answer.
                    Poll::Ready(Err(UploadFailure::Endpoint)) => endpoint_full = true,
                    Poll::Ready(Err(UploadFailure::Client)) => {
                        return Poll::Ready(Event::ClientGone);
                    }
                    Poll::Ready(Err(UploadFailure::Refused(refusal))) => {
                        return Poll::Ready(Event::Refused(refusal));
                    }
                }
            }
            if progress > 0 && !upload.is_done() {
                exchange.sent_some(worker.now() + idle);
            }
            if !client.expired(exchange.wake_at, context) {
                return Poll::Pending;
            }
            if exchange.waited_enough(worker.now())
                && !upload.is_done()
                && upload.waits_for_client()
            {
                return Poll::Ready(Event::Refused(Refusal::BodyTimeout));
            }
        }
    })
    .await
}

/// Hands a 1xx answer on; false when the client is gone.
async fn pass_interim(client: &mut Client, scratch: &mut Scratch, at: usize) -> bool {
    let attempt = &mut scratch.attempts[at];
    let length = scratch.response.length;
    scratch.response_out.clear();
    // HTTP/1.0 has none (RFC 9110 15.2).
    if let Some(received) = &attempt.received
        && scratch.request.version != Version::Http10
    {
        write_interim(
            &scratch.response,
            received.data(),
            &mut scratch.response_out,
        );
    }
    attempt.skip_head(length);
    let out = std::mem::take(&mut scratch.response_out);
    let taken = client.write_all(&out).await;
    scratch.response_out = out;
    taken
}
