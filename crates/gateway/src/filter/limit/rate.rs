//! How many requests are let through in a time: for each client, each key, or a whole route.

use super::{Groups, tell};
use crate::conn::OwnAnswer;
use crate::filter::{Facts, Own};
use crate::h1::append_line;
use crate::table::HeaderLookup;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tidegate_model::{LimitBy, LimitOf, RateLimit};
use tidegate_runtime::Tick;

/// Counts requests, shared by all workers.
///
/// It keeps one time: when the requests so far would have been used up at the even rate. A request is refused when
/// that lies more than the burst ahead (the "generic cell rate algorithm").
#[derive(Debug)]
pub(in crate::filter) struct RateLimiter {
    rule: RateLimit,
    /// Nanoseconds that one request uses up.
    step: u64,
    counts: Counts,
}

#[derive(Debug)]
enum Counts {
    /// One time for all.
    Route(AtomicU64),
    /// One for each client or key. A group whose time has passed is as good as new, so memory holds only those who
    /// asked lately.
    Groups(Groups<u64>),
}

/// What holds for one gateway.
#[derive(Clone, Copy)]
struct Share {
    step: u64,
    burst: u32,
}

/// Groups kept in a shard; an attacker with more addresses than all of these is not stopped by a count for
/// each address.
const GROUPS_MAX: usize = 4096;

impl RateLimiter {
    pub(in crate::filter) fn new(rule: &RateLimit) -> Self {
        let per = u64::try_from(rule.per.as_nanos()).unwrap_or(u64::MAX);
        Self {
            rule: rule.clone(),
            step: (per / u64::from(rule.requests.max(1))).max(1),
            counts: match rule.by {
                LimitBy::Route => Counts::Route(AtomicU64::new(0)),
                LimitBy::Client | LimitBy::Key(_) => Counts::Groups(Groups::new()),
            },
        }
    }

    /// Whether it counts by this very rule.
    pub(in crate::filter) fn is_for(&self, rule: &RateLimit) -> bool {
        self.rule == *rule
    }

    /// Counts a request, one of `gateways` gateways being asked; the answer if it is one too many.
    pub(in crate::filter) fn admit<H: HeaderLookup>(
        &self,
        facts: &Facts<'_, H>,
        gateways: u32,
        now: Tick,
        own: &mut Own<'_>,
    ) -> Result<(), OwnAnswer> {
        let exempt = |range: &tidegate_model::Cidr| range.contains(facts.client);
        if self.rule.exempt.iter().any(exempt) {
            return Ok(());
        }
        let share = self.share(gateways);
        let (counted, usual) = match &self.counts {
            Counts::Route(used_up) => {
                let count = |used_up| share.count(used_up, now).ok();
                let before = used_up.try_update(Relaxed, Relaxed, count);
                let counted = before
                    .map(drop)
                    .map_err(|used_up| share.count(used_up, now).err().unwrap_or_default());
                (counted, OwnAnswer::RouteLimited(self.rule.over.status))
            }
            Counts::Groups(groups) => {
                let group = groups.of(&self.rule.by, facts);
                let mut shard = groups.shard(group);
                if shard.len() >= GROUPS_MAX && !shard.contains_key(&group) {
                    shard.retain(|_, used_up| *used_up > now.0);
                    if shard.len() >= GROUPS_MAX {
                        shard.clear();
                    }
                }
                let used_up = shard.entry(group).or_insert(0);
                let counted = share.count(*used_up, now).map(|upto| *used_up = upto);
                (counted, OwnAnswer::TooMany(self.rule.over.status))
            }
        };
        counted.map_err(|wait| {
            // In so many seconds another request will be let through (RFC 9110 10.2.3).
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            append_line(own.lines, "Retry-After", seconds.to_string().as_bytes());
            tell(&self.rule.over, usual, own)
        })
    }

    fn share(&self, gateways: u32) -> Share {
        let among = match self.rule.of {
            LimitOf::Gateway => 1,
            LimitOf::Fleet => gateways.max(1),
        };
        Share {
            step: self.step.saturating_mul(among.into()),
            burst: (self.rule.burst / among).max(1),
        }
    }
}

impl Share {
    /// When all is used up after one more request; or how long that one would have to wait.
    fn count(self, used_up: u64, now: Tick) -> Result<u64, Duration> {
        let begins = used_up.max(now.0);
        let allowed_ahead = self.step.saturating_mul(u64::from(self.burst) - 1);
        match (begins - now.0).checked_sub(allowed_ahead) {
            None | Some(0) => Ok(begins.saturating_add(self.step)),
            Some(wait) => Err(Duration::from_nanos(wait)),
        }
    }
}
