//! The shares of clusters and endpoints at one moment, prepared so that choosing costs next to nothing.
//!
//! 1. **Lost clusters** have no endpoint that can serve; they count for nothing while another has one.
//! 2. **Panic**: if of the endpoints of the others less than `panic_below_percent` can serve, the verdicts are
//!    not to be trusted: traffic is spread evenly over all endpoints of those clusters. If every cluster is
//!    lost, over all there are.
//! 3. Else **tiers** in their order: each takes what its healthy part allows (`spill_below_percent`) of what
//!    those before left over. Returning endpoints count by the part of the ramp they have climbed.
//! 4. **Within a tier** by ready endpoints or explicit weights; within a cluster evenly, but for new endpoints that
//!    warm up. What an algorithm makes of these shares stands in `pools`.

use super::pools::Ways;
use crate::hash::stable_hash;
use crate::health::{
    Availability, BackendHealth, ClusterState, EndpointId, EndpointState, Unavailable,
};
use std::sync::Arc;
use tidegate_model::{ClusterName, Placement, Weight};
use tidegate_runtime::Tick;

/// Prepared shares of a backend.
#[derive(Debug)]
pub struct Shares {
    epoch: u64,
    valid_until: Tick,
    mode: Mode,
    pub(super) ways: Ways,
    pub(super) clusters: Vec<ClusterShare>,
}

/// Whether verdicts are heeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They are.
    Normal,
    /// Too few endpoints could serve, so all do.
    Panic,
    /// There are no endpoints.
    Empty,
}

/// One cluster's part.
#[derive(Debug)]
pub struct ClusterShare {
    cluster: Arc<ClusterState>,
    /// Every endpoint.
    all: Vec<Arc<EndpointState>>,
    /// Those that get requests.
    pub(super) serving: Vec<Serving>,
    /// No two serving endpoints differ in weight.
    pub(super) even: bool,
    /// Its tier, 0 for the first.
    pub(super) tier: usize,
    /// Whether it shares by its endpoints, so that these may be compared with those of others.
    pub(super) pooled: bool,
    /// Of the whole backend, 0 to 1.
    pub(super) share: f64,
    /// Its part of the 2^32 points ends here.
    end: u64,
}

#[derive(Debug)]
pub(super) struct Serving {
    pub(super) endpoint: Arc<EndpointState>,
    /// Part of a full share as far as its health goes.
    weight: f64,
    /// The same while it warms up: it is as strong as any, but gets less.
    pub(super) part: f64,
    /// Its part of the cluster's 2^32 points ends here.
    end: u64,
}

const POINTS: f64 = 4_294_967_296.0;

impl Default for Shares {
    fn default() -> Self {
        Self {
            epoch: 0,
            valid_until: Tick::NEVER,
            mode: Mode::Empty,
            ways: Ways::default(),
            clusters: Vec::new(),
        }
    }
}

impl Shares {
    /// The shares of a backend's present endpoints under its present rules and verdicts.
    pub fn prepare(backend: &BackendHealth, now: Tick) -> Self {
        backend.expire(now);
        // Before looking: a change in between then only means preparing once more.
        let epoch = backend.epoch();
        let policy = backend.policy();
        let (mut clusters, mut valid_until) = survey(backend, now);
        let mode = decide_mode(&mut clusters, policy.placement.panic_below_percent);
        if mode == Mode::Panic {
            // Nothing may change but time; look again soon whether the panic is over.
            valid_until = valid_until.min(now + std::time::Duration::from_millis(100));
            share_evenly(&mut clusters);
        } else {
            share_by_tiers(&mut clusters, &policy.placement);
        }
        lay_out(&mut clusters);
        Self {
            epoch,
            valid_until,
            mode,
            ways: Ways::of(&policy.balance),
            clusters,
        }
    }

    /// The state of the backend they were prepared for.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// When they change by the passing of time alone.
    pub fn valid_until(&self) -> Tick {
        self.valid_until
    }

    /// Whether verdicts are heeded.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// All clusters with endpoints, by name.
    pub fn clusters(&self) -> &[ClusterShare] {
        &self.clusters
    }

    /// The endpoint at `point` of the walk.
    pub(super) fn first(
        &self,
        pinned: Option<&ClusterName>,
        point: u32,
    ) -> Option<&Arc<EndpointState>> {
        let (cluster, point) = self.cluster_at(pinned, point)?;
        Some(&cluster.at(point)?.endpoint)
    }

    /// The cluster at `point`, which is `pinned` while that can serve, and the same point stretched over the
    /// cluster's own points.
    pub(super) fn cluster_at(
        &self,
        pinned: Option<&ClusterName>,
        point: u32,
    ) -> Option<(&ClusterShare, u64)> {
        let point = u64::from(point);
        if let Some(cluster) = self.pinned(pinned) {
            return Some((cluster, point));
        }
        let mut start = 0;
        for cluster in &self.clusters {
            if point < cluster.end {
                let stretched = ((point - start) << 32) / (cluster.end - start);
                return Some((cluster, stretched));
            }
            start = cluster.end;
        }
        None
    }

