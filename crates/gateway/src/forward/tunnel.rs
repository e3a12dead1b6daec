//! Bytes both ways after a switch of protocols (RFC 9110 7.8), until one side has enough.

use crate::conn::{Client, ClientStream};
use crate::filter::Slot;
use crate::upstream::EndpointStream;
use crate::worker::{BUFFER_LEN, Buffer, ScratchPool};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// An endpoint's connection that speaks something else than HTTP from now on. It holds buffers only while there
/// are bytes in them: most of these connections are silent most of the time.
#[derive(Debug)]
pub(crate) struct Tunnel {
    endpoint: EndpointStream,
    up: Way,
    down: Way,
    /// Its places among the requests under way.
    slots: Vec<Slot>,
}

/// What came from the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    Nothing,
    Something,
}

/// One direction.
#[derive(Debug, Default)]
struct Way {
    /// What was read and not yet written.
    buffer: Option<Buffer>,
    /// There is no more to read.
    ended: bool,
    /// The other side was told.
    done: bool,
}

/// Who can say that there is something to read, before a buffer is at hand.
trait Readable: AsyncRead + Unpin {
    /// Ready with true when there may be bytes, with false when there will be none.
    fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<bool>;
}

impl Readable for EndpointStream {
    fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        EndpointStream::poll_readable(self, context)
    }
}

impl Readable for ClientStream {
    fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        ClientStream::poll_readable(self, context)
    }
}

impl Tunnel {
    /// `up` and `down` hold what came from the client and from the endpoint behind the switch.
    pub(crate) fn new(endpoint: EndpointStream, up: Buffer, down: Buffer) -> Self {
        let way = |buffer: Buffer| Way {
            buffer: Some(buffer),
            ..Way::default()
        };
        Self {
            endpoint,
            up: way(up),
            down: way(down),
            slots: Vec::new(),
        }
    }

    /// Keeps the places of its request until it ends.
    pub(crate) fn hold(&mut self, slots: Vec<Slot>) {
        self.slots = slots;
    }

    /// Moves bytes until the endpoint ends, either connection breaks, or neither sent any for `idle`.
    pub(crate) async fn run(mut self, client: &mut Client, idle: Duration) -> Moved {
        let worker = Rc::clone(&client.worker);
        let mut deadline = None;
        let mut answered = Moved::Nothing;
        poll_fn(|context| {
            let (mut moved, mut came) = (false, false);
            let (near, far) = (&mut client.stream, &mut self.endpoint);
            let up = self
                .up
                .poll(context, &worker.scratch, near, far, &mut moved);
            let down = self
                .down
                .poll(context, &worker.scratch, far, near, &mut came);
            if came {
                answered = Moved::Something;
            }
            match (up, down) {
                (Poll::Ready(Err(_)), _) | (_, Poll::Ready(_)) => return Poll::Ready(()),
                // The client has said all it has to say; the endpoint may have more.
                (Poll::Ready(Ok(())) | Poll::Pending, Poll::Pending) => {}
            }
            if moved || came {
                deadline = None;
            }
            let deadline = *deadline.get_or_insert(worker.now() + idle);
            match client.expired(deadline, context) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
        answered
    }
}

impl Way {
    /// Goes on as far as it can; ready when `from` has ended and `to` was told so.
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        buffers: &ScratchPool,
        from: &mut impl Readable,
        to: &mut (impl AsyncWrite + Unpin),
        moved: &mut bool,
    ) -> Poll<io::Result<()>> {
        loop {
            if let Some(buffer) = &mut self.buffer {
                while !buffer.is_empty() {
                    match ready!(Pin::new(&mut *to).poll_write(context, buffer.data()))? {
                        0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                        count => buffer.consume(count),
                    }
                    *moved = true;
                }
                ready!(Pin::new(&mut *to).poll_flush(context))?;
            }
            if let Some(buffer) = self.buffer.take() {
                buffers.give_buffer(buffer);
            }
            if self.done {
                return Poll::Ready(Ok(()));
            }
            if self.ended {
                ready!(Pin::new(&mut *to).poll_shutdown(context))?;
                self.done = true;
                continue;
            }
            if !ready!(from.poll_readable(context)) {
                self.ended = true;
                continue;
            }
            let mut buffer = buffers.take_buffer();
            buffer.make_room(BUFFER_LEN);
            let filled = buffer.poll_fill(from, context);
            match &filled {
                Poll::Ready(Ok(0)) => self.ended = true,
                Poll::Ready(Ok(_)) => {
                    *moved = true;
                    self.buffer = Some(buffer);
                    continue;
                }
                Poll::Ready(Err(_)) | Poll::Pending => {}
            }
            buffers.give_buffer(buffer);
            ready!(filled)?;
        }
    }
}
