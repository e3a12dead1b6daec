//! nginx, as origin and as a proxy.

use std::net::SocketAddr;

use super::super::super::scratch::{Running, Scratch};
use super::super::on_core;
use super::Start;

/// Files of the given sizes, served from the other core.
pub(in super::super) fn origin(
    scratch: &Scratch,
    address: SocketAddr,
    sizes: &[usize],
) -> anyhow::Result<Running> {
    for size in sizes {
        scratch.write(&size.to_string(), &vec![b'x'; *size])?;
    }
    let server = format!(
        "server {{ listen {address}; root {}; }}",
        scratch.path("").display()
    );
    run(scratch, "origin", 1, address, &server)
}

pub(super) fn start(with: &Start<'_>) -> anyhow::Result<Running> {
    let server = format!(
        "upstream origin {{ server {origin} max_fails=2 fail_timeout=2s; keepalive 1024; keepalive_requests 1000000000; }}
         server {{ listen {plain}; listen {tls} ssl http2;
             ssl_certificate {certificate}; ssl_certificate_key {key};
             ssl_protocols TLSv1.3; ssl_ecdh_curve X25519; ssl_session_cache shared:a:10m;
             location / {{
                 proxy_pass http://origin;
                 proxy_http_version 1.1;
                 proxy_set_header Connection \"\";
                 proxy_set_header Host $host;
                 proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                 proxy_connect_timeout 1s;
                 proxy_read_timeout 2s;
                 proxy_next_upstream error timeout http_502 http_503 http_504;
         }} }}",
        origin = with.origin,
        plain = with.plain,
        tls = with.tls,
        certificate = with.pair.certificate.display(),
        key = with.pair.key.display(),
    );
    run(with.scratch, "nginx", 0, with.plain, &server)
}

fn run(
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
