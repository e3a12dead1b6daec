//! Envoy. A POST has a route of its own, whose retries end where a byte may have been sent.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tidegate_testbed::{Process, Result, Sites, Strategy};

use super::{is_backup, servers};

/// Whether another server is asked too when one has not answered in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hedging {
    Off,
    On,
}

pub(super) fn start(
    sites: &Sites,
    strategy: Strategy,
    listen: SocketAddr,
    hedging: Hedging,
) -> Result<Process> {
    let config = json!({ "static_resources": {
        "listeners": [{ "name": "in", "address": at(listen), "filter_chains": [{ "filters": [manager(hedging)] }] }],
        "clusters": [clusters(sites, strategy)],
    } });
    let config = sites.write("envoy.json", &config.to_string())?;
    let one = ["--concurrency", "1", "--log-level", "error"];
    let place = ["-c", &*config.to_string_lossy(), "--disable-hot-restart"];
    sites.spawn_program("envoy", &[&one[..], &place].concat())
}

fn manager(hedging: Hedging) -> Value {
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
    });
    let elsewhere = json!([{
        "name": "envoy.retry_host_predicates.previous_hosts",
        "typed_config": { "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate" },
    }]);
    let next_priority = json!({
        "name": "envoy.retry_priorities.previous_priorities",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
            "update_frequency": 1,
        },
    });
    let retries = |on: &str| {
        json!({
            "retry_on": on,
            "num_retries": 3,
            "retry_host_predicate": elsewhere,
            "host_selection_retry_max_attempts": 5,
            "retry_priority": next_priority,
            "retry_back_off": { "base_interval": "0.001s", "max_interval": "0.010s" },
        })
    };
    let mut repeated = retries("5xx,reset,connect-failure,refused-stream");
    repeated["per_try_timeout"] = json!("1s");
    let mut route = json!({ "cluster": "clusters", "timeout": "10s", "retry_policy": repeated });
    if hedging == Hedging::On {
        route["retry_policy"]["per_try_timeout"] = json!("0.250s");
        route["hedge_policy"] = json!({ "hedge_on_per_try_timeout": true });
    }
    let once = json!({ "cluster": "clusters", "timeout": "10s", "retry_policy": retries("connect-failure,refused-stream") });
    let post = json!({ "prefix": "/", "headers": [{ "name": ":method", "string_match": { "exact": "POST" } }] });
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "http_filters": [router],
        "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [
            { "match": post, "route": once },
            { "match": { "prefix": "/" }, "route": route },
        ] }] },
    });
    json!({ "name": "envoy.filters.network.http_connection_manager", "typed_config": manager })
}

fn clusters(sites: &Sites, strategy: Strategy) -> Value {
    let of = |wanted: usize| -> Vec<Value> {
        let servers = servers(sites).into_iter();
        let servers = servers.filter(|(cluster, _)| *cluster == wanted);
        servers
            .map(|(_, address)| json!({ "endpoint": { "address": at(address) } }))
            .collect()
    };
    let endpoints: Vec<Value> = (0..sites.addresses().count())
        .map(|cluster| {
            json!({
                "locality": { "zone": cluster.to_string() },
                "priority": u32::from(is_backup(cluster, strategy)),
                "lb_endpoints": of(cluster),
            })
        })
        .collect();
    json!({
        "name": "clusters",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": { "cluster_name": "clusters", "endpoints": endpoints },
        "circuit_breakers": { "thresholds": [
            { "max_connections": 8192, "max_pending_requests": 8192, "max_requests": 8192, "max_retries": 8192 },
        ] },
        "health_checks": [{
            "interval": "1s", "timeout": "1s", "unhealthy_threshold": 2, "healthy_threshold": 2,
            "http_health_check": { "path": "/healthz" },
        }],
        "outlier_detection": {
            "consecutive_5xx": 3, "consecutive_gateway_failure": 3, "enforcing_consecutive_gateway_failure": 100,
            "interval": "1s", "base_ejection_time": "1s", "max_ejection_time": "2s", "max_ejection_percent": 100,
        },
    })
}

fn at(address: SocketAddr) -> Value {
    json!({ "socket_address": { "address": address.ip(), "port_value": address.port() } })
}
