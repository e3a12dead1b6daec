//! How many requests a client address may send, or all clients of a route together.

use crate::conn::OwnAnswer;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tidegate_model::{LimitBy, RateLimit};
use tidegate_runtime::Tick;

/// Counts requests, shared by all workers.
///
/// It keeps one time: when the requests so far would have been used up at the even rate. A request is refused when
/// that lies more than the burst ahead (the "generic cell rate algorithm").
#[derive(Debug)]
pub(super) struct RateLimiter {
    rule: RateLimit,
    /// Nanoseconds that one request uses up.
    step: u64,
    counts: Counts,
}

#[derive(Debug)]
enum Counts {
    /// One time for all.
    Route(AtomicU64),
    /// One for each client. A client whose time has passed is as good as new, so memory holds only those who asked
    /// lately.
    Clients {
        shards: Box<[Mutex<HashMap<IpAddr, u64>>; SHARDS]>,
        hasher: RandomState,
    },
}

/// A client asks for too much.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OverLimit {
    /// What it is told.
    pub(super) answer: OwnAnswer,
    wait: Duration,
}

/// So many clients can be looked up at the same time.
const SHARDS: usize = 16;
/// Clients kept in a shard; an attacker with more addresses than all of these is not stopped by a count for
/// each address.
const CLIENTS_MAX: usize = 4096;

impl RateLimiter {
    pub(super) fn new(rule: &RateLimit) -> Self {
        let per = u64::try_from(rule.per.as_nanos()).unwrap_or(u64::MAX);
        Self {
            rule: rule.clone(),
            step: (per / u64::from(rule.requests.max(1))).max(1),
            counts: match rule.by {
                LimitBy::Route => Counts::Route(AtomicU64::new(0)),
                LimitBy::Client => Counts::Clients {
                    shards: Default::default(),
                    hasher: RandomState::new(),
                },
            },
        }
    }

    /// Whether it counts by this very rule.
    pub(super) fn is_for(&self, rule: &RateLimit) -> bool {
        self.rule == *rule
    }

    pub(super) fn admit(&self, client: IpAddr, now: Tick) -> Result<(), OverLimit> {
        if self.rule.exempt.iter().any(|range| range.contains(client)) {
            return Ok(());
        }
        let status = self.rule.status;
        match &self.counts {
            Counts::Route(used_up) => {
                let count = |used_up| self.count(used_up, now).ok();
                let before = used_up.try_update(Relaxed, Relaxed, count);
                before.map(drop).map_err(|used_up| OverLimit {
                    answer: OwnAnswer::RouteLimited(status),
                    wait: self.count(used_up, now).err().unwrap_or_default(),
                })
            }
            Counts::Clients { shards, hasher } => {
                let client = client.to_canonical();
                let shard = (hasher.hash_one(client) as usize) % SHARDS;
                let mut clients = shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
                if clients.len() >= CLIENTS_MAX && !clients.contains_key(&client) {
                    clients.retain(|_, used_up| *used_up > now.0);
                    if clients.len() >= CLIENTS_MAX {
                        clients.clear();
                    }
                }
                let used_up = clients.entry(client).or_insert(0);
                let counted = self.count(*used_up, now);
                let answer = OwnAnswer::TooMany(status);
                *used_up = counted.map_err(|wait| OverLimit { answer, wait })?;
                Ok(())
            }
        }
    }

    /// When all is used up after one more request; or how long that one would have to wait.
    fn count(&self, used_up: u64, now: Tick) -> Result<u64, Duration> {
        let begins = used_up.max(now.0);
        let allowed_ahead = self.step.saturating_mul(u64::from(self.rule.burst) - 1);
        match (begins - now.0).checked_sub(allowed_ahead) {
            None | Some(0) => Ok(begins.saturating_add(self.step)),
            Some(wait) => Err(Duration::from_nanos(wait)),
        }
    }
}

impl OverLimit {
    /// In so many seconds another request will be let through (RFC 9110 10.2.3).
    pub(super) fn retry_after(&self) -> u64 {
        self.wait.as_secs() + u64::from(self.wait.subsec_nanos() > 0)
    }
}
