//! One receiver's connection.

use super::{Published, Shared};
use crate::frame::{self, FROM_PUBLISHER_MAX, FROM_RECEIVER_MAX, FrameError, FrameReader};
use crate::message::{
    FromPublisher, FromReceiver, HEARTBEAT, Have, PROTOCOL, SILENCE_MAX, Verdict,
};
use crate::{Changes, Delta};
use std::sync::Arc;
use tidegate_model::Generation;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, MissedTickBehavior, timeout};

/// Names are shown to people and label metrics.
const NAME_LEN_MAX: usize = 253;

pub(super) async fn run(
    from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    shared: Arc<Shared>,
) {
    let mut frames = FrameReader::new(from, FROM_RECEIVER_MAX);
    let (name, have) = match greet(&mut frames).await {
        Ok(greeting) => greeting,
        Err(error) => {
            let reason = error.to_string();
            tracing::warn!(%reason, "a receiver was turned away");
            // It is gone or hears this; either way the connection ends.
            let refusal = FromPublisher::Refusal { reason };
            let _ = frame::write(&mut to, &refusal, FROM_PUBLISHER_MAX).await;
            return;
        }
    };
    let mut session = Session {
        state: State::new(have),
        presence: Presence::enter(&shared, &name, have),
        shared: &shared,
        to,
    };
    let ended = session.serve(&mut frames, have).await;
    let reason = ended.err().map(|error| error.to_string());
    tracing::info!(receiver = %name, reason, "receiver has gone");
}

async fn greet<R: AsyncRead + Unpin>(
    frames: &mut FrameReader<R>,
) -> Result<(String, Option<Have>), FrameError> {
    let hello = timeout(SILENCE_MAX, frames.next())
        .await
        .map_err(|_| FrameError::Silent)??;
    match hello {
        FromReceiver::Hello { protocol, .. } if protocol != PROTOCOL => Err(FrameError::Refused(
            format!("this hub speaks feed protocol {PROTOCOL}, the receiver {protocol}"),
        )),
        FromReceiver::Hello { name, .. } if name.is_empty() || name.len() > NAME_LEN_MAX => Err(
            FrameError::Refused("a receiver's name must have 1 to 253 characters".to_owned()),
        ),
        FromReceiver::Hello { name, have, .. } => Ok((name, have)),
        FromReceiver::Ack { .. } | FromReceiver::Pong {} => Err(FrameError::Refused(
            "a receiver must say hello first".to_owned(),
        )),
    }
}

struct Session<'a, W> {
    shared: &'a Shared,
    presence: Presence<'a>,
    state: State,
    to: W,
}

/// What we know about the receiver's snapshot.
struct State {
    /// What it serves, as far as we could send differences to it.
    base: Option<Base>,
    /// Sent and not yet acknowledged.
    sent: Option<Published>,
    /// The newest generation it needs nothing about: accepted or refused.
    done: Generation,
}

enum Base {
    /// From its greeting; we have only its name.
    Named(Have),
    /// From us.
    Known(Published),
}

