//! The receiving side.

use crate::frame::{self, FROM_PUBLISHER_MAX, FROM_RECEIVER_MAX, FrameError, FrameReader};
use crate::message::{FromPublisher, FromReceiver, Have, PROTOCOL, SILENCE_MAX, Verdict};
use crate::{Delta, Digest, FeedAddress, LastKnownGood};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;
use tidegate_model::{Generation, Snapshot};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// Whether a receiver hears its publisher.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Connection {
    /// It has not tried yet.
    #[default]
    Starting,
    /// It does.
    Connected,
    /// It does not, and goes on trying.
    Lost {
        /// Why.
        reason: String,
    },
}

/// Receives snapshots from `address` until `shutdown`, and never gives up before.
///
/// `start` is what is served already (from [`LastKnownGood::load`]); older generations are refused, and so is one
/// that `apply` refuses, with its reason. `apply` is called on this task and should take milliseconds; **first**
/// a snapshot is applied and acknowledged, **then** saved to `store`, so that an endpoint change does not wait
/// for the disk. What a crash in between means stands at [`LastKnownGood`]. `connection` tells whether the
/// publisher is heard. Connections that fail are tried again after a random time that grows from 50 ms to 2 s.
pub async fn receive(
    address: FeedAddress,
    name: String,
    start: Option<Arc<Snapshot>>,
    store: LastKnownGood,
    apply: impl FnMut(&Arc<Snapshot>) -> Result<(), String> + Send,
    connection: watch::Sender<Connection>,
    shutdown: CancellationToken,
) {
    let mut receiver = Receiver {
        name,
        served: start.map(|snapshot| (Digest::of(&snapshot), snapshot)),
        store,
        apply,
    };
    let random = RandomState::new();
    let mut backoff = BACKOFF_MIN;
    for attempt in 0_u64.. {
        let session = async {
            let heard = receiver.connect_and_serve(&address, &connection).await;
            heard.err().unwrap_or(FrameError::Closed)
        };
        let error = tokio::select! {
            () = shutdown.cancelled() => return,
            error = session => error,
        };
        if *connection.borrow() == Connection::Connected {
            backoff = BACKOFF_MIN;
        }
        let reason = describe(&error);
        tracing::info!(%address, %reason, "feed lost, serving on with what we have");
        connection.send_replace(Connection::Lost { reason });
        // Half to whole of it, so that receivers do not come back all at once.
        let part = 0.5 + (random.hash_one(attempt) % 1000) as f64 / 2000.0;
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(backoff.mul_f64(part)) => {}
        }
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

struct Receiver<A> {
    name: String,
    served: Option<(Digest, Arc<Snapshot>)>,
    store: LastKnownGood,
    apply: A,
}

impl<A: FnMut(&Arc<Snapshot>) -> Result<(), String> + Send> Receiver<A> {
    async fn connect_and_serve(
        &mut self,
        address: &FeedAddress,
        connection: &watch::Sender<Connection>,
    ) -> Result<(), FrameError> {
        match address {
            FeedAddress::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(FrameError::Io)?;
                let (from, to) = stream.into_split();
                self.serve(from, to, connection).await
            }
            FeedAddress::Tcp(address) => {
                let stream = TcpStream::connect(address).await.map_err(FrameError::Io)?;
                stream.set_nodelay(true).map_err(FrameError::Io)?;
                let (from, to) = stream.into_split();
                self.serve(from, to, connection).await
            }
        }
    }

    async fn serve(
        &mut self,
        from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        connection: &watch::Sender<Connection>,
    ) -> Result<(), FrameError> {
        let hello = FromReceiver::Hello {
            protocol: PROTOCOL,
            name: self.name.clone(),
            have: self.served.as_ref().map(|(digest, snapshot)| Have {
                generation: snapshot.generation,
                digest: *digest,
            }),
        };
        frame::write(&mut to, &hello, FROM_RECEIVER_MAX).await?;
        let mut frames = FrameReader::new(from, FROM_PUBLISHER_MAX);
        loop {
            let message = match tokio::time::timeout(SILENCE_MAX, frames.next()).await {
                Err(_) => return Err(FrameError::Silent),
                Ok(message) => message?,
            };
            let answer = match message {
                FromPublisher::Ping {} => FromReceiver::Pong {},
                FromPublisher::Refusal { reason } => return Err(FrameError::Refused(reason)),
                FromPublisher::Full { snapshot, digest } => self.take_full(snapshot, digest),
                FromPublisher::Delta { delta } => self.take_delta(delta),
            };
            connection.send_if_modified(|now| {
                let changed = *now != Connection::Connected;
                *now = Connection::Connected;
                changed
            });
            frame::write(&mut to, &answer, FROM_RECEIVER_MAX).await?;
        }
    }

    fn take_full(&mut self, snapshot: Arc<Snapshot>, digest: Digest) -> FromReceiver {
        let generation = snapshot.generation;
        let verdict = if Digest::of(&snapshot) == digest {
            self.accept(snapshot, digest)
        } else {
            Verdict::Refused("its content does not have the digest it came with".to_owned())
        };
        FromReceiver::Ack {
            generation,
            verdict,
        }
    }

    fn take_delta(&mut self, delta: Box<Delta>) -> FromReceiver {
        let generation = delta.generation;
        let next = self.served.as_ref().map(|(have, base)| {
            let digest = delta.digest;
            delta.apply(base, *have).map(|next| (next, digest))
        });
        let verdict = match next {
            Some(Ok((next, digest))) => self.accept(Arc::new(next), digest),
            Some(Err(error)) => {
                tracing::warn!(%error, "asking for the whole snapshot");
                Verdict::NeedsFull
            }
            None => Verdict::NeedsFull,
        };
        FromReceiver::Ack {
            generation,
            verdict,
        }
    }

    fn accept(&mut self, snapshot: Arc<Snapshot>, digest: Digest) -> Verdict {
        let have = self
            .served
            .as_ref()
            .map_or(Generation(0), |(_, s)| s.generation);
        if snapshot.generation < have {
            return Verdict::Refused(format!(
                "generation {} is older than {have}, which is served",
                snapshot.generation
            ));
        }
        let valid = match &self.served {
            Some((_, served)) => snapshot.validate_since(served),
            None => snapshot.validate(),
        };
        let accepted = match valid {
            Ok(()) => (self.apply)(&snapshot),
            Err(invalid) => Err(invalid.to_string()),
        };
        match accepted {
            Ok(()) => {
                self.store.save(Arc::clone(&snapshot));
                self.served = Some((digest, snapshot));
                Verdict::Accepted
            }
            Err(reason) => {
                tracing::error!(generation = snapshot.generation.0, %reason, "snapshot refused");
                Verdict::Refused(reason)
            }
        }
    }
}

/// The error with its sources, in one line.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}
