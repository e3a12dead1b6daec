//! Single requests, on a connection of their own or on one that is kept.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{HeaderMap, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

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

/// A connection that is kept for several requests, one after the other. It ends when it is dropped.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<hyper::Result<()>>,
}

impl Connection {
    /// Connects to `address`.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection);
        Ok(Self { sender, driver })
    }

    /// GET `path` of the host `host`.
    ///
    /// # Errors
    /// When the connection ends before the answer. How long that takes is not limited.
    pub async fn get(&mut self, host: &str, path: &str) -> Result<Answer> {
        self.request(host, "GET", path, &[]).await
    }

    async fn request(
        &mut self,
        host: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Answer> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.sender.ready().await?;
        let request = request.body(Full::<Bytes>::default())?;
        let response = self.sender.send_request(request).await?;
        let (head, body) = response.into_parts();
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: body.collect().await?.to_bytes(),
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
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
        let mut connection = Connection::open(address).await?;
        connection.request(host, method, path, headers).await
    };
    let what = || format!("{method} {path} of {host} at {address}");
    tokio::time::timeout(WITHIN, exchange)
        .await
        .with_context(what)?
        .with_context(what)
}
