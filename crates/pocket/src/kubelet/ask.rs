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
            let mut exchange = std::pin::pin!(sender.send_request(request));
            let response = tokio::select! {
                response = exchange.as_mut() => response,
                // A connection that ends with its answer ends before the answer is seen.
                _ = connection => exchange.await,
            };
            let response =
                response.map_err(|error| format!("Get \"http://{host}:{port}{path}\": {error}"))?;
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Asks a server that gives `answer` and closes.
    async fn asked(answer: &'static str) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("accept");
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).await.expect("read") > 0);
            stream.write_all(answer.as_bytes()).await.expect("write");
        });
        let question = Question::Http {
            host: "127.0.0.1".to_owned(),
            port,
            path: "/".to_owned(),
            headers: Vec::new(),
        };
        let result = ask(&ProbeSpec {
            question,
            initial_delay: Duration::ZERO,
            period: Duration::from_secs(1),
            timeout: Duration::from_secs(30),
            success_threshold: 1,
            failure_threshold: 1,
        })
        .await;
        server.await.expect("server");
        result
    }

    #[tokio::test]
    async fn answers_count_by_their_status_even_when_the_connection_ends_with_them() {
        for (status, passes) in [
            ("200 OK", true),
            ("302 Found", true),
            ("404 Not Found", false),
            ("503 No", false),
        ] {
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let got = asked(answer.leak()).await;
            assert_eq!(got.is_ok(), passes, "{status} {got:?}");
        }
        assert!(asked("").await.is_err(), "no answer");
        assert!(asked("nonsense\r\n\r\n").await.is_err());
    }
}
