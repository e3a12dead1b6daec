//! One attempt to get an answer: connect, send, wait for the head of the answer.

use super::outgoing::poll_write_piece;
use crate::choose::Pick;
use crate::h1::{Asked, BadResponse, ResponseHead};
use crate::upstream::{EndpointStream, Peer, TlsConnection, start_connect};
use crate::worker::{Buffer, Worker, is_exhaustion};
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tidegate_model::Protocol;
use tidegate_runtime::Tick;

/// An attempt under way. Dropping it closes its connection.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// The endpoint, and the account of this attempt with it.
    pub(crate) pick: Pick,
    /// The connection.
    pub(crate) stream: EndpointStream,
    /// What the endpoint has sent so far; `None` while that is nothing.
    pub(crate) received: Option<Buffer>,
    /// Bytes of the request that the kernel has taken.
    pub(crate) written: usize,
    /// The connection was used before.
    pub(crate) reused: bool,
    /// More of the body was sent on it than another attempt could send again.
    pub(crate) fed: bool,
    /// When it began.
    pub(crate) begun: Tick,
    /// When the connection must be there; after that, when the first byte of the answer should be.
    pub(crate) deadline: Tick,
    /// Another attempt was begun because of this one's silence.
    pub(crate) is_covered: bool,
    /// The first byte of the answer was not there in time.
    pub(crate) is_late: bool,
    state: State,
    /// The received bytes hold something that no head was looked for in yet.
    unread: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connecting,
    Sending,
    Waiting,
}

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// A whole head stands in `received`, read into the shared `ResponseHead`.
    Head,
    /// It failed.
    Failed(Failure),
}

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Refused, unreachable, or no descriptor for it.
    Connect,
    /// Closed or reset before the end of the answer's head.
    Closed,
    /// The answer breaks the protocol.
    Bad(BadResponse),
}

impl Failure {
    /// A closed set of words, for the log.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "cannot connect",
            Self::Closed => "closed",
            Self::Bad(bad) => bad.as_str(),
        }
    }
}

/// On which connection an attempt begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connection {
    /// A kept one, if there is one.
    Kept,
    /// A new one.
    New,
}

/// Why an attempt cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartError {
    /// We have no descriptor, port or memory for it.
    Exhausted,
    /// The endpoint refuses or is unreachable.
    Endpoint,
}

/// The parts of the request that an attempt needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sending<'a> {
    pub(crate) request: &'a [u8],
    pub(crate) asked: Asked,
    pub(crate) first_byte: Duration,
}

