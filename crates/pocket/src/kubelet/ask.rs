//! Asks a probe's question over the network.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::probe::{ProbeSpec, Question};

/// Asks once. The error is the text shown in the event.
pub(crate) async fn ask(spec: &ProbeSpec) -> Result<(), String> {
    match tokio::time::timeout(spec.timeout, answer(&spec.question)).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no answer within {}", seconds(spec.timeout))),
    }
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs())
}

async fn answer(question: &Question) -> Result<(), String> {
    match question {
        Question::Tcp { host, port } => connect(host, *port).await.map(drop),
        Question::Http {
            host,
            port,
            path,
            headers,
        } => {
            let stream = connect(host, *port).await?;
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
                .await
                .map_err(|error| error.to_string())?;
            let mut request = Request::get(path.as_str()).header("connection", "close");
            // The given headers may name a host of their own.
            if !headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case("host"))
            {
                request = request.header("host", format!("{host}:{port}"));
            }
            if !headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case("user-agent"))
            {
                request = request.header("user-agent", "kube-probe/pocket");
            }
            for (name, value) in headers {
                request = request.header(name, value);
            }
            let request = request
                .body(Empty::<Bytes>::new())
                .map_err(|error| error.to_string())?;
            let exchange = sender.send_request(request);
            let response = tokio::select! {
                response = exchange => response.map_err(|error| format!("Get \"http://{host}:{port}{path}\": {error}"))?,
                ended = connection => {
                    return Err(match ended {
                        Ok(()) => "the connection was closed without an answer".to_owned(),
                        Err(error) => error.to_string(),
                    });
                }
            };
            let status = response.status();
            // As Kubernetes: redirects count as alive.
            if status.is_success() || status.is_redirection() {
                Ok(())
            } else {
                Err(format!(
                    "HTTP probe failed with statuscode: {}",
                    status.as_u16()
                ))
            }
        }
    }
}

async fn connect(host: &str, port: u16) -> Result<TcpStream, String> {
    TcpStream::connect((host, port))
        .await
        .map_err(|error| format!("dial tcp {host}:{port}: {error}"))
}
