//! HTTP/2 from clients (RFC 9113): the frames of many requests on one connection.
//!
//! ```text
//! Transport (socket) - h2 - serve -.- stream: request -> head of HTTP/1.1 -> admit -> forward -> answer -> frames
//!                                  |- stream ...
//! ```
//!
//! Each stream is a task of its own and a [`Client`] like any other, so failover, limits, deadlines and counters are
//! those of HTTP/1.1. Only its edges speak HTTP/2: [`request`] writes the head down, [`Stream`] turns the answer into
//! frames. A stream's task makes frames; the connection's task, which runs after it, sends those of all streams at
//! once.

mod limits;
mod request;
mod response;
mod session;
mod stream;
mod task;
mod transport;

pub(super) use stream::Stream;

use super::Client;
use crate::worker::Worker;
use bytes::Bytes;
use h2::Reason;
use session::{End, Next, Session};
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use task::Incoming;
use transport::Transport;

/// Serves a connection to its end. `begun` was read from it before it was known what it is.
pub(super) async fn serve(mut client: Client, begun: Vec<u8>) {
    client.worker.shared.traffic.http2_connection();
    match talk(&mut client, begun).await {
        End::Gone => client.end().await,
        End::Broken => client.linger().await,
        End::Stuck => client.reset(),
    }
}

async fn talk(client: &mut Client, begun: Vec<u8>) -> End {
    let worker = Rc::clone(&client.worker);
    let scheme = client.stream.scheme();
    let stuck = Cell::new(None);
    let transport = Transport::new(&mut client.stream, begun, &worker, &stuck);
    let since = worker.now();
    let mut handshake = pin!(limits::builder().handshake::<_, Bytes>(transport));
    let limit = worker.table().settings().timeouts.request_head;
    let connection = poll_fn(|context| match handshake.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(done.ok()),
        Poll::Pending if client.alarm.expired(since + limit, context) => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await;
    let Some(connection) = connection else {
        return End::Gone;
    };
    let mut session = Session::new(connection, since);
    poll_fn(|context| {
        loop {
            match session.connection.poll_accept(context) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    let (parts, body) = request.into_parts();
                    let request = Incoming {
                        parts,
                        body,
                        respond,
                        scheme,
                    };
                    let part = |stream| {
                        Client::of_stream(
                            stream,
                            &worker,
                            (client.peer, &client.address),
                            client.certificate.as_ref(),
                            &client.open,
                        )
                    };
                    task::begin(request, session.count_request(), &worker, part);
                    continue;
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(failed(&error, &worker)),
                Poll::Ready(None) => return Poll::Ready(session.end()),
                Poll::Pending => {}
            }
            match session.look(&worker, &stuck) {
                Next::Wait(until) if !client.alarm.expired(until, context) => {
                    session.streams.wake_me(context);
                    return Poll::Pending;
                }
                Next::Again | Next::Wait(_) => {}
                Next::End(end) => return Poll::Ready(end),
            }
        }
    })
    .await
}

/// How a connection ends that has failed.
fn failed(error: &h2::Error, worker: &Worker) -> End {
    if error.is_io() || error.is_remote() {
        return End::Gone;
    }
    // One of the crate's own limits.
    if error.reason() == Some(Reason::ENHANCE_YOUR_CALM) {
        worker.shared.traffic.http2_flood();
    }
    tracing::debug!(%error, "connection of HTTP/2 ended");
    End::Broken
}