    /// The cluster that a route is pinned to, while it can serve.
    pub(super) fn pinned(&self, pinned: Option<&ClusterName>) -> Option<&ClusterShare> {
        let name = pinned?;
        let mut named = self.clusters.iter().filter(|c| c.name() == name);
        named.next().filter(|cluster| !cluster.serving.is_empty())
    }

    /// Another endpoint after those in `tried`; the order of preference stands at [`super::choose`].
    pub(super) fn further(
        &self,
        pinned: Option<&ClusterName>,
        tried: &[EndpointId],
        random: u64,
    ) -> Option<&Arc<EndpointState>> {
        let untried = |e: &&Arc<EndpointState>| !tried.contains(&e.id());
        let rank = |cluster: &ClusterShare| {
            let touched = cluster.all.iter().any(|e| tried.contains(&e.id()));
            (pinned != Some(cluster.name()), touched, cluster.tier)
        };
        let serving = |c: &'_ ClusterShare| c.serving().filter(untried).count();
        let best = self
            .clusters
            .iter()
            .filter(|c| serving(c) > 0)
            .map(rank)
            .min();
        if let Some(best) = best {
            let of_best = || self.clusters.iter().filter(|c| rank(c) == best);
            let candidates = || of_best().flat_map(ClusterShare::serving).filter(untried);
            return candidates().nth(below(random, candidates().count()));
        }
        let rest = || self.clusters.iter().flat_map(|c| &c.all).filter(untried);
        rest().nth(below(random, rest().count()))
    }
}

// === impl ClusterShare ===

impl ClusterShare {
    /// The cluster.
    pub fn name(&self) -> &ClusterName {
        self.cluster.name()
    }

    /// Its part of the backend's requests, 0 to 1.
    pub fn share(&self) -> f64 {
        self.share
    }

    /// Endpoints that get requests.
    pub fn serving(&self) -> impl Iterator<Item = &Arc<EndpointState>> {
        self.serving.iter().map(|s| &s.endpoint)
    }

    /// All endpoints.
    pub fn all(&self) -> &[Arc<EndpointState>] {
        &self.all
    }

    fn healthy(&self) -> f64 {
        self.serving.iter().map(|s| s.weight).sum()
    }

    /// What its endpoints are given in all.
    pub(super) fn parts(&self) -> f64 {
        self.serving.iter().map(|s| s.part).sum()
    }

    /// Its identity: the same in every gateway.
    pub(super) fn identity(&self) -> u64 {
        stable_hash(self.name().as_str().as_bytes())
    }

    pub(super) fn at(&self, point: u64) -> Option<&Serving> {
        let index = if self.even {
            usize::try_from((point * self.serving.len() as u64) >> 32).ok()?
        } else {
            self.serving.partition_point(|s| s.end <= point)
        };
        self.serving.get(index)
    }
}

/// Who is there and can serve, by cluster, and until when that holds by itself.
fn survey(backend: &BackendHealth, now: Tick) -> (Vec<ClusterShare>, Tick) {
    let policy = backend.policy();
    let (rule, warmup) = (policy.placement.return_, policy.warmup());
    let mut valid_until = Tick::END;
    let mut clusters: Vec<ClusterShare> = Vec::new();
    let mut held: Vec<(usize, Arc<EndpointState>)> = Vec::new();
    for endpoint in backend.endpoints().iter() {
        if clusters
            .last()
            .is_none_or(|c| c.name() != endpoint.cluster().name())
        {
            clusters.push(ClusterShare {
                cluster: Arc::clone(endpoint.cluster()),
                all: Vec::new(),
                serving: Vec::new(),
                even: true,
                tier: 0,
                pooled: true,
                share: 0.0,
                end: 0,
            });
        }
        let at = clusters.len() - 1;
        let (availability, until) = endpoint.availability(&rule, now);
        valid_until = valid_until.min(until);
        match availability {
            Availability::Serving(weight) => {
                let (warmth, until) = endpoint.warmth(warmup, now);
                valid_until = valid_until.min(until);
                clusters[at].serve(endpoint, weight, weight * warmth);
            }
            Availability::Not(Unavailable::Held) => held.push((at, Arc::clone(endpoint))),
            Availability::Not(_) => {}
        }
        clusters[at].all.push(Arc::clone(endpoint));
    }
    if clusters.iter().all(|c| c.serving.is_empty()) {
        // A hold protects what is healthy elsewhere; there is none.
        for (at, endpoint) in &held {
            clusters[*at].serve(endpoint, 1.0, 1.0);
        }
    }
    (clusters, valid_until)
}

impl ClusterShare {
    fn serve(&mut self, endpoint: &Arc<EndpointState>, weight: f64, part: f64) {
        self.serving.push(Serving {
            endpoint: Arc::clone(endpoint),
            weight,
            part,
            end: 0,
        });
    }
}

