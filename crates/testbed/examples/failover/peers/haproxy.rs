//! HAProxy. Its retries after a connection was made are switched off for POST, which it would repeat.

use std::net::SocketAddr;

use tidegate_testbed::{Process, Result, Sites, Strategy};

use super::{is_backup, servers};

pub(super) fn start(sites: &Sites, strategy: Strategy, listen: SocketAddr) -> Result<Process> {
    let servers: String = servers(sites)
        .iter()
        .enumerate()
        .map(|(at, (cluster, address))| {
            let backup = if is_backup(*cluster, strategy) {
                " backup"
            } else {
                ""
            };
            format!(
                "    server s{at} {address} check inter 1s fall 2 rise 2 observe layer7 error-limit 3 on-error mark-down{backup}\n"
            )
        })
        .collect();
    let config = format!(
        "global
    nbthread 1
    maxconn 8192
defaults
    mode http
    timeout connect 1s
    timeout client 60s
    timeout server 2s
    timeout http-keep-alive 60s
    option http-keep-alive
    http-reuse always
    retries 3
    option redispatch 1
    retry-on conn-failure empty-response response-timeout 502 503 504
frontend in
    bind {listen}
    default_backend clusters
backend clusters
    balance roundrobin
    option allbackups
    option httpchk GET /healthz
    http-request disable-l7-retry if METH_POST
{servers}"
    );
    let config = sites.write("haproxy.cfg", &config)?;
    sites.spawn_program("haproxy", &["-db", "-f", &*config.to_string_lossy()])
}
