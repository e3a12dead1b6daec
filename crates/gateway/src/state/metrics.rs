//! Metrics of the decisions. Labels are clusters and verdicts, both of which are few.

use crate::health::HealthTable;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use std::fmt;
use std::sync::Arc;
use tidegate_runtime::{Clock, gauge, gauges};

/// Reads the health table when metrics are asked for, so that requests pay nothing for them. Register it with
/// `Registry::register_collector`.
#[derive(Debug)]
pub struct HealthMetrics {
    health: Arc<HealthTable>,
    clock: Clock,
}

impl HealthMetrics {
    /// Metrics of `health`, with ages by `clock`.
    pub fn new(health: Arc<HealthTable>, clock: Clock) -> Self {
        Self { health, clock }
    }
}

impl Collector for HealthMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let now = self.clock.now();
        let clusters = self.health.clusters();
        let counts = [
            (
                "gateway_cluster_attempts",
                "Attempts sent to a cluster",
                true,
            ),
            (
                "gateway_cluster_failures",
                "Attempts that failed in a cluster",
                false,
            ),
        ];
        for (name, help, all) in counts {
            let first = ConstCounter::new(0_u64);
            let mut family = encoder.encode_descriptor(name, help, None, first.metric_type())?;
            for cluster in &clusters {
                let value = match all {
                    true => cluster.requests(),
                    false => cluster.failures(),
                };
                let labels = [("cluster", cluster.name().as_str())];
                ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
            }
        }
        let suspect = clusters.iter().map(|cluster| {
            let suspect = cluster.suspect_since(now).is_some();
            (cluster.name().as_str(), i64::from(suspect))
        });
        gauges(
            &mut encoder,
            "gateway_cluster_suspect",
            "1 while a cluster is silent",
            "cluster",
            suspect,
        )?;
        gauge(
            &mut encoder,
            "gateway_self_suspect",
            "1 while every endpoint fails its probes",
            i64::from(self.health.self_suspect()),
        )
    }
}
