//! One GET on a connection of its own: for admin pages and for waiting until something answers.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// On loopback an answer takes a millisecond; a process that takes longer is stuck.
const WITHIN: Duration = Duration::from_secs(2);

/// Status pages of a small fleet are a few kilobytes.
const BODY_MAX: usize = 4 << 20;

/// Status and body of `http://address/path` with this Host.
///
/// # Errors
/// When nobody answers within two seconds.
pub(crate) async fn get(
    address: SocketAddr,
    host: &str,
    path: &str,
) -> anyhow::Result<(StatusCode, Bytes)> {
    let exchange = async {
        let stream = TcpStream::connect(address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let request = Request::get(path)
            .header(header::HOST, host)
            .body(Empty::<Bytes>::new())?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), BODY_MAX)
            .collect()
            .await
            .map_err(|error| anyhow::anyhow!(error))?
            .to_bytes();
        connection.abort();
        anyhow::Ok((status, body))
    };
    tokio::time::timeout(WITHIN, exchange)
        .await
        .with_context(|| {
            format!(
                "http://{address}{path} did not answer within {} s",
                WITHIN.as_secs()
            )
        })?
        .with_context(|| format!("asking http://{address}{path}"))
}
