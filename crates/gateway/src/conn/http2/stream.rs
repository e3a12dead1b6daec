//! One stream as the rest of the gateway sees a client: a body to read, an answer in HTTP/1.1 to write.
//!
//! The answer comes as bytes, because that is what endpoints send and what the gateway itself answers: a head, which is
//! always written in one piece, then the body without any framing. Both become frames here.

use super::{request, response};
use crate::h1::{Asked, ResponseFraming, ResponseHead};
use bytes::{Buf, Bytes};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::HeaderMap;
use std::io;
use std::task::{Context, Poll, ready};
use tokio::io::ReadBuf;

/// A request and the way for its answer. Dropped before the answer is complete, it is reset (CANCEL); dropped before
/// the request is, the client is told to stop (NO_ERROR, RFC 9113 8.1).
#[derive(Debug)]
pub(crate) struct Stream {
    scheme: &'static str,
    asked: Asked,
    body: RecvStream,
    /// What has come of the body and was not taken yet.
    piece: Bytes,
    request_trailers: Option<HeaderMap>,
    answer: Answer,
    trailers: HeaderMap,
    /// The client has reset the stream, or has broken it.
    left: bool,
    /// Reading has failed, and must not be taken for an end later.
    failed: bool,
}

/// How far the answer is.
#[derive(Debug)]
enum Answer {
    /// Its head, or that of a 1xx answer, comes next.
    Head(SendResponse<Bytes>),
    /// Its body comes; so many bytes, if that is known.
    Body {
        send: SendStream<Bytes>,
        left: Option<u64>,
    },
    /// It is complete.
    Ended,
}

impl Stream {
    pub(super) fn new(
        scheme: &'static str,
        asked: Asked,
        body: RecvStream,
        respond: SendResponse<Bytes>,
    ) -> Self {
        Self {
            scheme,
            asked,
            body,
            piece: Bytes::new(),
            request_trailers: None,
            answer: Answer::Head(respond),
            trailers: HeaderMap::new(),
            left: false,
            failed: false,
        }
    }

    /// That of the connection: what a client says in `:scheme` is worth nothing.
    pub(crate) fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// Whether the client has given it up, or has broken it.
    pub(super) fn was_left(&self) -> bool {
        self.left
    }

    /// Whether the request has no body, as its head says.
    pub(super) fn is_bodiless(&self) -> bool {
        self.body.is_end_stream()
    }

    /// See [`crate::conn::ClientStream::take_trailers`].
    pub(crate) fn take_trailers(&mut self) -> Vec<u8> {
        match self.request_trailers.take() {
            Some(trailers) => request::trailers(&trailers),
            None => Vec::new(),
        }
    }

    /// See [`crate::conn::ClientStream::set_trailers`].
    pub(crate) fn set_trailers(&mut self, lines: &[u8]) {
        self.trailers = response::trailers(lines);
    }

    /// Ready when the client has given the stream up, or its connection has ended.
    pub(crate) fn poll_left(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let reset = match &mut self.answer {
            Answer::Head(respond) => respond.poll_reset(context),
            Answer::Body { send, .. } => send.poll_reset(context),
            Answer::Ended => return Poll::Pending,
        };
        // An error is one of the whole connection.
        self.left |= matches!(reset, Poll::Ready(Ok(_)));
        reset.map(drop)
    }

