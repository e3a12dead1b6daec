//! What a service has said, remembered for requests with the same credentials.

use super::Opinion;
use crate::filter::Facts;
use crate::key::write_key;
use crate::table::HeaderLookup;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use tidegate_model::{AuthCache as Rule, KeyPart};
use tidegate_runtime::Tick;

/// The opinions on requests of one route, by their keys. What is kept is not asked again, so a credential that is
/// withdrawn lets in for as long as the rule says.
#[derive(Debug)]
pub(super) struct Cache {
    rule: Rule,
    /// The headers and cookies of the key.
    credentials: Vec<KeyPart>,
    kept: Mutex<HashMap<Key, (Arc<Opinion>, Tick)>>,
    hashers: [RandomState; 2],
}

/// Two independent hashes with secrets of their own: no client can make its key another's.
type Key = [u64; 2];

/// More keys than this at a time are an attack, or a key that differs with every request.
const KEPT_MAX: usize = 10_000;

impl Cache {
    pub(super) fn new(rule: &Rule) -> Self {
        let credential = |part: &&KeyPart| matches!(part, KeyPart::Header(_) | KeyPart::Cookie(_));
        Self {
            rule: rule.clone(),
            credentials: rule.key.iter().filter(credential).cloned().collect(),
            kept: Mutex::default(),
            hashers: [RandomState::new(), RandomState::new()],
        }
    }

    /// `None` where a request has no credential: it is always asked about.
    fn key<H: HeaderLookup>(&self, facts: &Facts<'_, H>) -> Option<Key> {
        if !write_key(&self.credentials, facts, |_| {}) {
            return None;
        }
        let mut hashers = self.hashers.each_ref().map(BuildHasher::build_hasher);
        write_key(&self.rule.key, facts, |part| {
            for hasher in &mut hashers {
                // With its length, so that two parts are no other two with the same bytes.
                hasher.write_usize(part.len());
                hasher.write(part);
            }
        });
        Some(hashers.map(|hasher| hasher.finish()))
    }

    /// What was said about a request like this, if that is not too old.
    pub(super) fn remembered<H: HeaderLookup>(
        &self,
        facts: &Facts<'_, H>,
        now: Tick,
    ) -> Option<Arc<Opinion>> {
        let key = self.key(facts)?;
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (opinion, until) = kept.get(&key)?;
        (now < *until).then(|| Arc::clone(opinion))
    }

    /// Keeps what was said about a request, if the rule keeps such answers. One that sets cookies is for its client alone.
    pub(super) fn remember<H: HeaderLookup>(
        &self,
        facts: &Facts<'_, H>,
        opinion: &Arc<Opinion>,
        now: Tick,
    ) {
        let Some(status) = opinion.status().filter(|_| !opinion.sets_cookies()) else {
            return;
        };
        let mut rules = self.rule.keep.iter();
        let Some(rule) = rules.find(|rule| rule.statuses.contains(&status)) else {
            return;
        };
        let Some(key) = self.key(facts) else {
            return;
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX && !kept.contains_key(&key) {
            kept.retain(|_, (_, until)| now < *until);
            if kept.len() >= KEPT_MAX {
                kept.clear();
            }
        }
        kept.insert(key, (Arc::clone(opinion), now + rule.time));
    }
}
