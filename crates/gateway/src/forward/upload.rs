//! The request's body on its way from the client to the endpoint.

use super::outgoing::poll_write_piece;
use crate::conn::ClientStream;
use crate::h1::{BodyDecoder, BodyEncoder, Framing, HEAD_MAX, Refusal};
use crate::upstream::EndpointStream;
use crate::worker::Buffer;
use std::borrow::Cow;
use std::task::{Context, Poll, ready};

/// A request body, taken out of the client's framing and put into the backend's piece by piece. One
/// piece at a time: nothing is read from the client before the endpoint has taken the last.
#[derive(Debug)]
pub(crate) struct Upload {
    decoder: BodyDecoder,
    encoder: BodyEncoder,
    before: Vec<u8>,
    after: Cow<'static, [u8]>,
    payload: usize,
    consumed: usize,
    written: usize,
    /// Payload bytes seen so far.
    pub(crate) bytes: u64,
    /// More of them are refused.
    max: u64,
}

/// Why an upload ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UploadFailure {
    /// The client broke the framing.
    Refused(Refusal),
    /// The client has gone.
    Client,
    /// The endpoint takes no more; it may still answer.
    Endpoint,
}

impl Upload {
    pub(crate) fn new(framing: Framing, max: Option<u64>) -> Self {
        Self {
            decoder: BodyDecoder::request(framing),
            encoder: match framing {
                Framing::Chunked | Framing::UntilEnd => BodyEncoder::Chunked,
                Framing::None | Framing::Length(_) => BodyEncoder::Plain,
            },
            before: Vec::new(),
            after: Cow::Borrowed(b""),
            payload: 0,
            consumed: 0,
            written: 0,
            bytes: 0,
            max: max.unwrap_or(u64::MAX),
        }
    }

    /// Whether all of the body has been read and handed on.
    pub(crate) fn is_done(&self) -> bool {
        self.decoder.is_done() && self.consumed == 0 && self.after.is_empty()
    }

    /// Whether it is the client that the rest is waited for from.
    pub(crate) fn waits_for_client(&self) -> bool {
        self.consumed == 0 && self.after.is_empty()
    }

    /// Moves what `input` holds of the body behind the head in `out`, so that it is sent with it.
    ///
    /// # Errors
    /// The framing is broken; nothing has been sent.
    pub(crate) fn take_buffered(
        &mut self,
        input: &mut Buffer,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        if self.decoder.is_done() {
            return Ok(());
        }
        let decoded = self
            .decoder
            .decode(input.data_mut())
            .map_err(|_| Refusal::Chunk)?;
        self.count(decoded.payload)?;
        self.encoder.before(decoded.payload, out);
        out.extend_from_slice(&input.data()[..decoded.payload]);
        out.extend_from_slice(self.encoder.after(decoded.payload, decoded.done));
        input.consume(decoded.consumed);
        Ok(())
    }

    fn count(&mut self, payload: usize) -> Result<(), Refusal> {
        self.bytes += payload as u64;
        match self.bytes > self.max {
            true => Err(Refusal::BodyTooLarge),
            false => Ok(()),
        }
    }

    /// Takes over `rest` of what an attempt was to send, which has its answer already.
    pub(crate) fn resume(&mut self, rest: &[u8]) {
        debug_assert!(
            self.consumed == 0 && self.after.is_empty(),
            "nothing was fed yet"
        );
        self.before.clear();
        self.after = rest.to_vec().into();
        self.written = 0;
    }

    /// The client's stream has ended: true when that is the end of the body, which then stands in `out`.
    pub(crate) fn end_buffered(&mut self, client: &mut ClientStream, out: &mut Vec<u8>) -> bool {
        if !self.decoder.may_end_here() {
            return false;
        }
        self.decoder = BodyDecoder::Done;
        out.extend_from_slice(&self.encoder.end(&client.take_trailers()));
        true
    }

    /// Goes on as far as it can; ready when the body is complete at the endpoint. `progress` counts
    /// the bytes that came from the client.
    pub(crate) fn poll(
        &mut self,
        context: &mut Context<'_>,
        client: &mut ClientStream,
        input: &mut Buffer,
        endpoint: &mut EndpointStream,
        progress: &mut usize,
    ) -> Poll<Result<(), UploadFailure>> {
        loop {
            if self.consumed > 0 || !self.after.is_empty() {
                let parts = [&self.before[..], &input.data()[..self.payload], &self.after];
                ready!(poll_write_piece(
                    endpoint,
                    context,
                    parts,
                    &mut self.written
                ))
                .map_err(|_| UploadFailure::Endpoint)?;
                input.consume(self.consumed);
                self.consumed = 0;
                self.payload = 0;
                self.after = Cow::Borrowed(b"");
            }
            if self.decoder.is_done() {
                return Poll::Ready(Ok(()));
            }
            if input.is_empty() {
                input.make_room(HEAD_MAX);
                let count =
                    ready!(input.poll_fill(client, context)).map_err(|_| UploadFailure::Client)?;
                if count == 0 && self.decoder.may_end_here() {
                    self.decoder = BodyDecoder::Done;
                    self.before.clear();
                    self.after = self.encoder.end(&client.take_trailers());
                    self.written = 0;
                    continue;
                }
                if count == 0 {
                    return Poll::Ready(Err(UploadFailure::Client));
                }
                *progress += count;
            }
            let decoded = self
                .decoder
                .decode(input.data_mut())
                .map_err(|_| UploadFailure::Refused(Refusal::Chunk))?;
            self.count(decoded.payload)
                .map_err(UploadFailure::Refused)?;
            self.before.clear();
            self.encoder.before(decoded.payload, &mut self.before);
            self.after = Cow::Borrowed(self.encoder.after(decoded.payload, decoded.done));
            self.payload = decoded.payload;
            self.consumed = decoded.consumed;
            self.written = 0;
            if decoded.payload == 0 && !decoded.done {
                // Only framing so far.
                input.consume(decoded.consumed);
                self.consumed = 0;
            }
        }
    }
}
