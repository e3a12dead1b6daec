//! What went through, as counters that each worker keeps on cache lines of its own.

use crate::health::Sharded;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;
use tidegate_runtime::gauge;

/// Counters of requests and connections.
#[derive(Debug, Default)]
pub struct Traffic {
    /// By the first digit of the status, 1 to 5.
    answers: [Sharded; 6],
    own_answers: [Sharded; 6],
    retries: Sharded,
    connections: Sharded,
    connections_total: Sharded,
    cut: Sharded,
    tls_handshakes: Sharded,
    tls_failures: Sharded,
    tls_passed: Sharded,
    proxy_headers_refused: Sharded,
    http2_connections: Sharded,
    http2_floods: Sharded,
    copies: Sharded,
    copies_dropped: Sharded,
}

/// Shows [`Traffic`] to whoever asks for metrics.
#[derive(Debug)]
pub struct TrafficMetrics(pub Arc<super::Shared>);

impl Traffic {
    /// An answer of a backend was passed on.
    pub(crate) fn answer(&self, status: u16) {
        self.answers[class(status)].add(1);
    }

    /// The gateway answered by itself.
    pub(crate) fn own_answer(&self, status: u16) {
        self.own_answers[class(status)].add(1);
    }

    /// A request was sent to a further endpoint.
    pub(crate) fn retry(&self) {
        self.retries.add(1);
    }

    /// An answer ended in its middle.
    pub(crate) fn answer_cut(&self) {
        self.cut.add(1);
    }

    /// A client of TLS may send requests.
    pub(crate) fn tls_handshake(&self) {
        self.tls_handshakes.add(1);
    }

    /// A client of TLS was sent away, or went.
    pub(crate) fn tls_failure(&self) {
        self.tls_failures.add(1);
    }

    /// A client of TLS was connected to an endpoint that ends it.
    pub(crate) fn tls_passed(&self) {
        self.tls_passed.add(1);
    }

    /// A peer that must send a PROXY header did not, and its connection was closed.
    pub(crate) fn proxy_header_refused(&self) {
        self.proxy_headers_refused.add(1);
    }

    /// A client speaks HTTP/2.
    pub(crate) fn http2_connection(&self) {
        self.http2_connections.add(1);
    }

    /// A connection of HTTP/2 was ended because its client makes work for nobody at speed.
    pub(crate) fn http2_flood(&self) {
        self.http2_floods.add(1);
    }

    /// A copy of a request was sent.
    pub(crate) fn copy(&self) {
        self.copies.add(1);
    }

    /// A copy of a request was not sent: too many were under way, or its body was too large.
    pub(crate) fn copy_dropped(&self) {
        self.copies_dropped.add(1);
    }

    pub(crate) fn connection_begins(&self) {
        self.connections.add(1);
        self.connections_total.add(1);
    }

    pub(crate) fn connection_ends(&self) {
        self.connections.subtract(1);
    }

    /// Open connections from clients.
    pub fn connections(&self) -> u64 {
        self.connections.sum()
    }

    /// Requests sent to a further endpoint.
    pub fn retries(&self) -> u64 {
        self.retries.sum()
    }

    /// For the status page.
    pub(super) fn to_json(&self) -> Value {
        let by_class = |counters: &[Sharded; 6]| {
            let classes = counters.iter().enumerate().skip(1);
            let named = classes.map(|(digit, n)| (format!("{digit}xx"), n.sum().into()));
            Value::Object(named.collect())
        };
        json!({
            "connections": self.connections.sum(),
            "answers": by_class(&self.answers),
            "own_answers": by_class(&self.own_answers),
            "retries": self.retries.sum(),
            "answers_cut": self.cut.sum(),
            "tls_handshakes": self.tls_handshakes.sum(),
            "tls_failures": self.tls_failures.sum(),
            "tls_passed": self.tls_passed.sum(),
            "proxy_headers_refused": self.proxy_headers_refused.sum(),
            "http2_connections": self.http2_connections.sum(),
            "http2_floods": self.http2_floods.sum(),
            "mirrored": self.copies.sum(),
            "mirrored_dropped": self.copies_dropped.sum(),
        })
    }
}

fn class(status: u16) -> usize {
    usize::from(status / 100).min(5)
}

impl Collector for TrafficMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let traffic = &self.0.traffic;
        let zero = ConstCounter::new(0_u64);
        let mut family = encoder.encode_descriptor(
            "gateway_answers",
            "Answers sent, by class of status and by who gave them",
            None,
            zero.metric_type(),
        )?;
        let sources = [
            ("backend", &traffic.answers),
            ("gateway", &traffic.own_answers),
        ];
        for (source, counters) in sources {
            for (digit, counter) in counters.iter().enumerate().skip(1) {
                let class = format!("{digit}xx");
                let labels = [("source", source), ("class", class.as_str())];
                ConstCounter::new(counter.sum()).encode(family.encode_family(&labels)?)?;
            }
        }
        let counters = [
            (
                "gateway_retries",
                "Requests sent to a further endpoint",
                &traffic.retries,
            ),
            (
                "gateway_answers_cut",
                "Answers that ended in their middle",
                &traffic.cut,
            ),
            (
                "gateway_client_connections",
                "Connections accepted from clients",
                &traffic.connections_total,
            ),
            (
                "gateway_tls_handshakes",
                "TLS handshakes with clients that came to their end",
                &traffic.tls_handshakes,
            ),
            (
                "gateway_tls_failures",
                "TLS handshakes with clients that did not",
                &traffic.tls_failures,
            ),
            (
                "gateway_tls_passed",
                "Connections of TLS passed through to an endpoint",
                &traffic.tls_passed,
            ),
            (
                "gateway_proxy_headers_refused",
                "Connections closed because a listed peer sent no PROXY header",
                &traffic.proxy_headers_refused,
            ),
            (
                "gateway_http2_connections",
                "Connections of clients that speak HTTP/2",
                &traffic.http2_connections,
            ),
            (
                "gateway_http2_floods",
                "Connections of HTTP/2 ended because the client made work for nobody at speed",
                &traffic.http2_floods,
            ),
            (
                "gateway_mirrored",
                "Copies of requests sent to a mirror",
                &traffic.copies,
            ),
            (
                "gateway_mirrored_dropped",
                "Copies not sent: too many under way, or the body too large",
                &traffic.copies_dropped,
            ),
        ];
        for (name, help, counter) in counters {
            let metric = encoder.encode_descriptor(name, help, None, zero.metric_type())?;
            ConstCounter::new(counter.sum()).encode(metric)?;
        }
        gauge(
            &mut encoder,
            "gateway_client_connections_open",
            "Connections from clients at the moment",
            i64::try_from(traffic.connections.sum()).unwrap_or(i64::MAX),
        )
    }
}
