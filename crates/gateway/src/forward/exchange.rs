//! The attempts of one request: who is asked, when another is asked too, which answer counts.
//!
//! * No connection: nothing was sent, so another endpoint is tried whatever the method.
//! * Closed, broken, or answered 502, 503 or 504: another endpoint, if the request may be repeated.
//! * Silent for the time of one try, or judged silent by [`crate::health::silence`]: another endpoint is
//!   asked **as well**, if the request may be repeated; the first answer counts. Each further try is given
//!   four times the time of the one before, so that what is merely slow is not done many times over.
//! * What the endpoint of a client's session answers counts, if its backend says that sessions stay.
//! * A kept connection that turns out to be closed says nothing about its endpoint: the same endpoint is
//!   asked on a new one.
//! * Never the same endpoint twice otherwise, never more than `retry.max` further ones, and never without
//!   the budget for it.

use super::Limits;
use super::attempt::{Attempt, Connection, Failure, Progress, Sending, StartError};
use crate::choose::{Claim, choose};
use crate::conn::OwnAnswer;
use crate::h1::{Asked, BadResponse};
use crate::health::Outcome;
use crate::health::silence::{self, PATIENCE_MIN};
use crate::table::ForwardEntry;
use crate::worker::{Scratch, Worker};
use std::task::{Context, Poll};
use std::time::Duration;
use tidegate_model::Settings;
use tidegate_runtime::Tick;

/// What holds for all attempts of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    pub(super) to: &'a ForwardEntry,
    pub(super) claim: Claim,
    pub(super) settings: &'a Settings,
    pub(super) limits: Limits,
    pub(super) asked: Asked,
    /// It may be sent more than once, and all of it is at hand.
    pub(super) repeatable: bool,
}

/// The attempts at an answer.
#[derive(Debug)]
pub(super) struct Exchange<'a> {
    pub(super) rules: Rules<'a>,
    /// When [`Exchange::poll`] wants to be called again though nothing came.
    pub(super) wake_at: Tick,
    /// When there will be no answer any more.
    deadline: Tick,
    interims: u32,
    last: OwnAnswer,
}

/// Something for the caller to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The head of the final answer of this attempt was read.
    Head(usize),
    /// The head of a 1xx answer of this attempt was read.
    Interim(usize),
    /// All attempts failed.
    Failed(OwnAnswer),
}

/// Why there is no further attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NoMore {
    /// Tries or endpoints are used up.
    Ever,
    /// The budget is used up for the moment.
    Now,
}

/// How often silence is looked for.
const SILENCE_STEP: Duration = Duration::from_millis(10);
/// Each further try for lack of an answer is given so many times the time of the one before: two endpoints
/// that hang cost a request 2.5 s, and an answer that takes 4 s is asked for three times at most.
const PATIENCE_GROWTH: u32 = 4;
/// A connection that takes longer than this is raced by another one: nothing is lost if it wins.
const CONNECT_RACE: Duration = Duration::from_millis(100);
/// More 1xx answers to one request than this are an attack (B28).
const INTERIMS_MAX: u32 = 8;

impl<'a> Exchange<'a> {
    pub(super) fn new(rules: Rules<'a>, now: Tick) -> Self {
        Self {
            rules,
            wake_at: Tick::END,
            deadline: now + rules.settings.timeouts.first_byte,
            interims: 0,
            last: OwnAnswer::NoEndpoint,
        }
    }

    /// A part of the body came; the next may take until `deadline`.
    pub(super) fn sent_some(&mut self, deadline: Tick) {
        self.deadline = deadline;
    }

    /// The body is complete; from now on the endpoint is waited for.
    pub(super) fn sent_all(&mut self, now: Tick) {
        self.deadline = now + self.rules.settings.timeouts.first_byte;
    }

    /// Whether the time for an answer, or for the next part of the body, is over; that for the whole request is not.
    pub(super) fn waited_enough(&self, now: Tick) -> bool {
        now >= self.deadline && now < self.rules.limits.end
    }

    /// Whether there will be no answer any more.
    fn is_over(&self, now: Tick) -> bool {
        now >= self.deadline.min(self.rules.limits.end)
    }

