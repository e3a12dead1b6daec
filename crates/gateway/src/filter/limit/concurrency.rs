//! How many requests are let through at the same time: of each client, each key, or a whole route.

use super::{Groups, tell};
use crate::conn::OwnAnswer;
use crate::filter::{Facts, Own};
use crate::table::HeaderLookup;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use tidegate_model::{ConcurrencyLimit, LimitBy, LimitOf};

/// Counts requests under way, shared by all workers.
#[derive(Debug)]
pub(in crate::filter) struct ConcurrencyLimiter {
    rule: ConcurrencyLimit,
    counts: Counts,
}

#[derive(Debug)]
enum Counts {
    /// One number for all.
    Route(AtomicU32),
    /// One for each client or key that has requests under way.
    Groups(Groups<u32>),
}

/// The place of one request; dropped when it is over.
#[derive(Debug)]
pub(crate) struct Slot {
    limiter: Arc<ConcurrencyLimiter>,
    /// Not looked at where all of a route are counted together.
    group: u64,
}

impl ConcurrencyLimiter {
    pub(in crate::filter) fn new(rule: &ConcurrencyLimit) -> Self {
        Self {
            rule: rule.clone(),
            counts: match rule.by {
                LimitBy::Route => Counts::Route(AtomicU32::new(0)),
                LimitBy::Client | LimitBy::Key(_) => Counts::Groups(Groups::new()),
            },
        }
    }

    /// Whether it counts by this very rule.
    pub(in crate::filter) fn is_for(&self, rule: &ConcurrencyLimit) -> bool {
        self.rule == *rule
    }

    /// Gives a request its place, one of `gateways` gateways being asked; `None` if it is not counted. The answer if there
    /// is no place.
    pub(in crate::filter) fn admit<H: HeaderLookup>(
        self: &Arc<Self>,
        facts: &Facts<'_, H>,
        gateways: u32,
        own: &mut Own<'_>,
    ) -> Result<Option<Slot>, OwnAnswer> {
        let exempt = |range: &tidegate_model::Cidr| range.contains(facts.client);
        if self.rule.exempt.iter().any(exempt) {
            return Ok(None);
        }
        let among = match self.rule.of {
            LimitOf::Gateway => 1,
            LimitOf::Fleet => gateways.max(1),
        };
        let max = (self.rule.requests / among).max(1);
        let one_more = |count| (count < max).then_some(count + 1);
        let group = match &self.counts {
            Counts::Route(count) => {
                let counted = count.try_update(Relaxed, Relaxed, one_more);
                counted.ok().map(|_| 0)
            }
            Counts::Groups(groups) => {
                let group = groups.of(&self.rule.by, facts);
                let mut shard = groups.shard(group);
                let count = shard.entry(group).or_insert(0);
                one_more(*count).map(|more| {
                    *count = more;
                    group
                })
            }
        };
        match group {
            Some(group) => Ok(Some(Slot {
                limiter: Arc::clone(self),
                group,
            })),
            None => {
                let usual = OwnAnswer::TooBusy(self.rule.over.status);
                Err(tell(&self.rule.over, usual, own))
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        match &self.limiter.counts {
            Counts::Route(count) => {
                count.fetch_sub(1, Relaxed);
            }
            Counts::Groups(groups) => {
                if let Entry::Occupied(mut count) = groups.shard(self.group).entry(self.group) {
                    match *count.get() {
                        0 | 1 => drop(count.remove()),
                        _ => *count.get_mut() -= 1,
                    }
                }
            }
        }
    }
}
