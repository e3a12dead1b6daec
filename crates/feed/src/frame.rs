//! Frames: four bytes of length, most significant first, then that many bytes of JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A receiver's frames are small; more is not one of ours.
pub(crate) const FROM_RECEIVER_MAX: usize = 64 * 1024;
/// A snapshot of 10 000 hosts with routes and endpoints has about 10 MB.
pub(crate) const FROM_PUBLISHER_MAX: usize = 128 * 1024 * 1024;
/// A peer that takes nothing for so long is not alive, whatever its heartbeat says.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("the peer closed the connection")]
    Closed,
    #[error("the connection broke")]
    Io(#[source] io::Error),
    #[error("a frame of {len} bytes; at most {max} are allowed")]
    TooLong { len: usize, max: usize },
    #[error("a frame holds no message of this protocol")]
    Message(#[source] serde_json::Error),
    #[error("a frame was not taken within 30 s")]
    Stuck,
    #[error("nothing was heard for 5 s")]
    Silent,
    #[error("refused: {0}")]
    Refused(String),
}

pub(crate) struct FrameReader<R> {
    from: R,
    max: usize,
    buffer: Vec<u8>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(from: R, max: usize) -> Self {
        Self {
            from,
            max,
            buffer: Vec::new(),
        }
    }

    /// The next message. May be dropped and called again without losing bytes.
    pub(crate) async fn next<M: DeserializeOwned>(&mut self) -> Result<M, FrameError> {
        loop {
            let needed = match self.buffer.first_chunk::<4>() {
                None => 4,
                Some(head) => {
                    let len = u32::from_be_bytes(*head) as usize;
                    if len > self.max {
                        return Err(FrameError::TooLong { len, max: self.max });
                    }
                    4 + len
                }
            };
            if self.buffer.len() >= needed && needed > 4 {
                let message = serde_json::from_slice(&self.buffer[4..needed]);
                self.buffer.drain(..needed);
                if self.buffer.is_empty() {
                    // A whole snapshot came through here; do not keep its room.
                    self.buffer = Vec::new();
                }
                return message.map_err(FrameError::Message);
            }
            if self.buffer.len() >= 4 && needed == 4 {
                return Err(FrameError::Message(serde::de::Error::custom("it is empty")));
            }
            // No more than has come is ever held: a length alone costs nothing.
            let room = (needed - self.buffer.len()).min(64 * 1024);
            self.buffer.reserve(room);
            let read = self.from.read_buf(&mut self.buffer).await;
            if read.map_err(FrameError::Io)? == 0 {
                return Err(FrameError::Closed);
            }
        }
    }
}

/// Writes one message. Must not be dropped half-way unless the connection goes with it.
pub(crate) async fn write<M: Serialize>(
    to: &mut (impl AsyncWrite + Unpin),
    message: &M,
    max: usize,
) -> Result<(), FrameError> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message).map_err(FrameError::Message)?;
    let len = frame.len() - 4;
    let head = match u32::try_from(len) {
        Ok(head) if len <= max => head,
        _ => return Err(FrameError::TooLong { len, max }),
    };
    frame[..4].copy_from_slice(&head.to_be_bytes());
    match tokio::time::timeout(WRITE_TIMEOUT, to.write_all(&frame)).await {
        Err(_) => Err(FrameError::Stuck),
        Ok(written) => written.map_err(FrameError::Io),
    }
}