    /// Ready when there is something of the body, with true, or when there will be nothing, with false.
    pub(crate) fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        match ready!(self.poll_piece(context)) {
            Ok(()) => Poll::Ready(!self.piece.is_empty()),
            Err(_) => Poll::Ready(false),
        }
    }

    /// Reads from the body; nothing at its end.
    ///
    /// # Errors
    /// The stream was reset or its connection has ended.
    pub(crate) fn poll_body(
        &mut self,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_piece(context))?;
        let count = self.piece.len().min(room.remaining());
        room.put_slice(&self.piece[..count]);
        self.piece.advance(count);
        // Taken on by the gateway, so the client may send as much again. A stream that is gone has no window.
        let _ = self.body.flow_control().release_capacity(count);
        Poll::Ready(Ok(()))
    }

    /// Waits until there is a piece of the body, or, when there is none after that, its end.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.failed {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        while self.piece.is_empty() {
            match ready!(self.body.poll_data(context)) {
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(error)) => return Poll::Ready(Err(self.broken(&error))),
                None => {
                    return match ready!(self.body.poll_trailers(context)) {
                        Ok(Some(trailers)) => {
                            self.request_trailers = Some(trailers);
                            Poll::Ready(Ok(()))
                        }
                        Ok(None) => Poll::Ready(Ok(())),
                        Err(error) => Poll::Ready(Err(self.broken(&error))),
                    };
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Takes bytes of the answer: a whole head, or as much of the body as the client's window has room for.
    ///
    /// # Errors
    /// The stream was reset, its connection has ended, or there is no head.
    pub(crate) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let (send, left) = match &mut self.answer {
            Answer::Head(_) => return Poll::Ready(self.write_head(bytes)),
            // An answer to HEAD may be written as if it were to GET.
            Answer::Ended => return Poll::Ready(Ok(bytes.len())),
            Answer::Body { send, left } => (send, left),
        };
        let most = left.map_or(usize::MAX, |left| {
            usize::try_from(left).unwrap_or(usize::MAX)
        });
        let bytes = &bytes[..bytes.len().min(most)];
        send.reserve_capacity(bytes.len());
        while send.capacity() == 0 && !bytes.is_empty() {
            match ready!(send.poll_capacity(context)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(self.broken(&error))),
                None => {
                    self.left = true;
                    return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
                }
            }
        }
        let count = send.capacity().min(bytes.len());
        let ended = match left {
            Some(left) => {
                *left -= count as u64;
                *left == 0
            }
            None => false,
        };
        let piece = Bytes::copy_from_slice(&bytes[..count]);
        if let Err(error) = send.send_data(piece, ended) {
            return Poll::Ready(Err(self.broken(&error)));
        }
        if ended {
            self.answer = Answer::Ended;
        }
        Poll::Ready(Ok(count))
    }

    fn write_head(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Answer::Head(respond) = &mut self.answer else {
            return Ok(0);
        };
        let mut head = ResponseHead::default();
        let invalid = || io::Error::from(io::ErrorKind::InvalidData);
        match head.parse(bytes, self.asked) {
            Ok(true) => {}
            Ok(false) | Err(_) => {
                debug_assert!(false, "heads are written whole and clean");
                return Err(invalid());
            }
        }
        let response = response::read(&head, bytes).map_err(|_| invalid())?;
        if head.is_interim() {
            if let Err(error) = respond.send_informational(response) {
                return Err(self.broken(&error));
            }
            return Ok(head.length);
        }
        let left = match head.framing {
            ResponseFraming::None => Some(0),
            ResponseFraming::Length(length) => Some(length),
            ResponseFraming::Chunked | ResponseFraming::UntilClose => None,
        };
        match respond.send_response(response, left == Some(0)) {
            Ok(_) if left == Some(0) => self.answer = Answer::Ended,
            Ok(send) => self.answer = Answer::Body { send, left },
            Err(error) => return Err(self.broken(&error)),
        }
        Ok(head.length)
    }

    /// Ends the answer where it is, with its trailers.
    ///
    /// # Errors
    /// There was none, it is shorter than it said, or the stream is gone; then it is reset.
    pub(crate) fn end_output(&mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.answer, Answer::Ended) {
            Answer::Ended => Ok(()),
            Answer::Body {
                mut send,
                left: None,
            } => {
                let trailers = std::mem::take(&mut self.trailers);
                let sent = match trailers.is_empty() {
                    true => send.send_data(Bytes::new(), true),
                    false => send.send_trailers(trailers),
                };
                sent.map_err(|error| self.broken(&error))
            }
            Answer::Body { mut send, .. } => {
                send.send_reset(Reason::INTERNAL_ERROR);
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            Answer::Head(mut respond) => {
                respond.send_reset(Reason::INTERNAL_ERROR);
                Err(io::ErrorKind::UnexpectedEof.into())
            }
        }
    }

    /// Resets the stream, so that the client does not take a part of an answer for the whole.
    pub(super) fn reset(&mut self) {
        match &mut self.answer {
            Answer::Head(respond) => respond.send_reset(Reason::INTERNAL_ERROR),
            Answer::Body { send, .. } => send.send_reset(Reason::INTERNAL_ERROR),
            Answer::Ended => {}
        }
    }

    fn broken(&mut self, error: &h2::Error) -> io::Error {
        self.left |= error.is_reset();
        self.failed = true;
        io::ErrorKind::ConnectionReset.into()
    }
}
