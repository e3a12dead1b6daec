//! What a client's bytes come from: a socket, with or without TLS, or a stream of HTTP/2.

use super::http2::Stream as Http2Stream;
use socket2::SockRef;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// Bytes from and to a client.
#[derive(Debug)]
pub(crate) enum ClientStream {
    Plain(TcpStream),
    /// The handshake is done.
    Tls(Box<TlsStream<TcpStream>>),
    /// One request of a connection of HTTP/2: its body can be read, an answer in HTTP/1.1 can be written.
    Http2(Box<Http2Stream>),
}

impl ClientStream {
    /// The scheme of its requests (RFC 9110 4.2).
    pub(crate) fn scheme(&self) -> &'static str {
        match self {
            Self::Plain(_) => "http",
            Self::Tls(_) => "https",
            Self::Http2(stream) => stream.scheme(),
        }
    }

    /// Whether HTTP/2 was agreed on in the handshake (RFC 9113 3.2).
    pub(super) fn agreed_http2(&self) -> bool {
        match self {
            Self::Plain(_) | Self::Http2(_) => false,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }

    /// The trailers of the request whose body was read to its end, as lines that end in CRLF. Those of HTTP/1.1
    /// are dropped.
    pub(crate) fn take_trailers(&mut self) -> Vec<u8> {
        match self {
            Self::Plain(_) | Self::Tls(_) => Vec::new(),
            Self::Http2(stream) => stream.take_trailers(),
        }
    }

    /// What is to be sent behind the answer's body: `trailers` are lines that end in CRLF. A client of HTTP/1.1
    /// has not said that it wants them and gets none (RFC 9110 6.5.1).
    pub(crate) fn set_trailers(&mut self, trailers: &[u8]) {
        match self {
            Self::Plain(_) | Self::Tls(_) => {}
            Self::Http2(stream) => stream.set_trailers(trailers),
        }
    }

    /// Ready when there are bytes to read, and when there will be none: then false.
    pub(crate) fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        match self {
            Self::Plain(stream) => stream.poll_read_ready(context).map(|ready| ready.is_ok()),
            Self::Tls(stream) => poll_plaintext(stream, context),
            Self::Http2(stream) => stream.poll_readable(context),
        }
    }

    /// Ready when the client has sent more, which stays to be read: true. Or when it has ended: false.
    pub(crate) fn poll_peek(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        match self {
            Self::Plain(stream) => {
                let mut byte = [0];
                let peeked = stream.poll_peek(context, &mut ReadBuf::new(&mut byte));
                peeked.map(|count| matches!(count, Ok(1..)))
            }
            Self::Tls(stream) => poll_plaintext(stream, context),
            // Its end can be seen without reading what comes before it.
            Self::Http2(stream) => stream.poll_left(context).map(|()| false),
        }
    }

    /// Makes closing it a reset.
    pub(crate) fn reset_on_close(&self) {
        let stream = match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
            // It is reset by itself when it is dropped before its end.
            Self::Http2(_) => return,
        };
        // If it fails, the client sees an ordinary end, and a length that does not fit.
        let _ = SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
    }
}

/// Whether there is something to read, without reading it.
fn poll_plaintext(stream: &mut TlsStream<TcpStream>, context: &mut Context<'_>) -> Poll<bool> {
    let buffered = Pin::new(stream).poll_fill_buf(context);
    buffered.map(|bytes| matches!(bytes, Ok([_, ..])))
}

impl AsyncRead for ClientStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, room),
            Self::Tls(stream) => {
                // Its own poll_read asks the socket once more when it has something already.
                let bytes = ready!(Pin::new(&mut **stream).poll_fill_buf(context))?;
                let count = bytes.len().min(room.remaining());
                room.put_slice(&bytes[..count]);
                Pin::new(stream).consume(count);
                Poll::Ready(Ok(()))
            }
            Self::Http2(stream) => stream.poll_body(context, room),
        }
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Http2(stream) => stream.poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Http2(stream) => {
                let first = slices.iter().find(|slice| !slice.is_empty());
                stream.poll_write(context, first.map_or(&[], |slice| slice))
            }
        }
    }

    /// TLS keeps what the socket did not take at once; it is gone to the socket when this is ready.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            // HTTP/2 takes no more than it may send.
            Self::Plain(_) | Self::Http2(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Http2(stream) => Poll::Ready(stream.end_output()),
        }
    }
}