/// In panic, lets all endpoints serve that the rule spreads over.
fn decide_mode(clusters: &mut [ClusterShare], panic_below_percent: u8) -> Mode {
    if clusters.is_empty() {
        return Mode::Empty;
    }
    let all_lost = clusters.iter().all(|c| c.serving.is_empty());
    let alive = || clusters.iter().filter(|c| !c.serving.is_empty());
    let total: usize = alive().map(|c| c.all.len()).sum();
    let serving: usize = alive().map(|c| c.serving.len()).sum();
    if !all_lost && serving * 100 >= total * usize::from(panic_below_percent) {
        return Mode::Normal;
    }
    for cluster in clusters {
        if all_lost || !cluster.serving.is_empty() {
            cluster.serving.clear();
            for endpoint in cluster.all.clone() {
                cluster.serve(&endpoint, 1.0, 1.0);
            }
        }
    }
    Mode::Panic
}

fn share_evenly(clusters: &mut [ClusterShare]) {
    let total: f64 = clusters.iter().map(ClusterShare::healthy).sum();
    for cluster in clusters {
        cluster.share = cluster.healthy() / total;
    }
}

fn share_by_tiers(clusters: &mut [ClusterShare], placement: &Placement) {
    let mut weights = vec![0.0; clusters.len()];
    for (cluster, weight) in clusters.iter_mut().zip(&mut weights) {
        let (tier, rule) = tier_of(cluster.name(), placement);
        cluster.tier = tier;
        cluster.pooled = rule == Weight::ReadyEndpoints;
        *weight = match rule {
            Weight::ReadyEndpoints => cluster.parts(),
            Weight::Explicit(explicit) => {
                let climbed = cluster.serving.iter().map(|s| s.weight).fold(0.0, f64::max);
                f64::from(explicit) * climbed
            }
        };
    }
    let mut left = 1.0_f64;
    for tier in 0..=placement.tiers.len() {
        let members: Vec<usize> = (0..clusters.len())
            .filter(|i| clusters[*i].tier == tier && !excluded(&clusters[*i], placement))
            .collect();
        let total: usize = members.iter().map(|i| clusters[*i].all.len()).sum();
        let weight: f64 = members.iter().map(|i| weights[*i]).sum();
        if total == 0 || weight <= 0.0 {
            continue;
        }
        let healthy: f64 = members.iter().map(|i| clusters[*i].healthy()).sum();
        let needed = f64::from(placement.spill_below_percent) / 100.0 * total as f64;
        let takes = if healthy >= needed {
            left
        } else {
            (healthy / needed).min(left)
        };
        left -= takes;
        for i in members {
            clusters[i].share = takes * weights[i] / weight;
        }
    }
    let given: f64 = clusters.iter().map(|c| c.share).sum();
    if given > 0.0 {
        clusters.iter_mut().for_each(|c| c.share /= given);
    } else {
        // Only clusters with weight zero can serve: better they than nobody.
        share_evenly(clusters);
    }
}

/// Weight zero means no requests, so its endpoints are no part of the tier's strength.
fn excluded(cluster: &ClusterShare, placement: &Placement) -> bool {
    tier_of(cluster.name(), placement).1 == Weight::Explicit(0)
}

/// Clusters that no tier names form one more, the last.
fn tier_of(cluster: &ClusterName, placement: &Placement) -> (usize, Weight) {
    let members = placement
        .tiers
        .iter()
        .enumerate()
        .flat_map(|(i, tier)| tier.clusters.iter().map(move |member| (i, member)));
    match members.into_iter().find(|(_, m)| m.cluster == *cluster) {
        Some((tier, member)) => (tier, member.weight),
        None => (placement.tiers.len(), Weight::default()),
    }
}

/// Gives clusters and endpoints their parts of the points.
fn lay_out(clusters: &mut [ClusterShare]) {
    let mut sum = 0.0;
    let last = clusters.iter().rposition(|c| c.share > 0.0);
    for (i, cluster) in clusters.iter_mut().enumerate() {
        sum += cluster.share;
        // The last one takes what rounding left, so that no point belongs to nobody.
        cluster.end = match last {
            Some(last) if i >= last => 1 << 32,
            _ => (sum * POINTS) as u64,
        };
        let total = cluster.parts();
        let first = cluster.serving.first().map_or(1.0, |s| s.part);
        cluster.even = cluster.serving.iter().all(|s| s.part == first);
        let mut sum = 0.0;
        let count = cluster.serving.len();
        for (i, serving) in cluster.serving.iter_mut().enumerate() {
            sum += serving.part / total;
            serving.end = if i + 1 == count {
                1 << 32
            } else {
                (sum * POINTS) as u64
            };
        }
    }
}

/// `random` reduced to less than `count`; zero when there is nothing to choose.
fn below(random: u64, count: usize) -> usize {
    usize::try_from(random % (count.max(1) as u64)).unwrap_or(0)
}
