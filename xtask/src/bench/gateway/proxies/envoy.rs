//! Envoy.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::super::super::scratch::Running;
use super::super::on_core;
use super::Start;

pub(super) fn start(with: &Start<'_>) -> anyhow::Result<Running> {
    let scratch = with.scratch;
    let file = |path: &std::path::Path| json!({ "filename": path });
    let tls = json!({
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_params": { "tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3", "ecdh_curves": ["X25519"] },
            "tls_certificates": [{ "certificate_chain": file(&with.pair.certificate), "private_key": file(&with.pair.key) }],
        },
    });
    let tls = json!({ "name": "tls", "typed_config": tls });
    let config = json!({ "static_resources": {
        "listeners": [listener("plain", with.plain, None), listener("tls", with.tls, Some(tls))],
        "clusters": [{ "name": "origin", "type": "STATIC", "connect_timeout": "1s", "load_assignment": {
            "cluster_name": "origin",
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": at(with.origin) } }] }],
        } }],
    } });
    let path = scratch.write("envoy.json", &serde_json::to_vec(&config)?)?;
    let mut command = on_core(0, "envoy");
    command.arg("-c").arg(path).args([
        "--concurrency",
        "1",
        "--log-level",
        "error",
        "--use-dynamic-base-id",
    ]);
    Running::start(command, with.plain, &scratch.path("envoy.log"))
}

fn listener(name: &str, address: SocketAddr, tls: Option<Value>) -> Value {
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
    });
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "use_remote_address": true,
        "http_filters": [router],
        "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [{
            "match": { "prefix": "/" },
            "route": { "cluster": "origin", "retry_policy": {
                "retry_on": "5xx,reset,connect-failure,refused-stream", "num_retries": 3,
            } },
        }] }] },
    });
    let filter =
        json!({ "name": "envoy.filters.network.http_connection_manager", "typed_config": manager });
    let mut chain = json!({ "filters": [filter] });
    if let Some(tls) = tls {
        chain["transport_socket"] = tls;
    }
    json!({ "name": name, "address": at(address), "filter_chains": [chain] })
}

fn at(address: SocketAddr) -> Value {
    json!({ "socket_address": { "address": address.ip(), "port_value": address.port() } })
}
