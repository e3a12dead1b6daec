//! One attempt on a shared connection: HTTP/1.1 is written to it and read from it.

use super::link::Link;
use super::message::{self, Ended, Framing};
use crate::h1::{BodyDecoder, BodyEncoder, RequestHead};
use bytes::{Buf, Bytes};
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};
use http::Method;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tidegate_runtime::Tick;
use tokio::io::ReadBuf;

/// A request and its answer. Dropped before the end of either, the stream is reset (CANCEL).
#[derive(Debug)]
pub(crate) struct Stream {
    link: Rc<Link>,
    begun: Tick,
    method: Method,
    sending: Sending,
    receiving: Receiving,
    /// What is to be read before anything else.
    out: Vec<u8>,
    /// A piece of the answer's body, behind that.
    piece: Bytes,
    unprocessed: bool,
}

#[derive(Debug)]
enum Sending {
    /// The head comes next, in one piece.
    Head,
    /// The body comes, in the framing of HTTP/1.1.
    Body {
        send: SendStream<Bytes>,
        decoder: BodyDecoder,
    },
    Done,
}

#[derive(Debug)]
enum Receiving {
    /// The request was not sent yet.
    Nothing,
    Head(ResponseFuture),
    Body {
        body: RecvStream,
        framing: Framing,
    },
    Done,
}

impl Stream {
    /// Joins the connection.
    pub(super) fn new(link: Rc<Link>) -> Self {
        link.begin();
        Self {
            begun: link.now(),
            link,
            method: Method::GET,
            sending: Sending::Head,
            receiving: Receiving::Nothing,
            out: Vec::new(),
            piece: Bytes::new(),
            unprocessed: false,
        }
    }

    /// Whether the connection is there already.
    pub(crate) fn is_connected(&self) -> bool {
        self.link.is_open()
    }

    /// Waits for the connection.
    pub(crate) fn poll_connected(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.link.poll_open(context)
    }

    /// Whether the endpoint has said that it did nothing with the request (RFC 9113 8.7).
    pub(crate) fn is_unprocessed(&self) -> bool {
        self.unprocessed
    }

    /// Takes bytes of the request: its head, which is written in one piece, or as much of the body as the endpoint's
    /// window has room for.
    ///
    /// # Errors
    /// The stream or the connection has ended.
    pub(crate) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let (send, decoder) = match &mut self.sending {
            Sending::Head => return self.poll_write_head(context, bytes),
            Sending::Done => return Poll::Ready(Ok(bytes.len())),
            Sending::Body { send, decoder } => (send, decoder),
        };
        send.reserve_capacity(bytes.len());
        while send.capacity() == 0 && !bytes.is_empty() {
            match ready!(send.poll_capacity(context)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(self.broken(&error))),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
        let count = send.capacity().min(bytes.len());
        // Without its framing it is shorter, so it fits.
        let mut piece = bytes[..count].to_vec();
        let invalid = || io::Error::from(io::ErrorKind::InvalidData);
        let decoded = decoder.decode(&mut piece).map_err(|_| invalid())?;
        piece.truncate(decoded.payload);
        let trailers = message::trailers(decoder.trailers());
        let ended = decoded.done && trailers.is_empty();
        let mut sent = Ok(());
        if ended || !piece.is_empty() {
            sent = send.send_data(piece.into(), ended);
        }
        if decoded.done && !trailers.is_empty() {
            sent = sent.and_then(|()| send.send_trailers(trailers));
        }
        if let Err(error) = sent {
            return Poll::Ready(Err(self.broken(&error)));
        }
        if decoded.done {
            self.sending = Sending::Done;
        }
        Poll::Ready(Ok(count))
    }

    fn poll_write_head(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(mut send) = self.link.sender() else {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        };
        if let Err(error) = ready!(send.poll_ready(context)) {
            return Poll::Ready(Err(self.broken(&error)));
        }
        let mut head = RequestHead::default();
        let invalid = || io::Error::from(io::ErrorKind::InvalidData);
        match head.parse(bytes) {
            Ok(true) => {}
            Ok(false) | Err(_) => {
                debug_assert!(false, "heads are written whole and clean");
                return Poll::Ready(Err(invalid()));
            }
        }
        let request = message::request(&head, bytes, self.link.scheme()).map_err(|_| invalid())?;
        self.method = request.method().clone();
        let ended = !head.has_body();
        match send.send_request(request, ended) {
            Ok((answer, send)) => {
                self.receiving = Receiving::Head(answer);
                self.sending = match ended {
                    true => Sending::Done,
                    false => Sending::Body {
                        send,
                        decoder: BodyDecoder::request(head.framing),
                    },
                };
                Poll::Ready(Ok(head.length))
            }
            Err(error) => Poll::Ready(Err(self.broken(&error))),
        }
    }

