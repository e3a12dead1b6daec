//! The answer's body on its way from the endpoint to the client.

use super::outgoing::poll_write_piece;
use crate::conn::ClientStream;
use crate::h1::{BodyDecoder, BodyEncoder, ResponseFraming};
use crate::upstream::EndpointStream;
use crate::worker::{BUFFER_LEN, Buffer};
use std::task::{Context, Poll, ready};

/// An answer, taken out of the endpoint's framing and put into the client's piece by piece. One piece
/// at a time: nothing is read from the endpoint before the client has taken the last.
#[derive(Debug)]
pub(crate) struct Download {
    /// The endpoint's connection.
    pub(crate) stream: EndpointStream,
    /// Bytes from the endpoint.
    pub(crate) buffer: Buffer,
    decoder: BodyDecoder,
    encoder: BodyEncoder,
    after: &'static [u8],
    payload: usize,
    consumed: usize,
    written: usize,
    /// The client's stream has not let go of everything yet.
    unflushed: bool,
    /// Payload bytes seen so far.
    pub(crate) bytes: u64,
    /// So many may be seen; a route's pace raises it.
    pub(crate) allowed: u64,
}

/// Why a download ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DownloadFailure {
    /// The client has gone or takes nothing.
    Client,
    /// The endpoint closed before the end, or broke its framing.
    Endpoint,
}

/// A payload up to this size is copied behind the head and sent with one plain write, which is cheaper
/// than a vector of two up to about a page.
const COPY_MAX: usize = 4096;

impl Download {
    /// Takes over after the head, which stands in `out` for the client; `buffer` holds what came
    /// behind it. At least one byte must be allowed.
    ///
    /// # Errors
    /// The start of the body breaks its framing; nothing has been sent.
    pub(crate) fn begin(
        stream: EndpointStream,
        buffer: Buffer,
        framing: ResponseFraming,
        encoder: BodyEncoder,
        allowed: u64,
        out: &mut Vec<u8>,
    ) -> Result<Self, Buffer> {
        let mut download = Self {
            stream,
            buffer,
            decoder: BodyDecoder::response(framing),
            encoder,
            after: b"",
            payload: 0,
            consumed: 0,
            written: 0,
            unflushed: false,
            bytes: 0,
            allowed,
        };
        match download.take_piece(out) {
            Ok(()) => {}
            Err(DownloadFailure::Client | DownloadFailure::Endpoint) => return Err(download.buffer),
        }
        if download.payload <= COPY_MAX {
            out.extend_from_slice(&download.buffer.data()[..download.payload]);
            out.extend_from_slice(download.after);
            download.buffer.consume(download.consumed);
            download.payload = 0;
            download.consumed = 0;
            download.after = b"";
        }
        Ok(download)
    }

    /// Whether the endpoint's connection may carry another request: the answer was read to its end and
    /// nothing came behind it.
    pub(crate) fn is_clean(&self) -> bool {
        self.decoder.is_done() && self.buffer.is_empty()
    }

    /// The trailers of the answer, as lines that end in CRLF.
    pub(crate) fn trailers(&self) -> &[u8] {
        self.decoder.trailers()
    }

    /// Whether it goes on only when more is allowed.
    pub(crate) fn is_held(&self, out: &[u8]) -> bool {
        self.bytes >= self.allowed && !self.decoder.is_done() && !self.waits_for_client(out)
    }

    /// Whether bytes for the client are waiting to be taken by it.
    pub(crate) fn waits_for_client(&self, out: &[u8]) -> bool {
        self.unflushed || self.written < out.len() + self.payload + self.after.len()
    }

    /// Goes on as far as it can; ready when the client has been sent everything. `out` holds what must
    /// be written before the payload.
    pub(crate) fn poll(
        &mut self,
        context: &mut Context<'_>,
        client: &mut ClientStream,
        out: &mut Vec<u8>,
        progress: &mut usize,
    ) -> Poll<Result<(), DownloadFailure>> {
        loop {
            if self.waits_for_client(out) {
                let parts = [&out[..], &self.buffer.data()[..self.payload], self.after];
                let before = self.written;
                let wrote = poll_write_piece(client, context, parts, &mut self.written);
                *progress += self.written - before;
                self.unflushed = wrote.is_pending();
                ready!(wrote).map_err(|_| DownloadFailure::Client)?;
                self.buffer.consume(self.consumed);
            }
            out.clear();
            self.written = 0;
            self.payload = 0;
            self.consumed = 0;
            self.after = b"";
            if self.decoder.is_done() {
                return Poll::Ready(Ok(()));
            }
            if self.bytes >= self.allowed {
                // Whoever allows more comes back by itself.
                return Poll::Pending;
            }
            if self.buffer.is_empty() {
                self.buffer.make_room(BUFFER_LEN);
                let read = ready!(self.buffer.poll_fill(&mut self.stream, context));
                let count = read.map_err(|_| DownloadFailure::Endpoint)?;
                *progress += count;
                if count == 0 {
                    if !self.decoder.may_end_here() {
                        return Poll::Ready(Err(DownloadFailure::Endpoint));
                    }
                    self.decoder = BodyDecoder::Done;
                    self.after = self.encoder.after(0, true);
                    continue;
                }
            }
            self.take_piece(out)?;
        }
    }

    /// Takes the next piece out of what was received.
    fn take_piece(&mut self, out: &mut Vec<u8>) -> Result<(), DownloadFailure> {
        let data = self.buffer.data_mut();
        let room = usize::try_from(self.allowed - self.bytes).unwrap_or(usize::MAX);
        let room = room.min(data.len());
        let decoded = self
            .decoder
            .decode(&mut data[..room])
            .map_err(|_| DownloadFailure::Endpoint)?;
        self.encoder.before(decoded.payload, out);
        self.payload = decoded.payload;
        self.consumed = decoded.consumed;
        // An answer without a body needs no end.
        let ended = decoded.done && (decoded.consumed > 0 || self.encoder == BodyEncoder::Plain);
        self.after = self.encoder.after(decoded.payload, ended);
        self.bytes += decoded.payload as u64;
        if decoded.payload == 0 && !decoded.done {
            self.buffer.consume(decoded.consumed);
            self.consumed = 0;
        }
        Ok(())
    }
}
