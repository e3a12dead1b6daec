//! Open-loop load: requests leave when they are due, whether or not earlier ones were answered.
//!
//! ```text
//! pacer thread ── due times ──> exchange thread (own runtime, keep-alive pool) ──> Tally <── readers
//! ```
//!
//! Latency counts from the moment a request was *due*, so a stalled gateway cannot hide behind a
//! generator that waits for it. Nothing is ever sent twice. Both threads are the generator's own: a
//! busy program around it does not make the gateway look slow, and how late the generator itself was
//! is measured and reported.

mod exchange;
mod histogram;
mod report;
mod share;
mod tally;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use http::{HeaderName, HeaderValue, Method};
use tokio::sync::mpsc;

pub(crate) use report::{FaultWindow, Report, fractional_millis};
pub(crate) use share::share;
pub(crate) use tally::{SLOT, Tally};

/// Unanswered for so long, a request has failed.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// What is asked, of whom.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Where to connect.
    pub(crate) address: SocketAddr,
    /// The Host header.
    pub(crate) host: HeaderValue,
    /// Path and query; `{n}` in it stands for the number of the request, from 0.
    pub(crate) path: http::uri::PathAndQuery,
    /// The method; one that may carry a body gets a short one.
    pub(crate) method: Method,
    /// Headers beside Host.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

/// A request to send.
#[derive(Clone, Copy, Debug)]
struct Due {
    number: u64,
    at: Instant,
}

/// Running load. Dropping it stops the pacer and abandons what is in flight.
#[derive(Debug)]
pub(crate) struct Load {
    tally: Arc<Mutex<Tally>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts `rate` requests a second, for `lasting` or until it is told to finish.
    ///
    /// # Errors
    /// When a thread or its runtime cannot be made.
    pub(crate) fn start(target: Target, rate: u32, lasting: Option<Duration>) -> io::Result<Self> {
        let started = Instant::now();
        let tally = Arc::new(Mutex::new(Tally::new(started)));
        let stop = Arc::new(AtomicBool::new(false));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (due, requests) = mpsc::unbounded_channel();
        let exchange = {
            let tally = Arc::clone(&tally);
            Builder::new()
                .name("load-exchange".to_owned())
                .spawn(move || exchange::run(&runtime, Arc::new(target), requests, tally))?
        };
        let pacer = {
            let stop = Arc::clone(&stop);
            Builder::new()
                .name("load-pacer".to_owned())
                .spawn(move || pace(started, rate, lasting, &stop, &due))?
        };
        Ok(Self {
            tally,
            stop,
            threads: vec![pacer, exchange],
        })
    }

    /// The figures so far.
    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        lock(&self.tally)
    }

    /// Sends nothing more, waits for the answers still out (at most [`REQUEST_TIMEOUT`]) and returns
    /// the final figures.
    pub(crate) fn finish(mut self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A panic there was printed by that thread; its figures up to then are still good.
            let _ = thread.join();
        }
        lock(&self.tally).clone()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The figures are plain counters: a panic elsewhere leaves them usable.
fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pace(
    started: Instant,
    rate: u32,
    lasting: Option<Duration>,
    stop: &AtomicBool,
    due: &mpsc::UnboundedSender<Due>,
) {
    for number in 0_u64.. {
        let after = due_after(number, rate);
        if lasting.is_some_and(|lasting| after >= lasting) {
            return;
        }
        let at = started + after;
        if let Some(wait) = at.checked_duration_since(Instant::now()) {
            std::thread::sleep(wait);
        }
        if stop.load(Ordering::Relaxed) || due.send(Due { number, at }).is_err() {
            return;
        }
    }
}

/// When request `number` is due. Computed from the start, so that rounding never adds up.
fn due_after(number: u64, rate: u32) -> Duration {
    let nanos = u128::from(number) * 1_000_000_000 / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
