//! Single requests, each on a connection of its own.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::{HeaderMap, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::Result;

const WITHIN: Duration = Duration::from_secs(15);

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `Null` when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The cluster whose echo server answered with a success.
    ///
    /// # Errors
    /// When something else answered, or with another status.
    pub fn cluster(&self) -> Result<String> {
        let answered = || format!("answered {}: {}", self.status, self.text());
        anyhow::ensure!(self.status.is_success(), answered());
        let json = self.json();
        Ok(json["cluster"].as_str().with_context(answered)?.to_owned())
    }
}

/// GET `path` of the host `host` at `address`.
///
/// # Errors
/// When nobody answers within 15 seconds.
pub async fn get(address: SocketAddr, host: &str, path: &str) -> Result<Answer> {
    request(address, host, "GET", path, &[]).await
}

/// Any request without a body.
///
/// # Errors
/// When nobody answers within 15 seconds.
pub async fn request(
    address: SocketAddr,
    host: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<Answer> {
    let exchange = async {
        let stream = TcpStream::connect(address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = sender
            .send_request(request.body(Full::<Bytes>::default())?)
            .await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        connection.abort();
        anyhow::Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    };
    let what = || format!("{method} {path} of {host} at {address}");
    tokio::time::timeout(WITHIN, exchange)
        .await
        .with_context(what)?
        .with_context(what)
}
