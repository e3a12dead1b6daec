//! What an attempt sends to and reads from: a connection of its own, or a stream of a shared one.

use super::http2::Stream as Http2Stream;
use super::{TlsConnection, poll_connected};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Bytes of HTTP/1.1 to and from an endpoint, whatever it speaks.
#[derive(Debug)]
pub(crate) enum EndpointStream {
    Plain(TcpStream),
    Tls(Box<TlsConnection>),
    Http2(Box<Http2Stream>),
}

impl EndpointStream {
    /// Waits for the connection to be there.
    pub(crate) fn poll_connected(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => poll_connected(stream, context),
            Self::Tls(stream) => stream.poll_connected(context),
            Self::Http2(stream) => stream.poll_connected(context),
        }
    }

    /// Ready when there may be bytes to read, with true, or when there will be none, with false.
    pub(crate) fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        match self {
            Self::Plain(stream) => stream.poll_read_ready(context).map(|ready| ready.is_ok()),
            Self::Tls(stream) => stream.poll_readable(context),
            // Reading tells.
            Self::Http2(_) => Poll::Ready(true),
        }
    }

    /// Whether the endpoint has said that it did nothing with what was sent (RFC 9113 8.7).
    pub(crate) fn is_unprocessed(&self) -> bool {
        match self {
            Self::Plain(_) | Self::Tls(_) => false,
            Self::Http2(stream) => stream.is_unprocessed(),
        }
    }
}

impl AsyncRead for EndpointStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, room),
            Self::Tls(stream) => {
                let stream = stream.stream()?;
                // Its own poll_read asks the socket once more when it has something already.
                let bytes = ready!(Pin::new(&mut *stream).poll_fill_buf(context))?;
                let count = bytes.len().min(room.remaining());
                room.put_slice(&bytes[..count]);
                Pin::new(stream).consume(count);
                Poll::Ready(Ok(()))
            }
            Self::Http2(stream) => stream.poll_read(context, room),
        }
    }
}

impl AsyncWrite for EndpointStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream.stream()?).poll_write(context, bytes),
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
            Self::Tls(stream) => Pin::new(stream.stream()?).poll_write_vectored(context, slices),
            Self::Http2(stream) => {
                let first = slices.iter().find(|slice| !slice.is_empty());
                stream.poll_write(context, first.map_or(&[], |slice| slice))
            }
        }
    }

    /// TLS keeps what the socket did not take at once; it is gone to the socket when this is ready.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            // The kernel, or the shared connection, sends what it has taken.
            Self::Plain(_) | Self::Http2(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(stream.stream()?).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream.stream()?).poll_shutdown(context),
            // The end of the request was told with its body.
            Self::Http2(_) => Poll::Ready(Ok(())),
        }
    }
}