    /// Goes on as far as it can. Begins the first attempt when there was none.
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        worker: &Worker,
        scratch: &mut Scratch,
    ) -> Poll<Turn> {
        if scratch.tried.is_empty() {
            let now = worker.now();
            worker
                .shared
                .budget
                .deposit(&self.rules.settings.retry, now);
            // That it failed is seen below.
            let _ = self.start_another(worker, scratch, now);
        }
        loop {
            if let Some(turn) = self.poll_attempts(context, worker, scratch) {
                return Poll::Ready(turn);
            }
            if scratch.attempts.is_empty() {
                return Poll::Ready(Turn::Failed(self.last));
            }
            let now = worker.now();
            if self.is_over(now) {
                self.time_out(scratch, now);
                return Poll::Ready(Turn::Failed(OwnAnswer::Timeout));
            }
            // A new attempt must be polled before anybody waits for it.
            if !self.watch(worker, scratch, now) {
                return Poll::Pending;
            }
        }
    }

    /// How long the latest of `tries` may be silent before it is covered by another. A backend that is known
    /// to be slow is given its time.
    fn patience(&self, tries: usize) -> Duration {
        let usual = silence::patience(self.rules.to.backend.health().latency().get());
        let before = u32::try_from(tries.saturating_sub(1)).unwrap_or(u32::MAX);
        let growth = PATIENCE_GROWTH.saturating_pow(before);
        let first = self.rules.settings.timeouts.try_first_byte.max(usual);
        first.saturating_mul(growth)
    }

    fn poll_attempts(
        &mut self,
        context: &mut Context<'_>,
        worker: &Worker,
        scratch: &mut Scratch,
    ) -> Option<Turn> {
        let mut at = 0;
        while at < scratch.attempts.len() {
            let sending = Sending {
                request: &scratch.request_out,
                asked: self.rules.asked,
                first_byte: self.patience(scratch.tried.len()),
            };
            let attempt = &mut scratch.attempts[at];
            match attempt.poll(context, worker, sending, &mut scratch.response) {
                Poll::Pending => at += 1,
                Poll::Ready(Progress::Failed(failure)) => self.fail(at, failure, worker, scratch),
                Poll::Ready(Progress::Head) if scratch.response.is_interim() => {
                    self.interims += 1;
                    if self.interims <= INTERIMS_MAX {
                        return Some(Turn::Interim(at));
                    }
                    self.fail(at, Failure::Bad(BadResponse::InterimStorm), worker, scratch);
                }
                Poll::Ready(Progress::Head) => {
                    if !self.replace_refusal(at, worker, scratch) {
                        return Some(Turn::Head(at));
                    }
                }
            }
        }
        None
    }

    /// Whether an answer that says "not now" is dropped in favour of another endpoint's.
    fn replace_refusal(&mut self, at: usize, worker: &Worker, scratch: &mut Scratch) -> bool {
        let status = scratch.response.status;
        if !self.rules.repeatable || !matches!(status, 502..=504) {
            return false;
        }
        let now = worker.now();
        let (to, claim) = (self.rules.to, &self.rules.claim);
        if claim.stays_at(to, scratch.attempts[at].pick.endpoint(), now) {
            return false;
        }
        let others = scratch.attempts.len() > 1;
        if !others && self.start_another(worker, scratch, now).is_err() {
            return false;
        }
        let attempt = scratch.attempts.remove(at);
        self.end(attempt, Outcome::Answered { status }, worker, now);
        true
    }

    /// Ends an attempt that failed and begins another one if that is allowed.
    fn fail(&mut self, at: usize, failure: Failure, worker: &Worker, scratch: &mut Scratch) {
        let now = worker.now();
        let attempt = scratch.attempts.remove(at);
        let unsent = attempt.is_unprocessed();
        let stale = attempt.reused && failure == Failure::Closed && attempt.received.is_none();
        if stale && (self.rules.repeatable || unsent) {
            let connect = self.rules.settings.timeouts.connect;
            match Attempt::start(worker, attempt.pick, Connection::New, connect) {
                Ok(again) => scratch.attempts.push(again),
                Err((pick, error)) => {
                    self.last = judge_start(&error);
                    pick.finish(outcome_of(&error), now);
                    let _ = self.start_another(worker, scratch, now);
                }
            }
            return;
        }
        let (outcome, again) = match failure {
            Failure::Connect => (Outcome::ConnectFailed, true),
            Failure::Closed | Failure::Bad(_) => (Outcome::Reset, unsent || self.rules.repeatable),
        };
        tracing::debug!(
            endpoint = %attempt.address(),
            backend = %self.rules.to.backend.id(),
            why = failure.as_str(),
            "attempt failed"
        );
        self.last = OwnAnswer::BadGateway;
        self.end(attempt, outcome, worker, now);
        if again {
            // If there is none, those still under way decide.
            let _ = self.start_another(worker, scratch, now);
        }
    }

    fn end(&self, attempt: Attempt, outcome: Outcome, worker: &Worker, now: Tick) {
        attempt.pick.finish(outcome, now);
        if let Some(buffer) = attempt.received {
            worker.scratch.give_buffer(buffer);
        }
    }

    /// Begins an attempt at an endpoint that was not tried yet.
    fn start_another(
        &mut self,
        worker: &Worker,
        scratch: &mut Scratch,
        now: Tick,
    ) -> Result<(), NoMore> {
        let settings = self.rules.settings;
        loop {
            let further = !scratch.tried.is_empty();
            let late = further && now >= self.rules.limits.tries_end;
            if late || scratch.tried.len() > settings.retry.max as usize {
                return Err(NoMore::Ever);
            }
            let random = if further { worker.random() } else { 0 };
            let (to, claim) = (self.rules.to, &self.rules.claim);
            let pick = choose(to, claim, &scratch.tried, now, random).ok_or(NoMore::Ever)?;
            if further {
                if !worker.shared.budget.try_withdraw(&settings.retry, now) {
                    return Err(NoMore::Now);
                }
                worker.shared.traffic.retry();
            }
            scratch.tried.push(pick.id());
            let connect = settings.timeouts.connect;
            match Attempt::start(worker, pick, Connection::Kept, connect) {
                Ok(attempt) => {
                    scratch.attempts.push(attempt);
                    return Ok(());
                }
                Err((pick, error)) => {
                    self.last = judge_start(&error);
                    pick.finish(outcome_of(&error), now);
                }
            }
        }
    }

    /// Looks at the time of each attempt; whether one was begun.
    fn watch(&mut self, worker: &Worker, scratch: &mut Scratch, now: Tick) -> bool {
        self.wake_at = self.deadline.min(self.rules.limits.end);
        let mut begun = false;
        let mut at = 0;
        while at < scratch.attempts.len() {
            let attempt = &scratch.attempts[at];
            if attempt.is_connecting() && now >= attempt.deadline {
                self.fail(at, Failure::Connect, worker, scratch);
                begun = true;
                continue;
            }
            if attempt.is_connecting() {
                self.wake_at = self.wake_at.min(attempt.deadline);
            }
            if attempt.is_covered || !(self.rules.repeatable || attempt.is_connecting()) {
                at += 1;
                continue;
            }
            let (due, late) = match attempt.is_connecting() {
                true => (
                    attempt.begun + CONNECT_RACE,
                    now >= attempt.begun + CONNECT_RACE,
                ),
                false => (attempt.deadline, now >= attempt.deadline),
            };
            if !late && !attempt.pick.suspicious(now) {
                let look = (attempt.begun + PATIENCE_MIN).max(now + SILENCE_STEP);
                self.wake_at = self.wake_at.min(due).min(look);
                at += 1;
                continue;
            }
            match self.start_another(worker, scratch, now) {
                Ok(()) => begun = true,
                Err(NoMore::Ever) => {}
                Err(NoMore::Now) => {
                    self.wake_at = self.wake_at.min(now + SILENCE_STEP);
                    at += 1;
                    continue;
                }
            }
            if begun && !self.rules.repeatable {
                // Nothing was sent on it, and nothing may be: only one may send.
                let abandoned = scratch.attempts.remove(at);
                let outcome = match late {
                    true => Outcome::ConnectFailed,
                    false => Outcome::Cancelled,
                };
                self.end(abandoned, outcome, worker, now);
                continue;
            }
            let attempt = &mut scratch.attempts[at];
            attempt.is_covered = true;
            attempt.is_late = late && !attempt.is_connecting();
            at += 1;
        }
        begun
    }

    /// Nobody answered.
    fn time_out(&self, scratch: &mut Scratch, now: Tick) {
        for attempt in scratch.attempts.drain(..) {
            let outcome = match attempt.is_connecting() {
                true => Outcome::ConnectFailed,
                false => Outcome::TimedOut,
            };
            attempt.pick.finish(outcome, now);
        }
    }
}

/// What the client is told when the kernel refuses to connect at once.
fn judge_start(error: &StartError) -> OwnAnswer {
    match error {
        StartError::Exhausted => OwnAnswer::Exhausted,
        StartError::Endpoint => OwnAnswer::BadGateway,
    }
}

/// That we have no descriptors is not the endpoint's fault.
fn outcome_of(error: &StartError) -> Outcome {
    match error {
        StartError::Exhausted => Outcome::Cancelled,
        StartError::Endpoint => Outcome::ConnectFailed,
    }
}
