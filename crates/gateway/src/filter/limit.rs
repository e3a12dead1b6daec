//! Limits: how much may be asked, in a time and at the same time.

mod concurrency;
mod rate;

pub(super) use concurrency::ConcurrencyLimiter;
pub(crate) use concurrency::Slot;
pub(super) use rate::RateLimiter;

use super::{Facts, Own};
use crate::conn::OwnAnswer;
use crate::h1::append_line;
use crate::key::write_key;
use crate::table::HeaderLookup;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tidegate_model::{LimitBy, OverLimit};

/// Something counted for each group of requests apart. A group is a number that nobody outside can foresee, so that no
/// client can choose to be taken for another.
#[derive(Debug)]
struct Groups<T> {
    shards: Box<[Mutex<HashMap<u64, T>>; SHARDS]>,
    hasher: RandomState,
}

/// So many groups can be looked up at the same time.
const SHARDS: usize = 16;

impl<T> Groups<T> {
    fn new() -> Self {
        Self {
            shards: Box::new(std::array::from_fn(|_| Mutex::default())),
            hasher: RandomState::new(),
        }
    }

    /// The group that a request belongs to.
    fn of<H: HeaderLookup>(&self, by: &LimitBy, facts: &Facts<'_, H>) -> u64 {
        if let LimitBy::Key(parts) = by {
            let mut key = self.hasher.build_hasher();
            // Keys and addresses are not to be taken for one another.
            key.write_u8(1);
            if write_key(parts, facts, |part| key.write(part)) {
                return key.finish();
            }
        }
        let mut key = self.hasher.build_hasher();
        match facts.client.to_canonical() {
            IpAddr::V4(address) => key.write(&address.octets()),
            IpAddr::V6(address) => key.write(&address.octets()),
        }
        key.finish()
    }

    /// Where a group is found.
    fn shard(&self, group: u64) -> MutexGuard<'_, HashMap<u64, T>> {
        let shard = &self.shards[group as usize % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says what a rule wants said to those who ask too much; `usual` where it leaves that to the gateway.
fn tell(over: &OverLimit, usual: OwnAnswer, own: &mut Own<'_>) -> OwnAnswer {
    if let Some(url) = &over.redirect {
        append_line(own.lines, "Location", url.as_bytes());
        return OwnAnswer::Bare(302);
    }
    match &over.body {
        None => usual,
        Some(body) => {
            append_line(own.lines, "Content-Type", over.content_type.as_bytes());
            own.body.clear();
            own.body.extend_from_slice(body.as_bytes());
            OwnAnswer::Given(over.status)
        }
    }
}
