//! Connections whose TLS an endpoint ends: bytes both ways, from the client's first one on.

use super::Client;
use crate::choose::{Claim, Pick, choose};
use crate::forward::{Moved, Tunnel};
use crate::health::Outcome;
use crate::table::ForwardEntry;
use crate::upstream::{EndpointStream, poll_connected, start_connect};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use tokio::net::TcpStream;

/// Either side may be silent for so long: whatever is spoken inside has time-outs of its own.
const IDLE: Duration = Duration::from_secs(600);

/// Connects the client to an endpoint of `to` and moves bytes until either has enough. `raw` was read from the client.
pub(crate) async fn pass(mut client: Client, to: &ForwardEntry, raw: &[u8]) {
    let Some((pick, stream)) = connect(&client, to).await else {
        // Nothing can be said to a client that speaks TLS to somebody else.
        return client.reset();
    };
    let worker = Rc::clone(&client.worker);
    let mut up = worker.scratch.take_buffer();
    up.append(raw);
    let down = worker.scratch.take_buffer();
    let tunnel = Tunnel::new(EndpointStream::Plain(stream), up, down);
    let outcome = match tunnel.run(&mut client, IDLE).await {
        // It speaks: what it says is not ours to read.
        Moved::Something => Outcome::Answered { status: 200 },
        Moved::Nothing => Outcome::Reset,
    };
    pick.finish(outcome, worker.now());
    client.end().await;
}

/// An endpoint that takes the connection. Nothing has been sent, so that any further one may be tried, as often as the
/// gateway's settings say.
async fn connect(client: &Client, to: &ForwardEntry) -> Option<(Pick, TcpStream)> {
    let worker = &client.worker;
    let (limit, tries) = {
        let table = worker.table();
        let settings = table.settings();
        (settings.timeouts.connect, 1 + settings.retry.max)
    };
    let mut tried = Vec::new();
    for _ in 0..tries {
        let random = worker.random();
        let pick = choose(to, &Claim::Free, &tried, worker.now(), random)?;
        tried.push(pick.id());
        let deadline = worker.now() + limit;
        let connected = match start_connect(pick.address()) {
            Ok(stream) => {
                let opened = poll_fn(|context| match poll_connected(&stream, context) {
                    Poll::Ready(result) => Poll::Ready(result.is_ok()),
                    Poll::Pending if client.expired(deadline, context) => Poll::Ready(false),
                    Poll::Pending => Poll::Pending,
                });
                opened.await.then_some(stream)
            }
            Err(_) => None,
        };
        match connected {
            Some(stream) => return Some((pick, stream)),
            None => pick.finish(Outcome::ConnectFailed, worker.now()),
        }
    }
    None
}
