//! The socket as the protocol sees it.

use crate::conn::ClientStream;
use crate::worker::Worker;
use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tidegate_runtime::Tick;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A client's bytes, with those that were read before it was known what they are, and an eye on whether the client
/// takes any.
pub(super) struct Transport<'a> {
    stream: &'a mut ClientStream,
    /// What was read already; empty soon.
    begun: Vec<u8>,
    worker: &'a Worker,
    /// Since when the client takes nothing.
    stuck: &'a Cell<Option<Tick>>,
}

impl<'a> Transport<'a> {
    pub(super) fn new(
        stream: &'a mut ClientStream,
        begun: Vec<u8>,
        worker: &'a Worker,
        stuck: &'a Cell<Option<Tick>>,
    ) -> Self {
        Self {
            stream,
            begun,
            worker,
            stuck,
        }
    }

    fn note<T>(&self, wrote: Poll<T>) -> Poll<T> {
        match (&wrote, self.stuck.get()) {
            (Poll::Ready(_), Some(_)) => self.stuck.set(None),
            (Poll::Pending, None) => self.stuck.set(Some(self.worker.now())),
            (Poll::Ready(_), None) | (Poll::Pending, Some(_)) => {}
        }
        wrote
    }
}

impl AsyncRead for Transport<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.begun.is_empty() {
            return Pin::new(&mut *this.stream).poll_read(context, room);
        }
        let count = this.begun.len().min(room.remaining());
        room.put_slice(&this.begun[..count]);
        this.begun.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Transport<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = Pin::new(&mut *this.stream).poll_write(context, bytes);
        this.note(wrote)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = Pin::new(&mut *this.stream).poll_write_vectored(context, slices);
        this.note(wrote)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut *this.stream).poll_flush(context);
        this.note(flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().stream).poll_shutdown(context)
    }
}
