//! Certificates as metrics, so that one that is about to expire is noticed before clients notice it.

use super::Shared;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use std::fmt;
use std::sync::Arc;

/// Shows the certificates of the table in use to whoever asks for metrics.
#[derive(Debug)]
pub struct CertificateMetrics(pub Arc<Shared>);

impl Collector for CertificateMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let table = self.0.table.load();
        let certificates = table.certificates();
        let gauge = ConstGauge::new(0_i64);
        let mut family = encoder.encode_descriptor(
            "gateway_certificate_not_after_seconds",
            "When a certificate expires, in seconds since 1970",
            None,
            gauge.metric_type(),
        )?;
        for (id, not_after) in certificates.expiry() {
            let labels = [("certificate", id.as_str())];
            ConstGauge::new(not_after).encode(family.encode_family(&labels)?)?;
        }
        let unusable = encoder.encode_descriptor(
            "gateway_certificates_unusable",
            "Certificates of the snapshot that cannot be shown",
            None,
            gauge.metric_type(),
        )?;
        let count = i64::try_from(certificates.unusable().len()).unwrap_or(i64::MAX);
        ConstGauge::new(count).encode(unusable)
    }
}
