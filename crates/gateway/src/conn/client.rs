//! The client's end of a connection: waiting, reading heads, writing answers, ending.

use super::{After, ClientStream, OwnAnswer};
use crate::forward::Tunnel;
use crate::h1::{HEAD_MAX, Method, Persistence, Refusal, Version};
use crate::tls::Presented;
use crate::worker::{Alarm, Open, Scratch, Worker};
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tidegate_runtime::Tick;
use tokio::io::AsyncWrite;

/// A client's connection, or one stream of it. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) worker: Rc<Worker>,
    pub(crate) stream: ClientStream,
    /// What it becomes when its task has nothing else to do any more.
    pub(crate) tunnel: Option<Tunnel>,
    /// The other end of the connection.
    pub(crate) peer: IpAddr,
    /// The same as text.
    pub(crate) address: Rc<str>,
    /// What it has shown, if it was asked for a certificate.
    pub(super) certificate: Option<Rc<Presented>>,
    pub(super) alarm: Alarm,
    pub(super) open: Rc<Open>,
}

/// What came of reading a head.
#[derive(Debug)]
pub(super) enum HeadRead {
    /// It stands in the scratch.
    Complete,
    /// It begins a connection of HTTP/2 (RFC 9113 3.4).
    Http2,
    /// The client has left.
    Gone,
    /// It is not acceptable.
    Refused(Refusal),
}

/// How long an idle connection may still send a request when the gateway ends. Closing at once would
/// meet requests that are on their way.
pub(super) const DRAIN_GRACE: Duration = Duration::from_millis(500);
/// How long a client may go on sending what nobody wants to read.
pub(super) const LINGER: Duration = Duration::from_secs(2);
/// And how much of it.
const LINGER_BYTES: usize = 1024 * 1024;
/// The largest head, and the CRLF that may stand before it.
const INPUT_MAX: usize = HEAD_MAX + 1024;

impl Client {
    pub(crate) fn new(open: Open, worker: Rc<Worker>, stream: ClientStream, peer: IpAddr) -> Self {
        Self {
            alarm: Alarm::new(Rc::clone(&worker)),
            worker,
            stream,
            tunnel: None,
            peer: peer.to_canonical(),
            address: peer.to_canonical().to_string().into(),
            certificate: None,
            open: Rc::new(open),
        }
    }

    /// It was asked for a certificate in the handshake, and has shown this.
    pub(crate) fn presenting(mut self, presented: Option<Presented>) -> Self {
        self.certificate = presented.map(Rc::new);
        self
    }

    /// One stream of the connection that the other parts belong to, as if it were a client of its own.
    pub(super) fn of_stream(
        stream: ClientStream,
        worker: &Rc<Worker>,
        (peer, address): (IpAddr, &Rc<str>),
        certificate: Option<&Rc<Presented>>,
        open: &Rc<Open>,
    ) -> Self {
        Self {
            alarm: Alarm::new(Rc::clone(worker)),
            worker: Rc::clone(worker),
            stream,
            tunnel: None,
            peer,
            address: Rc::clone(address),
            certificate: certificate.map(Rc::clone),
            open: Rc::clone(open),
        }
    }

    /// Whether `deadline` is over; if not, the task is woken when it is.
    pub(crate) fn expired(&self, deadline: Tick, context: &Context<'_>) -> bool {
        self.alarm.expired(deadline, context)
    }

    /// Waits for the first byte of a request; false when there will be none. A connection that never
    /// sent anything is given the time of a head only.
    pub(super) async fn wait(&mut self, first: bool) -> bool {
        let since = self.worker.now();
        let limit = {
            let table = self.worker.table();
            match first {
                true => table.settings().timeouts.request_head,
                false => table.settings().timeouts.client_idle,
            }
        };
        poll_fn(|context| {
            if let Poll::Ready(more) = self.stream.poll_readable(context) {
                return Poll::Ready(more);
            }
            let mut deadline = since + limit;
            if let Some(draining) = self.worker.draining() {
                deadline = deadline.min(draining + DRAIN_GRACE);
            }
            match self.expired(deadline, context) {
                true => Poll::Ready(false),
                false => Poll::Pending,
            }
        })
        .await
    }