impl<W: AsyncWrite + Unpin> Session<'_, W> {
    async fn serve<R: AsyncRead + Unpin>(
        &mut self,
        frames: &mut FrameReader<R>,
        have: Option<Have>,
    ) -> Result<(), FrameError> {
        if let Some(have) = have {
            self.shared
                .outrun(have.generation, have.digest)
                .map_err(|error| FrameError::Refused(error.to_string()))?;
            // What is still ours after that is what we have.
            if have.generation == self.shared.published() {
                self.state.done = have.generation;
            }
        }
        let mut latest = self.shared.latest.subscribe();
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            if self.state.sent.is_none() {
                let newest = latest.borrow_and_update().clone();
                if let Some(newest) = newest.filter(|n| n.snapshot.generation > self.state.done) {
                    self.send(newest).await?;
                }
            }
            tokio::select! {
                message = frames.next() => {
                    heard = Instant::now();
                    self.hear(message?)?;
                }
                changed = latest.changed(), if self.state.sent.is_none() => {
                    changed.map_err(|_| FrameError::Closed)?;
                }
                _ = heartbeat.tick() => {
                    if heard.elapsed() > SILENCE_MAX {
                        return Err(FrameError::Silent);
                    }
                    self.write(&FromPublisher::Ping {}).await?;
                }
            }
        }
    }

    async fn send(&mut self, newest: Published) -> Result<(), FrameError> {
        let message = match &self.state.base {
            Some(base) => base.delta_to(&newest),
            None => None,
        };
        let message = message.unwrap_or_else(|| FromPublisher::Full {
            snapshot: Arc::clone(&newest.snapshot),
            digest: newest.digest,
        });
        self.state.sent = Some(newest);
        self.write(&message).await
    }

    async fn write(&mut self, message: &FromPublisher) -> Result<(), FrameError> {
        frame::write(&mut self.to, message, FROM_PUBLISHER_MAX).await
    }

    fn hear(&mut self, message: FromReceiver) -> Result<(), FrameError> {
        match message {
            FromReceiver::Pong {} => Ok(()),
            FromReceiver::Hello { .. } => Err(FrameError::Refused("a second hello".to_owned())),
            FromReceiver::Ack {
                generation,
                verdict,
            } => {
                let sent = self.state.sent.take();
                let Some(sent) = sent.filter(|sent| sent.snapshot.generation == generation) else {
                    return Err(FrameError::Refused(format!(
                        "an answer to generation {generation}, which was not sent"
                    )));
                };
                self.state.note(sent, &verdict);
                self.presence.note(generation, verdict);
                Ok(())
            }
        }
    }
}

impl State {
    fn new(have: Option<Have>) -> Self {
        Self {
            base: have.map(Base::Named),
            sent: None,
            done: Generation(0),
        }
    }

    fn note(&mut self, sent: Published, verdict: &Verdict) {
        match verdict {
            Verdict::Accepted => {
                self.done = sent.snapshot.generation;
                self.base = Some(Base::Known(sent));
            }
            // It stays with what it has until there is something newer.
            Verdict::Refused(_) => self.done = sent.snapshot.generation,
            Verdict::NeedsFull => self.base = None,
        }
    }
}

impl Base {
    /// The difference to `newest`, if we can tell.
    fn delta_to(&self, newest: &Published) -> Option<FromPublisher> {
        let delta = match self {
            Self::Known(base) => Delta::between(&base.snapshot, base.digest, &newest.snapshot),
            Self::Named(have) if have.digest == newest.digest => Delta {
                base: have.generation,
                base_digest: have.digest,
                generation: newest.snapshot.generation,
                digest: newest.digest,
                changes: Changes::default(),
            },
            Self::Named(_) => return None,
        };
        Some(FromPublisher::Delta {
            delta: Box::new(delta),
        })
    }
}

/// A receiver's entry in the list of receivers, while it is connected.
struct Presence<'a> {
    shared: &'a Shared,
    name: String,
    number: u64,
}

impl<'a> Presence<'a> {
    fn enter(shared: &'a Shared, name: &str, have: Option<Have>) -> Self {
        let number = shared.enter(name);
        shared.note(name, |status| {
            status.connected = true;
            status.accepted = have.map(|have| have.generation);
        });
        Self {
            shared,
            name: name.to_owned(),
            number,
        }
    }

    fn note(&self, generation: Generation, verdict: Verdict) {
        self.shared.note(&self.name, |status| match verdict {
            Verdict::Accepted => {
                status.accepted = Some(generation);
                status.refused = None;
            }
            Verdict::Refused(reason) => status.refused = Some((generation, reason)),
            Verdict::NeedsFull => {}
        });
    }
}

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        if self.shared.leave(&self.name, self.number) {
            self.shared
                .note(&self.name, |status| status.connected = false);
        }
    }
}
