//! What an algorithm makes of prepared shares.
//!
//! Shares say how much each cluster gets; the endpoints of clusters that share by their number of them are one
//! **pool**, within which the algorithms compare. A cluster with an explicit weight is a pool of its own, and
//! one that a route is pinned to is the only one. Cost of a choice, by algorithm:
//!
//! | in turn, of two, quickest of two | the same for any number of endpoints |
//! | fewest requests, by key | a look at every endpoint of the pool, some nanoseconds each |

use super::claim::Claim;
use super::shares::{ClusterShare, Serving, Shares};
use crate::hash::{mix, score};
use crate::health::EndpointState;
use std::sync::Arc;
use tidegate_model::{AffinityMode, Algorithm, Balance, ClusterName, OnFailure};
use tidegate_runtime::Tick;

/// How endpoints are chosen: what of [`Balance`] a choice needs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ways {
    pub(super) algorithm: Way,
    pub(super) sessions: Option<(AffinityMode, OnFailure)>,
}

/// An [`Algorithm`] without what was needed before: the parts of the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Way {
    #[default]
    InTurn,
    Fewest,
    FewerOfTwo,
    QuickerOfTwo,
    ByKey {
        /// So many endpoints have a key.
        subset: usize,
    },
}

impl Ways {
    pub(super) fn of(balance: &Balance) -> Self {
        Self {
            algorithm: match &balance.algorithm {
                Algorithm::RoundRobin => Way::InTurn,
                Algorithm::LeastConnections => Way::Fewest,
                Algorithm::RandomOfTwo => Way::FewerOfTwo,
                Algorithm::PeakEwma => Way::QuickerOfTwo,
                Algorithm::Hash(hash) => Way::ByKey {
                    subset: hash.subset.map_or(1, |size| size as usize),
                },
            },
            sessions: balance.affinity.as_ref().map(|a| (a.mode, a.on_failure)),
        }
    }
}

impl Shares {
    /// The endpoint of a request's first attempt. `point` is that of the walk.
    pub(super) fn claimed(
        &self,
        pinned: Option<&ClusterName>,
        claim: &Claim,
        point: u32,
        now: Tick,
    ) -> Option<&Arc<EndpointState>> {
        let found = match (claim, self.ways.algorithm, self.ways.sessions) {
            (Claim::Free, ..) => None,
            (Claim::Session(session), _, Some((AffinityMode::Balanced, _))) => {
                self.keyed(pinned, session.key())
            }
            (Claim::Session(session), _, Some((AffinityMode::Persistent, _))) => {
                session.held().and_then(|key| self.named(pinned, key))
            }
            (Claim::Key(key), Way::ByKey { subset }, None) => {
                self.keyed_subset(pinned, *key, subset, mix(point.into()))
            }
            // The rules have changed since the request was read.
            (Claim::Session(_), _, None) | (Claim::Key(_), ..) => None,
        };
        found.or_else(|| self.unkeyed(pinned, point, now))
    }

    /// The endpoint for a request that says nothing on where it goes.
    pub(super) fn unkeyed(
        &self,
        pinned: Option<&ClusterName>,
        point: u32,
        now: Tick,
    ) -> Option<&Arc<EndpointState>> {
        match self.ways.algorithm {
            Way::InTurn | Way::ByKey { .. } => self.first(pinned, point),
            Way::Fewest => self.fewest(pinned, point),
            Way::FewerOfTwo => self.of_two(pinned, point, |e| f64::from(e.active())),
            Way::QuickerOfTwo => self.of_two(pinned, point, |e| e.expected_wait(now)),
        }
    }