    /// Reads the answer; nothing at its end.
    ///
    /// # Errors
    /// The stream or the connection has ended early.
    pub(crate) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.out.is_empty() && self.piece.is_empty() {
            if let Receiving::Done = self.receiving {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_receive(context))?;
        }
        let count = self.out.len().min(room.remaining());
        room.put_slice(&self.out[..count]);
        self.out.drain(..count);
        if self.out.is_empty() && !self.piece.is_empty() {
            self.take_piece(room);
        }
        Poll::Ready(Ok(()))
    }

    fn take_piece(&mut self, room: &mut ReadBuf<'_>) {
        let count = self.piece.len().min(room.remaining());
        room.put_slice(&self.piece[..count]);
        self.piece.advance(count);
        if let Receiving::Body { body, framing } = &mut self.receiving {
            // Taken on, so the endpoint may send as much again. A stream that is gone has no window.
            let _ = body.flow_control().release_capacity(count);
            if self.piece.is_empty() && *framing == Framing::Chunked {
                self.out.extend_from_slice(b"\r\n");
            }
        }
    }

    /// Waits for the next part of the answer, which then stands in `out` and `piece`, or for its end.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.receiving {
            // The write wakes.
            Receiving::Nothing => Poll::Pending,
            Receiving::Head(answer) => {
                if let Poll::Ready(Some(interim)) = answer.poll_informational(context) {
                    match interim {
                        Ok(interim) => {
                            message::write_head(&interim, Ended::No, &self.method, &mut self.out);
                            return Poll::Ready(Ok(()));
                        }
                        Err(error) => return Poll::Ready(Err(self.broken(&error))),
                    }
                }
                match ready!(Pin::new(answer).poll(context)) {
                    Ok(answer) => {
                        let (parts, body) = answer.into_parts();
                        let ended = match body.is_end_stream() {
                            true => Ended::Yes,
                            false => Ended::No,
                        };
                        let answer = http::Response::from_parts(parts, ());
                        let framing =
                            message::write_head(&answer, ended, &self.method, &mut self.out);
                        self.receiving = Receiving::Body { body, framing };
                        Poll::Ready(Ok(()))
                    }
                    Err(error) => Poll::Ready(Err(self.broken(&error))),
                }
            }
            Receiving::Body { body, framing } => {
                let framing = *framing;
                let error = match ready!(body.poll_data(context)) {
                    Some(Ok(piece)) => {
                        if framing == Framing::Chunked {
                            BodyEncoder::Chunked.before(piece.len(), &mut self.out);
                        }
                        self.piece = piece;
                        return Poll::Ready(Ok(()));
                    }
                    Some(Err(error)) => error,
                    None => match ready!(body.poll_trailers(context)) {
                        Ok(trailers) => {
                            if framing == Framing::Chunked {
                                let mut lines = Vec::new();
                                message::write_lines(&trailers.unwrap_or_default(), &mut lines);
                                self.out
                                    .extend_from_slice(&BodyEncoder::Chunked.end(&lines));
                            }
                            self.receiving = Receiving::Done;
                            return Poll::Ready(Ok(()));
                        }
                        Err(error) => error,
                    },
                };
                Poll::Ready(Err(self.broken(&error)))
            }
            Receiving::Done => Poll::Ready(Ok(())),
        }
    }

    fn broken(&mut self, error: &h2::Error) -> io::Error {
        let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
        // Told of to those streams only that are numbered above the last one that was served.
        self.unprocessed |= error.is_remote() && (refused || error.is_go_away());
        io::ErrorKind::ConnectionReset.into()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let unheard = matches!(self.receiving, Receiving::Nothing | Receiving::Head(_));
        self.link.end(self.begun, unheard);
    }
}
