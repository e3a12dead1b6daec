//! nginx. It repeats no POST unless told to.

use std::net::SocketAddr;

use tidegate_testbed::{Process, Result, Sites, Strategy};

use super::{is_backup, servers};

pub(super) fn start(sites: &Sites, strategy: Strategy, listen: SocketAddr) -> Result<Process> {
    let upstream: String = servers(sites)
        .iter()
        .map(|(cluster, address)| {
            let backup = if is_backup(*cluster, strategy) {
                " backup"
            } else {
                ""
            };
            format!("server {address} max_fails=2 fail_timeout=2s{backup};\n")
        })
        .collect();
    let dir = sites.path("");
    let dir = dir.display();
    let config = format!(
        "daemon off; master_process off; error_log stderr crit; pid {dir}/nginx.pid;
         events {{ worker_connections 16384; }}
         http {{
             access_log off; tcp_nodelay on; keepalive_requests 1000000000;
             client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
             uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
             upstream clusters {{ {upstream} keepalive 1024; keepalive_requests 1000000000; }}
             server {{ listen {listen};
                 location / {{
                     proxy_pass http://clusters;
                     proxy_http_version 1.1;
                     proxy_set_header Connection \"\";
                     proxy_set_header Host $host;
                     proxy_connect_timeout 1s;
                     proxy_read_timeout 2s;
                     proxy_next_upstream error timeout http_502 http_503 http_504;
             }} }}
         }}"
    );
    let config = sites.write("nginx.conf", &config)?;
    let args = ["-e", "stderr", "-c", &*config.to_string_lossy()];
    sites.spawn_program("nginx", &args)
}