impl Attempt {
    /// Starts.
    ///
    /// # Errors
    /// The pick back, when the kernel refuses at once.
    pub(crate) fn start(
        worker: &Worker,
        pick: Pick,
        connection: Connection,
        connect: Duration,
    ) -> Result<Self, (Pick, StartError)> {
        let now = worker.now();
        let (stream, connected) = match open(worker, &pick, connection, connect) {
            Ok(opened) => opened,
            Err(error) => return Err((pick, start_error(&error))),
        };
        let (state, deadline) = match connected {
            true => (State::Sending, Tick::END),
            false => (State::Connecting, now + connect),
        };
        Ok(Self {
            pick,
            stream,
            received: None,
            written: 0,
            // The second time it is not the connection's fault.
            reused: connected && connection == Connection::Kept,
            fed: false,
            begun: now,
            deadline,
            is_covered: false,
            is_late: false,
            state,
            unread: false,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.pick.address()
    }

    pub(crate) fn is_connecting(&self) -> bool {
        self.state == State::Connecting
    }

    /// Whether the whole of the request as far as it is known has been sent.
    pub(crate) fn has_sent(&self) -> bool {
        self.state == State::Waiting
    }

    /// Whether the endpoint has done nothing with the request, so that any request may be sent to another.
    pub(crate) fn is_unprocessed(&self) -> bool {
        self.written == 0 || (self.stream.is_unprocessed() && !self.fed)
    }

    /// Drops a 1xx head of `length` bytes, to look for the next.
    pub(crate) fn skip_head(&mut self, length: usize) {
        if let Some(received) = &mut self.received {
            received.consume(length);
            self.unread = !received.is_empty();
        }
    }

    /// Goes on as far as it can.
    pub(crate) fn poll(
        &mut self,
        context: &mut Context<'_>,
        worker: &Worker,
        sending: Sending<'_>,
        response: &mut ResponseHead,
    ) -> Poll<Progress> {
        if self.state == State::Connecting {
            if ready!(self.stream.poll_connected(context)).is_err() {
                return Poll::Ready(Progress::Failed(Failure::Connect));
            }
            self.state = State::Sending;
            self.deadline = Tick::END;
        }
        if self.state == State::Sending {
            let parts = [sending.request, b"", b""];
            match poll_write_piece(&mut self.stream, context, parts, &mut self.written) {
                // An answer may come before the whole request is sent.
                Poll::Pending => {}
                Poll::Ready(Ok(())) => {
                    self.state = State::Waiting;
                    self.deadline = worker.now() + sending.first_byte;
                }
                Poll::Ready(Err(_)) if self.written == 0 => {
                    return Poll::Ready(Progress::Failed(Failure::Closed));
                }
                // An endpoint that refuses a body may have answered before it closed.
                Poll::Ready(Err(_)) => self.state = State::Waiting,
            }
        }
        self.poll_head(context, worker, sending.asked, response)
    }

    fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        worker: &Worker,
        asked: Asked,
        response: &mut ResponseHead,
    ) -> Poll<Progress> {
        loop {
            if let Some(received) = self.received.as_ref().filter(|_| self.unread) {
                self.unread = false;
                match response.parse(received.data(), asked) {
                    Ok(true) => return Poll::Ready(Progress::Head),
                    Ok(false) => {}
                    Err(bad) => return Poll::Ready(Progress::Failed(Failure::Bad(bad))),
                }
            }
            let mut buffer = match self.received.take() {
                Some(buffer) => buffer,
                None => worker.scratch.take_buffer(),
            };
            // A head that fills the largest buffer without an end was refused by the parser.
            buffer.make_room(crate::h1::HEAD_MAX);
            let filled = buffer.poll_fill(&mut self.stream, context);
            if buffer.is_empty() {
                worker.scratch.give_buffer(buffer);
            } else {
                self.received = Some(buffer);
            }
            match ready!(filled) {
                Ok(0) => return Poll::Ready(Progress::Failed(Failure::Closed)),
                Ok(_) => {
                    self.pick.byte_seen(worker.now());
                    self.unread = true;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Poll::Ready(Progress::Failed(Failure::Closed)),
            }
        }
    }
}

/// A stream to the endpoint, and whether it is connected already.
fn open(
    worker: &Worker,
    pick: &Pick,
    connection: Connection,
    connect: Duration,
) -> io::Result<(EndpointStream, bool)> {
    let address = pick.address();
    let security = pick.endpoint().security();
    let peer = Peer::new(address, security.as_deref());
    if pick.endpoint().protocol() == Protocol::Http2 {
        // One that has failed is not among them any more.
        let stream = worker.links.begin(peer, security, connect)?;
        let connected = stream.is_connected();
        return Ok((EndpointStream::Http2(Box::new(stream)), connected));
    }
    if connection == Connection::Kept
        && let Some(kept) = worker.pools.take(peer, worker.now())
    {
        return Ok((kept, true));
    }
    let socket = start_connect(address)?;
    let stream = match security {
        None => EndpointStream::Plain(socket),
        Some(security) => {
            let begun = TlsConnection::begin(socket, address, security)?;
            EndpointStream::Tls(Box::new(begun))
        }
    };
    Ok((stream, false))
}

fn start_error(error: &io::Error) -> StartError {
    // EADDRNOTAVAIL: every local port towards this address is in use.
    let no_port = error.kind() == io::ErrorKind::AddrNotAvailable;
    match no_port || is_exhaustion(error) {
        true => StartError::Exhausted,
        false => StartError::Endpoint,
    }
}
