//! Byte buffers that are lent out only while there is data in them.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};

/// Enough for all but the largest heads and for good throughput of bodies; small enough that ten
/// thousand slow readers cost 320 MiB, not more.
pub(crate) const BUFFER_LEN: usize = 32 * 1024;

/// A buffer with data in its middle: `start..end` of initialised bytes.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    pub(crate) fn new() -> Self {
        Self {
            bytes: vec![0; BUFFER_LEN],
            start: 0,
            end: 0,
        }
    }

    pub(crate) fn data(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub(crate) fn data_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    /// Drops the first `count` bytes of the data.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.end);
        if self.start >= self.end {
            self.clear();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }

    /// Whether it has grown for a large head and should not be lent out again.
    pub(crate) fn is_oversized(&self) -> bool {
        self.bytes.len() > BUFFER_LEN
    }

    /// Makes room behind the data: by moving it to the front, or by growing up to `limit` bytes.
    /// False when it is full at that size.
    pub(crate) fn make_room(&mut self, limit: usize) -> bool {
        if self.end < self.bytes.len() {
            return true;
        }
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            return true;
        }
        if self.bytes.len() >= limit {
            return false;
        }
        let larger = (self.bytes.len() * 2).min(limit);
        self.bytes.resize(larger, 0);
        true
    }

    /// Puts `bytes` behind the data, however long they are.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        let end = self.end + bytes.len();
        if end > self.bytes.len() {
            self.bytes.resize(end, 0);
        }
        self.bytes[self.end..end].copy_from_slice(bytes);
        self.end = end;
    }

    /// Reads once from `stream` behind the data; there must be room. Zero bytes: the peer has closed.
    pub(crate) fn poll_fill(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<usize>> {
        let mut room = ReadBuf::new(&mut self.bytes[self.end..]);
        debug_assert!(room.remaining() > 0);
        ready!(Pin::new(stream).poll_read(context, &mut room))?;
        let count = room.filled().len();
        self.end += count;
        Poll::Ready(Ok(count))
    }
}
