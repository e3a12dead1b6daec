//! The origin and the proxies, each as a good operator would set it up.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::super::scratch::{Running, Scratch, free_address};
use super::{on_core, on_path};

/// A running proxy.
pub(super) struct Proxy {
    pub(super) name: String,
    pub(super) address: SocketAddr,
    pub(super) running: Running,
}

/// Files of the given sizes, served by an nginx on the other core.
pub(super) fn origin(
    scratch: &Scratch,
    address: SocketAddr,
    bodies: &[(&str, usize)],
) -> anyhow::Result<Running> {
    for (_, size) in bodies {
        scratch.write(&size.to_string(), &vec![b'x'; *size])?;
    }
    let server = format!(
        "server {{ listen {address}; root {}; }}",
        scratch.path("").display()
    );
    nginx(scratch, "origin", 1, address, &server)
}

/// Tidegate and every peer that this machine has.
pub(super) fn all(
    scratch: &Scratch,
    tidegate: &Path,
    origin: SocketAddr,
) -> anyhow::Result<Vec<Proxy>> {
    let mut proxies = vec![
        self::tidegate(scratch, tidegate, origin)?,
        nginx_proxy(scratch, origin)?,
    ];
    if on_path("haproxy") {
        proxies.push(haproxy(scratch, origin)?);
    }
    if on_path("envoy") {
        proxies.push(envoy(scratch, origin)?);
    }
    Ok(proxies)
}

fn tidegate(scratch: &Scratch, binary: &Path, origin: SocketAddr) -> anyhow::Result<Proxy> {
    let address = free_address()?;
    let route = json!({
        "id": "bench/bench#0.0",
        "path": { "prefix": "/" },
        "action": { "forward": { "backend": "bench/bench:80" } },
    });
    let snapshot = json!({
        "format": 1,
        "generation": 1,
        "hosts": { "bench.example.com": [route] },
        "backends": { "bench/bench:80": { "clusters": { "one": [{ "address": origin }] } } },
    });
    let snapshot = scratch.write("snapshot.json", &serde_json::to_vec(&snapshot)?)?;
    let mut command = on_core(0, binary);
    command.arg("gateway").arg("--snapshot").arg(snapshot);
    command.arg("--data-dir").arg(scratch.path("tidegate"));
    command.args(["--http-listen", &address.to_string(), "--workers", "1"]);
    let running = Running::start(command, address, &scratch.path("tidegate.log"))?;
    Ok(Proxy {
        name: "Tidegate".to_owned(),
        address,
        running,
    })
}

fn nginx_proxy(scratch: &Scratch, origin: SocketAddr) -> anyhow::Result<Proxy> {
    let address = free_address()?;
    let server = format!(
        "upstream origin {{ server {origin} max_fails=2 fail_timeout=2s; keepalive 1024; keepalive_requests 1000000000; }}
         server {{ listen {address}; location / {{
             proxy_pass http://origin;
             proxy_http_version 1.1;
             proxy_set_header Connection \"\";
             proxy_set_header Host $host;
             proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
             proxy_connect_timeout 1s;
             proxy_read_timeout 2s;
             proxy_next_upstream error timeout http_502 http_503 http_504;
         }} }}"
    );
    let running = nginx(scratch, "nginx", 0, address, &server)?;
    Ok(Proxy {
        name: version("nginx", "-v"),
        address,
        running,
    })
}

fn nginx(
    scratch: &Scratch,
    name: &str,
    core: u32,
    address: SocketAddr,
    http: &str,
) -> anyhow::Result<Running> {
    let dir = scratch.path("");
    let config = format!(
        "daemon off; master_process off; error_log stderr; pid {dir}{name}.pid;
         events {{ worker_connections 4096; }}
         http {{
             access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
             open_file_cache max=100; open_file_cache_valid 1h;
             client_body_temp_path {dir}{name}.body; proxy_temp_path {dir}{name}.proxy; fastcgi_temp_path {dir}{name}.f;
             uwsgi_temp_path {dir}{name}.u; scgi_temp_path {dir}{name}.s;
             {http}
         }}",
        dir = dir.display()
    );
    let path = scratch.write(&format!("{name}.conf"), config.as_bytes())?;
    let mut command = on_core(core, "nginx");
    command
        .arg("-c")
        .arg(path)
        .arg("-p")
        .arg(&dir)
        .args(["-e", "stderr"]);
    Running::start(command, address, &scratch.path(&format!("{name}.log")))
}

fn haproxy(scratch: &Scratch, origin: SocketAddr) -> anyhow::Result<Proxy> {
    let address = free_address()?;
    let config = format!(
        "global
             nbthread 1
             maxconn 4096
         defaults
             mode http
             timeout connect 1s
             timeout client 60s
             timeout server 2s
             timeout http-keep-alive 60s
             option forwardfor
             option http-keep-alive
             http-reuse always
             retries 3
             option redispatch 1
             retry-on conn-failure empty-response response-timeout 502 503 504
         frontend in
             bind {address}
             default_backend out
         backend out
             server origin {origin} check inter 1s fall 2 rise 2 observe layer7 error-limit 3 on-error mark-down\n"
    );
    let path = scratch.write("haproxy.cfg", config.as_bytes())?;
    let mut command = on_core(0, "haproxy");
    command.arg("-db").arg("-f").arg(path);
    let running = Running::start(command, address, &scratch.path("haproxy.log"))?;
    Ok(Proxy {
        name: version("haproxy", "-v"),
        address,
        running,
    })
}

fn envoy(scratch: &Scratch, origin: SocketAddr) -> anyhow::Result<Proxy> {
    let address = free_address()?;
    let at = |address: SocketAddr| json!({ "socket_address": { "address": address.ip(), "port_value": address.port() } });
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
    });
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
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
    let config = json!({ "static_resources": {
        "listeners": [{ "name": "in", "address": at(address), "filter_chains": [{ "filters": [filter] }] }],
        "clusters": [{ "name": "origin", "type": "STATIC", "connect_timeout": "1s", "load_assignment": {
            "cluster_name": "origin",
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": at(origin) } }] }],
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
    let running = Running::start(command, address, &scratch.path("envoy.log"))?;
    Ok(Proxy {
        name: version("envoy", "--version"),
        address,
        running,
    })
}

/// Name and version as the program says them, such as `nginx 1.22.1`.
fn version(program: &str, flag: &str) -> String {
    let said = Command::new(program).arg(flag).output();
    let said = said
        .map(|said| [said.stdout, said.stderr].concat())
        .unwrap_or_default();
    let said = String::from_utf8_lossy(&said).into_owned();
    // Envoy names its own path first, which may hold a version of something else.
    let said = said
        .split_once("version:")
        .map_or(&*said, |(_, after)| after);
    let number = said
        .split(|c: char| c.is_whitespace() || c == '/')
        .find(|word| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit()));
    let name = match program {
        "haproxy" => "HAProxy",
        "envoy" => "Envoy",
        other => other,
    };
    // Debian's revision after the dash says nothing here.
    let number = number.and_then(|number| number.split('-').next());
    format!("{name} {}", number.unwrap_or("of unknown version"))
}
