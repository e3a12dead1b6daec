//! Gauges that are read when metrics are asked for, for collectors.

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use std::fmt;

/// One gauge without labels.
///
/// # Errors
/// That of the encoder.
pub fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: i64,
) -> fmt::Result {
    let gauge = ConstGauge::new(value);
    let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
    gauge.encode(metric)
}

/// Gauges of one name, told apart by one label. Its values must be few.
///
/// # Errors
/// That of the encoder.
pub fn gauges<'v>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &str,
    values: impl IntoIterator<Item = (&'v str, i64)>,
) -> fmt::Result {
    let kind = ConstGauge::new(0_i64).metric_type();
    let mut family = encoder.encode_descriptor(name, help, None, kind)?;
    for (which, value) in values {
        ConstGauge::new(value).encode(family.encode_family(&[(label, which)])?)?;
    }
    Ok(())
}
