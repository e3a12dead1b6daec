//! How many requests a client address may send.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tidegate_model::RateLimit;
use tidegate_runtime::Tick;

/// Counts requests by client, shared by all workers.
///
/// For each client it keeps one time: when its requests so far would have been used up at the even rate. A request
/// is refused when that lies more than the burst ahead (the "generic cell rate algorithm"). A client whose time
/// has passed is as good as new, so memory holds only those who asked lately.
#[derive(Debug)]
pub(super) struct RateLimiter {
    rule: RateLimit,
    /// Nanoseconds that one request uses up.
    step: u64,
    shards: [Mutex<HashMap<IpAddr, u64>>; SHARDS],
    hasher: RandomState,
}

/// A client asks for too much.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OverLimit {
    /// What it is told.
    pub(super) status: u16,
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
            shards: Default::default(),
            hasher: RandomState::new(),
        }
    }

    pub(super) fn admit(&self, client: IpAddr, now: Tick) -> Result<(), OverLimit> {
        if self.rule.exempt.iter().any(|range| range.contains(client)) {
            return Ok(());
        }
        let client = client.to_canonical();
        let shard = (self.hasher.hash_one(client) as usize) % SHARDS;
        let mut clients = self.shards[shard]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= CLIENTS_MAX && !clients.contains_key(&client) {
            clients.retain(|_, used_up| *used_up > now.0);
            if clients.len() >= CLIENTS_MAX {
                clients.clear();
            }
        }
        let used_up = clients.entry(client).or_insert(0);
        let begins = (*used_up).max(now.0);
        let allowed_ahead = self.step.saturating_mul(u64::from(self.rule.burst) - 1);
        let ahead = begins - now.0;
        if ahead > allowed_ahead {
            return Err(OverLimit {
                status: self.rule.status,
                wait: Duration::from_nanos(ahead - allowed_ahead),
            });
        }
        *used_up = begins.saturating_add(self.step);
        Ok(())
    }
}

impl OverLimit {
    /// In so many seconds another request will be let through (RFC 9110 10.2.3).
    pub(super) fn retry_after(&self) -> u64 {
        self.wait.as_secs() + u64::from(self.wait.subsec_nanos() > 0)
    }
}