    /// The clusters whose endpoints are compared with those of `cluster`, and itself.
    fn pool<'s>(
        &'s self,
        pinned: Option<&ClusterName>,
        cluster: &'s ClusterShare,
    ) -> impl Iterator<Item = &'s ClusterShare> {
        let shared = cluster.pooled && self.pinned(pinned).is_none();
        let among = match shared {
            true => &self.clusters[..],
            false => std::slice::from_ref(cluster),
        };
        among.iter().filter(move |other| {
            !shared || (other.pooled && other.tier == cluster.tier && other.share > 0.0)
        })
    }

    /// The one with the fewest requests for its part; the walk decides among equals.
    fn fewest(&self, pinned: Option<&ClusterName>, point: u32) -> Option<&Arc<EndpointState>> {
        let (cluster, at) = self.cluster_at(pinned, point)?;
        let usual = cluster.at(at)?;
        let burden = |s: &Serving| (f64::from(s.endpoint.active()) + 1.0) / s.part;
        let mut best = (burden(usual), usual);
        let pool = self.pool(pinned, cluster);
        for serving in pool.flat_map(|cluster| &cluster.serving) {
            let found = burden(serving);
            if found < best.0 {
                best = (found, serving);
            }
        }
        Some(&best.1.endpoint)
    }

    /// The better one of two: that of the walk and one by chance.
    fn of_two(
        &self,
        pinned: Option<&ClusterName>,
        point: u32,
        cost: impl Fn(&EndpointState) -> f64,
    ) -> Option<&Arc<EndpointState>> {
        let (cluster, at) = self.cluster_at(pinned, point)?;
        let one = &cluster.at(at)?.endpoint;
        let chance = mix(point.into()) as u32;
        let (other_cluster, other_at) = self.cluster_at(pinned, chance)?;
        let comparable = self
            .pool(pinned, cluster)
            .any(|pooled| std::ptr::eq(pooled, other_cluster));
        let other = match comparable {
            true => other_cluster.at(other_at),
            false => cluster.at(chance.into()),
        };
        let other = &other?.endpoint;
        Some(match cost(other) < cost(one) {
            true => other,
            false => one,
        })
    }

    /// The endpoint that wants `key` most.
    pub(super) fn keyed(
        &self,
        pinned: Option<&ClusterName>,
        key: u64,
    ) -> Option<&Arc<EndpointState>> {
        self.most_wanting(pinned, key).map(|(_, endpoint)| endpoint)
    }

    /// One of the `size` endpoints that want `key` most; `turn` says which.
    pub(super) fn keyed_subset(
        &self,
        pinned: Option<&ClusterName>,
        key: u64,
        size: usize,
        turn: u64,
    ) -> Option<&Arc<EndpointState>> {
        let (cluster, first) = self.most_wanting(pinned, key)?;
        if size <= 1 {
            return Some(first);
        }
        let mut best: [Option<(f64, &Arc<EndpointState>)>; SUBSET_MAX] = [None; SUBSET_MAX];
        let best = &mut best[..size.min(SUBSET_MAX)];
        let mut count = 0;
        for among in self.pool(pinned, cluster) {
            for (wish, endpoint) in among.wishes(key) {
                let place = best[..count].partition_point(|b| b.is_some_and(|(w, _)| w >= wish));
                if place < best.len() {
                    count = (count + 1).min(best.len());
                    best[place..count].rotate_right(1);
                    best[place] = Some((wish, endpoint));
                }
            }
        }
        let which = usize::try_from(turn % count.max(1) as u64).unwrap_or(0);
        best[which].map(|(_, endpoint)| endpoint)
    }

    fn most_wanting(
        &self,
        pinned: Option<&ClusterName>,
        key: u64,
    ) -> Option<(&ClusterShare, &Arc<EndpointState>)> {
        if let Some(cluster) = self.pinned(pinned) {
            return Some((cluster, cluster.most_wanting(key)?.1));
        }
        let mut best: Option<(f64, &ClusterShare, &Arc<EndpointState>)> = None;
        for cluster in self.clusters.iter().filter(|c| c.share > 0.0) {
            let Some((wish, endpoint)) = cluster.most_wanting(key) else {
                continue;
            };
            let wish = match cluster.pooled {
                true => wish,
                false => score(mix(key ^ cluster.identity()), cluster.share),
            };
            if best.is_none_or(|(before, ..)| wish > before) {
                best = Some((wish, cluster, endpoint));
            }
        }
        best.map(|(_, cluster, endpoint)| (cluster, endpoint))
    }

    /// The serving endpoint of this identity in a cluster that gets requests.
    pub(super) fn named(
        &self,
        pinned: Option<&ClusterName>,
        identity: u64,
    ) -> Option<&Arc<EndpointState>> {
        let pinned = self.pinned(pinned);
        let mut clusters = self.clusters.iter().filter(|cluster| match pinned {
            Some(pinned) => std::ptr::eq(pinned, *cluster),
            None => cluster.share > 0.0,
        });
        clusters.find_map(|c| c.serving().find(|e| e.identity() == identity))
    }
}

/// Larger subsets are refused by the model.
const SUBSET_MAX: usize = 64;

impl ClusterShare {
    /// How much each endpoint wants `key`. What it is given counts, so that wishes compare across a pool.
    fn wishes(&self, key: u64) -> impl Iterator<Item = (f64, &Arc<EndpointState>)> {
        let of_one = self.share.max(f64::MIN_POSITIVE) / self.parts();
        self.serving.iter().map(move |serving| {
            let hash = mix(key ^ serving.endpoint.identity());
            (score(hash, of_one * serving.part), &serving.endpoint)
        })
    }

    fn most_wanting(&self, key: u64) -> Option<(f64, &Arc<EndpointState>)> {
        if !self.even {
            return self.wishes(key).max_by(|(a, _), (b, _)| a.total_cmp(b));
        }
        // Equal parts: the order of the scores is that of the hashes, which needs no logarithms.
        let hash = |s: &&Serving| mix(key ^ s.endpoint.identity());
        let best = self.serving.iter().max_by_key(hash)?;
        let of_one = self.share.max(f64::MIN_POSITIVE) / self.serving.len() as f64;
        Some((score(hash(&best), of_one), &best.endpoint))
    }
}
