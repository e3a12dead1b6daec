//! Keys of the ConfigMap of ingress-nginx: settings of the whole controller.

use super::{Finding, Verdict, cut};
use crate::annotation::{State, asks_for_nothing, table::look_up};

/// What has the place of a key here.
enum Place {
    /// It tunes nginx itself; clients see no difference.
    Inner,
    /// What it asks for with this value happens anyway.
    Always(&'static str),
    /// An annotation of the same name, on each Ingress that needs it.
    Annotation,
    /// Something else, which works.
    Other(&'static str),
    /// Nothing; what to do instead.
    Nothing(&'static str),
}
use Place::{Always, Annotation, Inner, Nothing, Other};

const NO_WAF: &str = "there is no web application firewall: put one in front of the gateway";
const NO_SNIPPET: &str = "free text in another proxy's language is never used: look in docs/annotations.md for an annotation that does it";
const NO_LOG: &str = "there is no access log yet: see the metrics of the gateway";
const NO_TRACE: &str = "there is no tracing yet: have the applications trace";
const NO_GZIP: &str = "the gateway does not compress: let the application or a CDN do so";
const TLS: &str = "the gateway takes TLS 1.2 and 1.3 with safe cipher suites, and nothing else";
const PROXIES: &str = "list the proxies in trustedProxies of the GatewayConfig; X-Forwarded-* of nobody else is believed";
const TIMEOUTS: &str = "set timeouts in the GatewayConfig";

/// Who is found first counts; a `*` at the end stands for any text.
const KEYS: &[(&str, Place)] = &[
    ("allow-snippet-annotations", Always("false")),
    ("annotations-risk-level", Inner),
    ("annotation-value-word-blocklist", Inner),
    ("strict-validate-path-type", Inner),
    ("worker-*", Inner),
    ("max-worker-*", Inner),
    ("error-log-*", Inner),
    ("reuse-port", Inner),
    ("enable-multi-accept", Inner),
    ("enable-aio-write", Inner),
    (
        "bind-address",
        Other("say the address with --http-listen of the gateway"),
    ),
    (
        "bind-address-ipv6",
        Other("say the address with --http-listen of the gateway"),
    ),
    ("disable-ipv6*", Inner),
    ("map-hash-*", Inner),
    ("variables-hash-*", Inner),
    ("server-name-hash-*", Inner),
    ("proxy-headers-hash-*", Inner),
    ("limit-conn-zone-variable", Inner),
    ("lua-shared-dicts", Inner),
    (
        "nginx-status-ipv*",
        Other("the gateway's /status and /metrics are at --admin-listen"),
    ),
    ("debug-connections", Inner),
    (
        "use-geoip*",
        Nothing("there is no GeoIP: look addresses up in the application"),
    ),
    (
        "geoip2-*",
        Nothing("there is no GeoIP: look addresses up in the application"),
    ),
    ("use-forwarded-headers", Other(PROXIES)),
    ("compute-full-forwarded-for", Other(PROXIES)),
    ("enable-real-ip", Other(PROXIES)),
    (
        "forwarded-for-header",
        Nothing(
            "the client's address is taken from X-Forwarded-For of a trusted proxy, and from no other header",
        ),
    ),
    (
        "forwarded-for-proxy-protocol-header",
        Nothing("the gateway does not read the PROXY protocol yet"),
    ),
    ("proxy-real-ip-cidr", Other(PROXIES)),
    (
        "use-proxy-protocol",
        Nothing(
            "the gateway does not read the PROXY protocol yet: let the load balancer send X-Forwarded-For",
        ),
    ),
    ("proxy-protocol-header-timeout", Inner),
    ("ssl-redirect", Annotation),
    ("force-ssl-redirect", Annotation),
    ("no-tls-redirect-locations", Annotation),
    (
        "hsts",
        Other(
            "have the application send Strict-Transport-Security, or set it with response-header-control-update",
        ),
    ),
    (
        "hsts-*",
        Other(
            "have the application send Strict-Transport-Security, or set it with response-header-control-update",
        ),
    ),
    ("ssl-protocols", Other(TLS)),
    ("ssl-ciphers", Other(TLS)),
    ("ssl-ecdh-curve", Other(TLS)),
    ("ssl-dh-param", Other(TLS)),
    ("ssl-early-data", Always("false")),
    ("ssl-reject-handshake", Always("true")),
    ("ssl-session-*", Inner),
    ("ssl-buffer-size", Inner),
    ("use-http2", Always("true")),
    ("http2-*", Inner),
    (
        "enable-ocsp",
        Nothing("there is no OCSP stapling: browsers do not need it any more"),
    ),
    ("server-tokens", Always("false")),
    (
        "hide-headers",
        Other("remove response headers with response-header-control-remove"),
    ),
    (
        "keep-alive",
        Other("set timeouts.clientIdle in the GatewayConfig"),
    ),
    ("keep-alive-requests", Inner),
    ("upstream-keepalive-*", Inner),
    (
        "upstream-max-fails",
        Other("failover is not set up so: see docs/failover.md"),
    ),
    (
        "upstream-fail-timeout",
        Other("failover is not set up so: see docs/failover.md"),
    ),
    ("large-client-header-buffers", Inner),
    ("client-header-*", Other(TIMEOUTS)),
    ("client-body-timeout", Other(TIMEOUTS)),
    ("client-body-buffer-size", Inner),
    (
        "proxy-connect-timeout",
        Other("set timeouts.connect in the GatewayConfig, or the annotation"),
    ),
    (
        "proxy-read-timeout",
        Other("set timeouts.firstByte in the GatewayConfig, or the annotation"),
    ),
    (
        "proxy-send-timeout",
        Other("set timeouts.bodyIdle in the GatewayConfig, or the annotation"),
    ),
    (
        "proxy-stream-*",
        Nothing("TCP and UDP are not served: expose them by a Service of type LoadBalancer"),
    ),
    ("proxy-buffer*", Inner),
    ("proxy-busy-buffers-size", Inner),
    ("proxy-request-buffering", Inner),
    ("proxy-max-temp-file-size", Inner),
    ("proxy-http-version", Inner),
    ("proxy-ssl-location-only", Inner),
    ("proxy-body-size", Annotation),
    ("proxy-cookie-*", Annotation),
    ("proxy-redirect-*", Annotation),
    (
        "proxy-next-upstream-tries",
        Other("set retries in the GatewayConfig, or the annotation"),
    ),
    ("proxy-next-upstream*", Annotation),
    (
        "retry-non-idempotent",
        Nothing(
            "write the annotation proxy-next-upstream with non_idempotent where a request may be sent twice",
        ),
    ),
    ("load-balance", Annotation),
    ("upstream-hash-by", Annotation),
    ("service-upstream", Inner),
    ("whitelist-source-range", Annotation),
    ("denylist-source-range", Annotation),
    (
        "block-*",
        Nothing(
            "there are no lists for the whole gateway: write denylist-source-range on each Ingress",
        ),
    ),
    ("limit-req-status-code", Always("503")),
    ("limit-conn-status-code", Always("503")),
    ("limit-rate*", Annotation),
    (
        "global-rate-limit-*",
        Nothing("there is no memcached: limits of all gateways are counted by themselves"),
    ),
    (
        "global-auth-*",
        Nothing("there is no authentication for the whole gateway: guard each Ingress"),
    ),
    (
        "global-allowed-response-headers",
        Nothing(
            "custom-headers of an Ingress may name any response header once that annotation works",
        ),
    ),
    ("custom-http-errors", Annotation),
    ("disable-proxy-intercept-errors", Annotation),
    (
        "proxy-set-headers",
        Other("set request headers with request-header-control-update"),
    ),
    (
        "add-headers",
        Other("set response headers with response-header-control-update"),
    ),
    (
        "custom-response-headers",
        Other("set response headers with response-header-control-update"),
    ),
    (
        "generate-request-id",
        Nothing("the gateway makes no request id yet: let the application do so"),
    ),
    ("allow-backend-server-header", Always("true")),
    (
        "ignore-invalid-headers",
        Nothing("a request with a malformed header is always refused, for it can hide another"),
    ),
    ("enable-underscores-in-headers", Always("true")),
    ("preserve-trailing-slash", Annotation),
    ("relative-redirects", Annotation),
    ("use-port-in-redirects", Annotation),
    ("http-redirect-code", Always("308")),
    ("enable-brotli", Nothing(NO_GZIP)),
    ("brotli-*", Nothing(NO_GZIP)),
    ("use-gzip", Always("false")),
    ("gzip-*", Nothing(NO_GZIP)),
    ("enable-modsecurity", Always("false")),
    ("enable-owasp-modsecurity-crs", Always("false")),
    ("modsecurity-snippet", Nothing(NO_WAF)),
    ("main-snippet", Nothing(NO_SNIPPET)),
    ("http-snippet", Nothing(NO_SNIPPET)),
    ("server-snippet", Nothing(NO_SNIPPET)),
    ("stream-snippet", Nothing(NO_SNIPPET)),
    ("location-snippet", Nothing(NO_SNIPPET)),
    ("disable-access-log", Always("true")),
    ("disable-*-access-log", Always("true")),
    ("access-log-*", Nothing(NO_LOG)),
    ("http-access-log-path", Nothing(NO_LOG)),
    ("stream-access-log-path", Nothing(NO_LOG)),
    ("log-format-*", Nothing(NO_LOG)),
    ("skip-access-log-urls", Nothing(NO_LOG)),
    ("enable-access-log-for-default-backend", Always("false")),
    ("enable-opentelemetry", Always("false")),
    ("enable-opentracing", Always("false")),
    ("enable-syslog", Always("false")),
    ("syslog-*", Nothing(NO_LOG)),
    ("opentelemetry-*", Nothing(NO_TRACE)),
    ("opentracing-*", Nothing(NO_TRACE)),
    ("otel-*", Nothing(NO_TRACE)),
    ("otlp-*", Nothing(NO_TRACE)),
    ("zipkin-*", Nothing(NO_TRACE)),
    ("jaeger-*", Nothing(NO_TRACE)),
    ("datadog-*", Nothing(NO_TRACE)),
    (
        "plugins",
        Nothing("there are no plugins: do it in the application"),
    ),
    ("grpc-buffer-size-kb", Inner),
    (
        "default-type",
        Nothing("Content-Type of answers is left to the application"),
    ),
];

/// The verdict on one key.
pub(super) fn judge(key: &str, value: &str) -> Finding {
    let place = KEYS
        .iter()
        .find(|(name, _)| matches(name, key))
        .map(|(_, place)| place);
    let (verdict, why) = match place {
        Some(Inner) => (Verdict::Same, String::new()),
        Some(Always(always)) if value.trim().eq_ignore_ascii_case(always) => {
            (Verdict::Same, String::new())
        }
        Some(Always(always)) => {
            let why = format!("here it is always {always}, and there is no setting for it");
            (Verdict::Refused, why)
        }
        Some(Annotation) => annotation(key, value),
        Some(Other(what)) => (Verdict::Different, (*what).to_owned()),
        Some(Nothing(why)) => (Verdict::Refused, (*why).to_owned()),
        None => {
            let why = "Tidegate does not know this key; it has no effect".to_owned();
            (Verdict::Refused, why)
        }
    };
    Finding {
        field: format!("data[{}]", cut(key)),
        value: Some(cut(value)),
        verdict,
        why,
    }
}

/// A setting whose place is an annotation: as good as that works.
fn annotation(key: &str, value: &str) -> (Verdict, String) {
    let row = look_up(key);
    if row.is_some_and(|row| asks_for_nothing(row, value)) {
        return (Verdict::Same, String::new());
    }
    match row.map(|row| row.state) {
        Some(State::Works(_)) => {
            let why = format!(
                "there is no such setting for the whole gateway: write the annotation {key} on each Ingress that needs it"
            );
            (Verdict::Different, why)
        }
        Some(_) => {
            let why = format!(
                "there is no such setting for the whole gateway, and the annotation {key} does not work yet"
            );
            (Verdict::Refused, why)
        }
        None => {
            let why = "there is no such setting for the whole gateway, and no annotation for it"
                .to_owned();
            (Verdict::Refused, why)
        }
    }
}

/// Whether `key` is `name`, in which one `*` may stand for any text.
fn matches(name: &str, key: &str) -> bool {
    match name.split_once('*') {
        None => name == key,
        Some((head, tail)) => {
            key.len() >= head.len() + tail.len() && key.starts_with(head) && key.ends_with(tail)
        }
    }
}
