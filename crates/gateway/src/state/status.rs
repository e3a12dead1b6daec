//! The gateway's own view, for the admin port: verdicts with their age and evidence.

use super::Shared;
use crate::choose::{BackendState, Mode};
use crate::health::{Availability, ClusterState, EndpointState};
use crate::tls::Certificates;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tidegate_model::ClusterName;
use tidegate_runtime::Tick;

impl Shared {
    /// Generation, verdict on each cluster, each backend's endpoints and shares, certificates.
    pub fn status_json(&self, now: Tick) -> Value {
        let table = self.table.load();
        let mut totals: BTreeMap<ClusterName, (usize, usize)> = BTreeMap::new();
        let mut backends = BTreeMap::new();
        for backend in table.backends() {
            let mut json = backend_json(backend, now, &mut totals);
            if let Some(security) = table.outgoing().of(backend.id()) {
                json["tls"] = json!({ "last_failure": security.last_failure() });
            }
            backends.insert(backend.id().to_string(), json);
        }
        let clusters: Map<String, Value> = self
            .health
            .clusters()
            .iter()
            .map(|cluster| {
                let counts = totals.get(cluster.name()).copied().unwrap_or_default();
                (
                    cluster.name().to_string(),
                    cluster_json(cluster, counts, now),
                )
            })
            .collect();
        json!({
            "generation": table.generation().0,
            "self_suspect": self.health.self_suspect(),
            "clusters": clusters,
            "backends": backends,
            "certificates": certificates_json(table.certificates()),
            "authorities_unusable": table.trusted().unusable()
                .map(|(id, why)| (id.to_string(), why.into()))
                .collect::<Map<String, Value>>(),
            "traffic": self.traffic.to_json(),
        })
    }
}

/// When each expires, in seconds since 1970, and what cannot be shown.
fn certificates_json(certificates: &Certificates) -> Value {
    let shown: Map<String, Value> = certificates
        .expiry()
        .map(|(id, not_after)| (id.to_string(), json!({ "not_after": not_after })))
        .collect();
    let unusable: Map<String, Value> = certificates
        .unusable()
        .iter()
        .map(|unusable| (unusable.id.to_string(), unusable.reason.clone().into()))
        .collect();
    json!({ "shown": shown, "unusable": unusable })
}

fn cluster_json(cluster: &ClusterState, (total, available): (usize, usize), now: Tick) -> Value {
    let suspect = cluster.suspect_since(now);
    let verdict = match suspect {
        Some(_) => "suspect",
        None if total == 0 => "empty",
        None if available == 0 => "ejected",
        None => "serving",
    };
    json!({
        "verdict": verdict,
        "suspect_ms": suspect.map(|since| millis(since, now)),
        "endpoints": total,
        "endpoints_available": available,
        "requests": cluster.requests(),
        "failures": cluster.failures(),
        "requests_out": cluster.requests_out(),
        "last_byte_ms": cluster.last_byte().happened().then(|| millis(cluster.last_byte(), now)),
        "slow_answer_us": cluster.latency().get().map(|l| u64::try_from(l.as_micros()).unwrap_or(u64::MAX)),
    })
}

fn backend_json(
    backend: &BackendState,
    now: Tick,
    totals: &mut BTreeMap<ClusterName, (usize, usize)>,
) -> Value {
    let shares = backend.shares(now);
    let rule = backend.health().policy().placement.return_;
    let serves =
        |e: &EndpointState| matches!(e.availability(&rule, now).0, Availability::Serving(_));
    let mut clusters = Map::new();
    for cluster in shares.clusters() {
        let available = cluster.all().iter().filter(|e| serves(e)).count();
        let total = totals.entry(cluster.name().clone()).or_default();
        total.0 += cluster.all().len();
        total.1 += available;
        let unavailable: Vec<Value> = cluster
            .all()
            .iter()
            .filter_map(|e| match e.availability(&rule, now).0 {
                Availability::Serving(_) => None,
                Availability::Not(why) => Some(json!({
                    "endpoint": e.address().to_string(),
                    "why": why.as_str(),
                    "failures": e.failures(),
                })),
            })
            .collect();
        clusters.insert(
            cluster.name().to_string(),
            json!({
                "endpoints": cluster.all().len(),
                "endpoints_available": available,
                "share": cluster.share(),
                "unavailable": unavailable,
            }),
        );
    }
    let mode = match shares.mode() {
        Mode::Normal => "normal",
        Mode::Panic => "panic",
        Mode::Empty => "empty",
    };
    json!({ "mode": mode, "clusters": clusters })
}

fn millis(since: Tick, now: Tick) -> u64 {
    u64::try_from(now.since(since).as_millis()).unwrap_or(u64::MAX)
}
