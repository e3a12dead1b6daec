//! A client's connection: one request after the other, until one side has enough.
//!
//! ```text
//! serve: wait (owns no buffer) -> read_head -> admit -> route -> forward -> wait ...
//!                                     |          |        |         |
//!                                     '----------+--------+---------'--> answer: the gateway's own
//! ```
//!
//! A connection of HTTP/2 is many of these at once, one a stream: `http2`.

mod admit;
mod answer;
mod asker;
mod client;
mod http2;
mod inquire;
mod pass;
pub(crate) mod proxy_protocol;
mod stream;

pub(crate) use answer::{CertificateProblem, OwnAnswer};
pub(crate) use client::Client;
pub(crate) use pass::pass;
pub(crate) use stream::ClientStream;

use crate::filter::Asked;
use crate::forward;
use crate::h1::{Persistence, Refusal};
use crate::worker::Scratch;
use admit::{Admitted, Destination, normal_host};
use client::HeadRead;
use std::sync::Arc;

/// What becomes of the connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// The next request may come.
    KeepAlive,
    /// It is closed; everything the client sent was read.
    Close,
    /// It is closed, but the client may still be sending: reading on for a moment lets it read the
    /// answer before a reset destroys it.
    Linger,
    /// Another protocol is spoken on it.
    Tunnel,
    /// It was one of HTTP/2 from the start; its first bytes stand in the scratch.
    Http2,
    /// It is reset, so that the client does not take a part of an answer for the whole.
    Reset,
}

/// Serves the connection to its end.
pub(crate) async fn serve(mut client: Client) {
    if client.stream.agreed_http2() {
        return Box::pin(http2::serve(client, Vec::new())).await;
    }
    let mut first = true;
    while client.wait(first).await {
        let mut scratch = client.worker.scratch.take();
        let place = match first {
            true => Place::First,
            false => Place::Later,
        };
        first = false;
        let after = serve_burst(&mut client, &mut scratch, place).await;
        if after == After::Http2 {
            let begun = scratch.input.data().to_vec();
            client.worker.scratch.give(scratch);
            // Apart, so that connections of HTTP/1.1 do not carry its size.
            return Box::pin(http2::serve(client, begun)).await;
        }
        client.worker.scratch.give(scratch);
        match after {
            After::KeepAlive => {}
            After::Close | After::Http2 => break,
            After::Tunnel => {
                if let Some(tunnel) = client.tunnel.take() {
                    let idle = client.worker.table().settings().timeouts.body_idle;
                    tunnel.run(&mut client, idle).await;
                }
                break;
            }
            After::Linger => return client.linger().await,
            After::Reset => return client.reset(),
        }
    }
    client.end().await;
}

/// Where a head stands among those of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    First,
    Later,
}

/// Serves requests while bytes of the next one are there already.
async fn serve_burst(client: &mut Client, scratch: &mut Scratch, mut place: Place) -> After {
    loop {
        match client.read_head(scratch).await {
            HeadRead::Complete => place = Place::Later,
            HeadRead::Http2 if place == Place::First => return After::Http2,
            HeadRead::Http2 => return refuse(client, scratch, Refusal::VersionNotSupported).await,
            HeadRead::Gone => return After::Close,
            HeadRead::Refused(refusal) => return refuse(client, scratch, refusal).await,
        }
        let under_way = client.worker.request_begins();
        let after = serve_request(client, scratch).await;
        drop(under_way);
        if after != After::KeepAlive || scratch.input.is_empty() {
            return after;
        }
    }
}

async fn serve_request(client: &mut Client, scratch: &mut Scratch) -> After {
    let table = client.worker.table();
    let settings = table.settings();
    let mut asked = Asked::default();
    let destination = loop {
        match admit::admit(&table, scratch, client, &mut asked) {
            Ok(Admitted::To(destination)) => break Some(destination),
            Ok(Admitted::Nowhere) => break None,
            Ok(Admitted::Answered(answer)) => {
                let persistence = persistence(client, scratch);
                return answer_and_skip(client, scratch, answer, persistence).await;
            }
            // Apart, so that those who ask nothing do not carry their size.
            Ok(Admitted::Check(check)) => asked.password = Some(Box::pin(check.run()).await),
            Ok(Admitted::Inquire(question)) => {
                let opinion = Box::pin(inquire::inquire(client, &question)).await;
                asked.opinion = Some(Arc::new(opinion));
            }
            Err(refusal) => return refuse(client, scratch, refusal).await,
        }
    };
    let persistence = persistence(client, scratch);
    let Some(Destination { entry, to, claim }) = destination else {
        let answer = match table.is_unset() {
            true => OwnAnswer::NoConfiguration,
            false => OwnAnswer::NoRoute,
        };
        return answer_and_skip(client, scratch, answer, persistence).await;
    };
    let filters = entry.filters.as_deref();
    let own = filters.and_then(|filters| filters.settings(settings));
    let request = forward::Request {
        to,
        claim,
        filters,
        settings: own.as_ref().unwrap_or(settings),
        persistence,
    };
    let after = forward::forward(client, scratch, request).await;
    if let Some(tunnel) = &mut client.tunnel {
        tunnel.hold(asked.slots);
    }
    after
}

fn persistence(client: &Client, scratch: &Scratch) -> Persistence {
    match scratch.request.keeps_alive() && client.worker.draining().is_none() {
        true => Persistence::KeepAlive,
        false => Persistence::Close,
    }
}

/// Answers a request that no backend saw. Its body, if it has one, is not read: the connection ends.
async fn answer_and_skip(
    client: &mut Client,
    scratch: &mut Scratch,
    answer: OwnAnswer,
    persistence: Persistence,
) -> After {
    let bodiless = !scratch.request.has_body();
    let persistence = match bodiless {
        true => persistence,
        false => Persistence::Close,
    };
    scratch.input.consume(scratch.request.length);
    let after = client.answer(scratch, answer, persistence).await;
    match (after, bodiless) {
        (After::Close, false) => After::Linger,
        (after, _) => after,
    }
}

/// Answers what is not passed on; nothing that follows it can be trusted to begin where it seems to.
async fn refuse(client: &mut Client, scratch: &mut Scratch, refusal: Refusal) -> After {
    let answer = OwnAnswer::Refused(refusal);
    match client.answer(scratch, answer, Persistence::Close).await {
        After::KeepAlive | After::Close | After::Linger | After::Tunnel | After::Http2 => {
            After::Linger
        }
        After::Reset => After::Reset,
    }
}
