//! A piece of a message on its way out: framing before, payload, framing behind, written as one.

use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// Writes `before`, `payload` and `after` to `stream`, continuing at `written`, which counts what the stream has
/// taken. Ready when everything has left.
pub(crate) fn poll_write_piece(
    stream: &mut (impl AsyncWrite + Unpin),
    context: &mut Context<'_>,
    parts: [&[u8]; 3],
    written: &mut usize,
) -> Poll<std::io::Result<()>> {
    let total: usize = parts.iter().map(|part| part.len()).sum();
    while *written < total {
        let mut skip = *written;
        let mut slices = [IoSlice::new(&[]); 3];
        let mut count = 0;
        for part in parts {
            if skip < part.len() {
                slices[count] = IoSlice::new(&part[skip..]);
                count += 1;
                skip = 0;
            } else {
                skip -= part.len();
            }
        }
        let stream = Pin::new(&mut *stream);
        let done = if count == 1 {
            ready!(stream.poll_write(context, &slices[0]))?
        } else {
            ready!(stream.poll_write_vectored(context, &slices[..count]))?
        };
        if done == 0 {
            return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
        }
        *written += done;
    }
    Pin::new(stream).poll_flush(context)
}
