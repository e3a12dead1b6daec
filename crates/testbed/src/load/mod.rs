//! Open-loop load: requests leave when they are due, answered or not, and are never sent twice.
//!
//! ```text
//! thread "load": a pacer starts one task a request ── idle connections, kept alive ── figures
//! ```
//!
//! Latency counts from when a request was due, so a stalled gateway cannot hide behind a client that
//! waits for it.

mod exchange;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::{Result, wait_for};

/// Unanswered for so long, a request has failed.
const REQUEST_WITHIN: Duration = Duration::from_secs(20);

/// Reasons kept word for word; the count of failures is always exact.
const FAILURES_KEPT: usize = 20;

/// What is asked, of whom, how often.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where to connect.
    pub address: SocketAddr,
    /// The Host header.
    pub host: String,
    /// Path and query; `{n}` in it stands for the number of the request, from 0.
    pub path: String,
    /// The method.
    pub method: String,
    /// Headers beside Host.
    pub headers: Vec<(String, String)>,
    /// Requests a second.
    pub rate: u32,
}

/// Running load. Dropping it stops it.
#[derive(Debug)]
pub struct Load {
    outcome: Arc<Mutex<Outcome>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What became of the requests. All figures only count answers that are in.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Requests that were answered or have failed.
    pub requests: u64,
    /// Those without a 2xx answer.
    pub failed: u64,
    /// The first failures, with their reasons.
    pub failures: Vec<Failure>,
    /// Successes by the cluster whose echo server gave them.
    pub per_cluster: BTreeMap<String, u64>,
    /// The longest time from when a request was due to its answer.
    pub worst: Duration,
    /// Answers later than 100 ms after their request was due.
    pub over_100ms: u64,
}

/// A request that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// When it was due, from the start of the load.
    pub due: Duration,
    /// When it was known to have failed.
    pub known: Duration,
    /// Why.
    pub reason: String,
}

impl Target {
    /// 200 GETs a second of `/` at this host.
    #[must_use]
    pub fn new(address: SocketAddr, host: &str) -> Self {
        Self {
            address,
            host: host.to_owned(),
            path: "/".to_owned(),
            method: "GET".to_owned(),
            headers: Vec::new(),
            rate: 200,
        }
    }

    /// With another header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// POSTs to this path instead.
    #[must_use]
    pub fn post(mut self, path: &str) -> Self {
        (self.method, self.path) = ("POST".to_owned(), path.to_owned());
        self
    }

    /// At another rate.
    #[must_use]
    pub fn rate(mut self, rate: u32) -> Self {
        self.rate = rate;
        self
    }
}

impl Load {
    /// Starts it.
    ///
    /// # Errors
    /// When the target cannot be put into a request, or a thread cannot be had.
    pub fn start(target: Target) -> Result<Self> {
        exchange::request(&target, 0).context("the load's requests")?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let outcome = Arc::new(Mutex::new(Outcome::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new().name("load".to_owned()).spawn({
            let (outcome, stop) = (Arc::clone(&outcome), Arc::clone(&stop));
            move || exchange::run(&runtime, target, &stop, &outcome)
        })?;
        Ok(Self {
            outcome,
            stop,
            thread: Some(thread),
        })
    }

    /// The figures so far.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        lock(&self.outcome).clone()
    }

    /// Waits for `count` more answers; the figures of the time waited.
    ///
    /// # Errors
    /// When they do not come in three times the time they should take, and twenty seconds.
    pub async fn next(&self, count: u64) -> Result<Outcome> {
        let before = self.outcome();
        let within = Duration::from_secs(20 + count / 20);
        wait_for(
            &format!("{count} more answers to the load"),
            within,
            async || {
                let so_far = self.outcome().since(&before);
                ensure!(so_far.requests >= count, "{so_far}");
                Ok(so_far)
            },
        )
        .await
    }

    /// Sends nothing more, waits for the answers still out, and returns all figures.
    ///
    /// # Errors
    /// When the load's thread panicked.
    pub async fn stop(mut self) -> Result<Outcome> {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let joined = tokio::task::spawn_blocking(|| thread.join()).await?;
            joined.map_err(|_| anyhow::anyhow!("the load's thread panicked"))?;
        }
        Ok(self.outcome())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Outcome {
    /// What came in after `earlier`, a state of the same load. `worst` stays that of the whole load.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let before = |cluster: &String| {
            earlier
                .per_cluster
                .get(cluster)
                .copied()
                .unwrap_or_default()
        };
        let per_cluster = self
            .per_cluster
            .iter()
            .map(|(name, count)| (name.clone(), count - before(name)));
        Self {
            requests: self.requests - earlier.requests,
            failed: self.failed - earlier.failed,
            failures: self.failures[earlier.failures.len()..].to_vec(),
            per_cluster: per_cluster.filter(|(_, count)| *count > 0).collect(),
            worst: self.worst,
            over_100ms: self.over_100ms - earlier.over_100ms,
        }
    }

    /// The part of all successes that `cluster` gave, from 0 to 1.
    #[must_use]
    pub fn share(&self, cluster: &str) -> f64 {
        let count = |n: u64| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
        let all: u64 = self.per_cluster.values().sum();
        count(self.per_cluster.get(cluster).copied().unwrap_or_default()) / count(all.max(1))
    }

    /// Fails when a request did.
    ///
    /// # Errors
    /// With the figures and the first reasons.
    pub fn none_failed(&self) -> Result {
        ensure!(self.failed == 0 && self.requests > 0, "{self}");
        Ok(())
    }

    /// Fails unless all successes, and at least one, came from `cluster`.
    ///
    /// # Errors
    /// With the figures.
    pub fn all_from(&self, cluster: &str) -> Result {
        self.none_failed()?;
        ensure!(
            self.per_cluster.keys().eq([cluster]),
            "not all came from {cluster}: {self}"
        );
        Ok(())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} requests, {} failed, {} over 100 ms, worst {:?}; served by {:?}",
            self.requests, self.failed, self.over_100ms, self.worst, self.per_cluster
        )?;
        for failure in &self.failures {
            let (due, known) = (failure.due.as_secs_f64(), failure.known.as_secs_f64());
            write!(
                f,
                "\n  due {due:.3} s, failed {known:.3} s: {}",
                failure.reason
            )?;
        }
        Ok(())
    }
}

/// Plain counters: a panic elsewhere leaves them usable.
fn lock(outcome: &Mutex<Outcome>) -> MutexGuard<'_, Outcome> {
    outcome.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Outcome {
    fn record(
        &mut self,
        started: Instant,
        due: Instant,
        result: std::result::Result<String, String>,
    ) {
        let late = due.elapsed();
        self.requests += 1;
        self.worst = self.worst.max(late);
        self.over_100ms += u64::from(late > Duration::from_millis(100));
        match result {
            Ok(cluster) => *self.per_cluster.entry(cluster).or_default() += 1,
            Err(reason) => {
                self.failed += 1;
                if self.failures.len() < FAILURES_KEPT {
                    let (due, known) = (due - started, started.elapsed());
                    self.failures.push(Failure { due, known, reason });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
