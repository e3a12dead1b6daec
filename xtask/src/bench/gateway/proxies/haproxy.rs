//! HAProxy.

use super::super::super::scratch::Running;
use super::super::on_core;
use super::{Start, read};

pub(super) fn start(with: &Start<'_>) -> anyhow::Result<Running> {
    let scratch = with.scratch;
    let both = read(&with.pair.certificate)? + &read(&with.pair.key)?;
    let pair = scratch.write("haproxy.pem", both.as_bytes())?;
    let config = format!(
        "global
             nbthread 1
             maxconn 4096
             ssl-default-bind-options ssl-min-ver TLSv1.3
             ssl-default-bind-curves X25519
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
             bind {plain}
             bind {tls} ssl crt {pair} alpn h2,http/1.1
             default_backend out
         backend out
             server origin {origin} check inter 1s fall 2 rise 2 observe layer7 error-limit 3 on-error mark-down\n",
        plain = with.plain,
        tls = with.tls,
        pair = pair.display(),
        origin = with.origin,
    );
    let path = scratch.write("haproxy.cfg", config.as_bytes())?;
    let mut command = on_core(0, "haproxy");
    command.arg("-db").arg("-f").arg(path);
    Running::start(command, with.plain, &scratch.path("haproxy.log"))
}
