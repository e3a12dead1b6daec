//! One request: a task beside those of the other streams.

use super::session::Streams;
use super::{Stream, request};
use crate::conn::{After, Client, ClientStream, refuse, serve_request};
use crate::h1::{Asked, Framing, Method, Version};
use crate::worker::Worker;
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::request::Parts;
use std::rc::Rc;
use tokio::task::spawn_local;

/// A request as it comes.
pub(super) struct Incoming {
    pub(super) parts: Parts,
    pub(super) body: RecvStream,
    pub(super) respond: SendResponse<Bytes>,
    pub(super) scheme: &'static str,
}

/// Begins the task of a stream.
pub(super) fn begin(
    request: Incoming,
    streams: &Rc<Streams>,
    worker: &Rc<Worker>,
    part: impl FnOnce(ClientStream) -> Client,
) {
    let Incoming {
        parts,
        body,
        mut respond,
        scheme,
    } = request;
    let mut scratch = worker.scratch.take();
    let key = u128::from(worker.random()) << 64 | u128::from(worker.random());
    if request::write(&parts, key.to_be_bytes(), &mut scratch.input).is_err() {
        respond.send_reset(Reason::PROTOCOL_ERROR);
        streams.abandoned.borrow_mut().abandoned(worker.now());
        worker.scratch.give(scratch);
        return;
    }
    let asked = Asked {
        method: match parts.method {
            http::Method::HEAD => Method::Head,
            _ => Method::Get,
        },
        websocket: request::asks_websocket(&parts),
    };
    let stream = Stream::new(scheme, asked, body, respond);
    let bodiless = stream.is_bodiless();
    let client = part(ClientStream::Http2(Box::new(stream)));
    let active = Active::new(streams);
    spawn_local(async move {
        let mut client = client;
        let under_way = client.worker.request_begins();
        let after = match scratch.request.parse(scratch.input.data()) {
            Ok(true) => {
                let request = &mut scratch.request;
                request.version = Version::Http2;
                if request.framing == Framing::None && !bodiless && !asked.websocket {
                    request.framing = Framing::UntilEnd;
                }
                serve_request(&mut client, &mut scratch).await
            }
            Ok(false) => {
                debug_assert!(false, "a head that was written whole is whole");
                After::Reset
            }
            Err(refusal) => refuse(&mut client, &mut scratch, refusal).await,
        };
        drop(under_way);
        client.worker.scratch.give(scratch);
        if after == After::Tunnel
            && let Some(tunnel) = client.tunnel.take()
        {
            let idle = client.worker.table().settings().timeouts.body_idle;
            tunnel.run(&mut client, idle).await;
        }
        end(&mut client, after, &active.0);
    });
}

/// Ends a stream behind its answer.
fn end(client: &mut Client, after: After, streams: &Streams) {
    let now = client.worker.now();
    let ClientStream::Http2(stream) = &mut client.stream else {
        return;
    };
    let complete = match after {
        After::KeepAlive | After::Close | After::Linger | After::Tunnel | After::Http2 => {
            stream.end_output().is_ok()
        }
        After::Reset => {
            stream.reset();
            false
        }
    };
    let mut abandoned = streams.abandoned.borrow_mut();
    match (complete, stream.was_left()) {
        (true, _) => abandoned.completed(),
        (false, true) => abandoned.abandoned(now),
        // Our own fault, or that of an endpoint.
        (false, false) => {}
    }
}

/// Counts a stream as long as its task lives.
struct Active(Rc<Streams>);

impl Active {
    fn new(streams: &Rc<Streams>) -> Self {
        streams.active.set(streams.active.get() + 1);
        Self(Rc::clone(streams))
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.active.set(self.0.active.get() - 1);
        if let Some(connection) = &*self.0.connection.borrow() {
            connection.wake_by_ref();
        }
    }
}
