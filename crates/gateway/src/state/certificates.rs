//! Certificates as metrics, so that one that is about to expire is noticed before clients notice it.

use super::Shared;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use std::fmt;
use std::sync::Arc;
use tidegate_runtime::{gauge, gauges};

/// Shows the certificates of the table in use to whoever asks for metrics.
#[derive(Debug)]
pub struct CertificateMetrics(pub Arc<Shared>);

impl Collector for CertificateMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let table = self.0.table.load();
        let certificates = table.certificates();
        let expiry = certificates.expiry();
        gauges(
            &mut encoder,
            "gateway_certificate_not_after_seconds",
            "When a certificate expires, in seconds since 1970",
            "certificate",
            expiry.map(|(id, not_after)| (id.as_str(), not_after)),
        )?;
        let unusable = certificates.unusable().len();
        gauge(
            &mut encoder,
            "gateway_certificates_unusable",
            "Certificates of the snapshot that cannot be shown",
            i64::try_from(unusable).unwrap_or(i64::MAX),
        )
    }
}