    /// Reads the head of a request, of which the input may hold a part or more.
    pub(super) async fn read_head(&mut self, scratch: &mut Scratch) -> HeadRead {
        let mut deadline = None;
        // Looked at again only when a line has been completed: a head that comes byte by byte must not
        // be read a thousand times. The first bytes are looked at always: what begins like TLS has no lines.
        let mut line_ended = !scratch.input.is_empty();
        poll_fn(|context| {
            loop {
                if line_ended {
                    line_ended = false;
                    match scratch.request.parse(scratch.input.data()) {
                        Ok(true) => return Poll::Ready(HeadRead::Complete),
                        Ok(false) => {}
                        // Looked for only here, so that HTTP/1.1 does not pay for it.
                        Err(Refusal::VersionNotSupported) if self.begins_http2(scratch) => {
                            return Poll::Ready(HeadRead::Http2);
                        }
                        Err(refusal) => return Poll::Ready(HeadRead::Refused(refusal)),
                    }
                }
                scratch.input.make_room(INPUT_MAX);
                let before = scratch.input.len();
                match scratch.input.poll_fill(&mut self.stream, context) {
                    Poll::Ready(Ok(1..)) => {
                        let new = &scratch.input.data()[before..];
                        let full = scratch.input.len() >= INPUT_MAX;
                        line_ended = full || before == 0 || new.contains(&b'\n');
                    }
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(HeadRead::Gone),
                    Poll::Pending => {
                        let deadline = *deadline.get_or_insert_with(|| {
                            let table = self.worker.table();
                            self.worker.now() + table.settings().timeouts.request_head
                        });
                        if !self.expired(deadline, context) {
                            return Poll::Pending;
                        }
                        return Poll::Ready(match scratch.input.is_empty() {
                            true => HeadRead::Gone,
                            false => HeadRead::Refused(Refusal::HeadTimeout),
                        });
                    }
                }
            }
        })
        .await
    }

    /// Whether the client speaks HTTP/2 without having asked; over TLS it has to ask by ALPN (RFC 9113 3.2).
    fn begins_http2(&self, scratch: &Scratch) -> bool {
        matches!(self.stream, ClientStream::Plain(_))
            && scratch.input.data().starts_with(b"PRI * HTTP/2.0\r\n")
    }

    /// Writes an answer of the gateway itself.
    pub(crate) async fn answer(
        &mut self,
        scratch: &mut Scratch,
        answer: OwnAnswer,
        persistence: Persistence,
    ) -> After {
        self.worker.shared.traffic.own_answer(answer.status());
        let persistence = match scratch.request.version {
            // A client that asked for it is told by write_response; here closing is simpler.
            Version::Http10 => Persistence::Close,
            Version::Http11 | Version::Http2 => persistence,
        };
        let method = match answer {
            // The head may be that of the request before.
            OwnAnswer::Refused(_) => Method::Get,
            _ => scratch.request.method,
        };
        scratch.response_out.clear();
        answer.write(
            method,
            persistence,
            &scratch.answer_lines,
            &scratch.answer_body,
            &mut scratch.response_out,
        );
        match (self.write_all(&scratch.response_out).await, persistence) {
            (true, Persistence::KeepAlive) => After::KeepAlive,
            (true, Persistence::Close) => After::Close,
            (false, _) => After::Reset,
        }
    }

    /// Writes all of `bytes`; false when the client does not take them.
    pub(crate) async fn write_all(&mut self, bytes: &[u8]) -> bool {
        let limit = self.worker.table().settings().timeouts.body_idle;
        let deadline = self.worker.now() + limit;
        let mut written = 0;
        poll_fn(|context| {
            while written < bytes.len() {
                let stream = Pin::new(&mut self.stream);
                match stream.poll_write(context, &bytes[written..]) {
                    Poll::Ready(Ok(count @ 1..)) => written += count,
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(false),
                    Poll::Pending if self.expired(deadline, context) => return Poll::Ready(false),
                    Poll::Pending => return Poll::Pending,
                }
            }
            match Pin::new(&mut self.stream).poll_flush(context) {
                Poll::Ready(flushed) => Poll::Ready(flushed.is_ok()),
                Poll::Pending if self.expired(deadline, context) => Poll::Ready(false),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Whether the client has left while it is waited for something else. `ahead` remembers that it
    /// has sent more, behind which its end cannot be seen.
    pub(crate) fn has_left(&mut self, context: &mut Context<'_>, ahead: &mut bool) -> bool {
        if *ahead {
            return false;
        }
        match self.stream.poll_peek(context) {
            Poll::Pending => false,
            Poll::Ready(true) => {
                *ahead = true;
                false
            }
            Poll::Ready(false) => true,
        }
    }

    /// Ends the connection; over TLS the client is told (RFC 8446 6.1), so that it knows that nothing is missing.
    pub(super) async fn end(mut self) {
        if let ClientStream::Tls(_) = self.stream {
            let deadline = self.worker.now() + LINGER;
            poll_fn(|context| {
                let shut = Pin::new(&mut self.stream).poll_shutdown(context);
                match shut.is_ready() || self.expired(deadline, context) {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            })
            .await;
        }
    }

    /// Ends the connection in a way that lets the client read the answer although it is still sending.
    pub(super) async fn linger(mut self) {
        let shut = poll_fn(|context| Pin::new(&mut self.stream).poll_shutdown(context)).await;
        if shut.is_err() {
            return;
        }
        let deadline = self.worker.now() + LINGER;
        let mut buffer = self.worker.scratch.take_buffer();
        let mut left = LINGER_BYTES;
        poll_fn(|context| {
            loop {
                buffer.clear();
                match buffer.poll_fill(&mut self.stream, context) {
                    Poll::Ready(Ok(count @ 1..)) if count < left => left -= count,
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending if self.expired(deadline, context) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await;
        self.worker.scratch.give_buffer(buffer);
    }

    /// Resets the connection.
    pub(super) fn reset(self) {
        self.stream.reset_on_close();
    }
}
