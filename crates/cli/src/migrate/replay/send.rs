//! One request to one controller.

use std::time::Duration;

use anyhow::{Context, bail};
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Request;

/// Where a controller listens.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// `host:port`.
    authority: String,
}

/// What matters of an answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) length: u64,
    pub(crate) digest: blake3::Hash,
}

impl Target {
    /// Reads `http://host:port`. Requests bring their own paths and hosts, and TLS is not spoken.
    pub(crate) fn parse(url: &str) -> anyhow::Result<Self> {
        let uri: http::Uri = url
            .parse()
            .with_context(|| format!("{url:?} is not a URL"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => bail!(
                "{url}: TLS is not spoken here; give the controller's plain HTTP address, and with requests that came over \
                 TLS the header X-Forwarded-Proto: https"
            ),
            _ => bail!("{url:?} must read http://HOST:PORT"),
        }
        let authority = uri
            .authority()
            .with_context(|| format!("{url:?} names no host"))?;
        if !matches!(uri.path(), "" | "/")
            || uri.query().is_some()
            || authority.as_str().contains('@')
        {
            bail!("{url:?} must read http://HOST:PORT, without anything behind");
        }
        let authority = match authority.port_u16() {
            Some(port) => format!("{}:{port}", authority.host()),
            None => format!("{}:80", authority.host()),
        };
        Ok(Self { authority })
    }

    /// The answer, or why there is none within `limit`. Each request has its own connection: what became of one
    /// request never changes another.
    pub(super) async fn ask(&self, request: &Request, limit: Duration) -> Result<Answer, String> {
        match tokio::time::timeout(limit, self.exchange(request)).await {
            Ok(answer) => answer.map_err(|error| format!("{error:#}")),
            Err(_) => Err(format!("no whole answer within {} s", limit.as_secs_f32())),
        }
    }

    async fn exchange(&self, request: &Request) -> anyhow::Result<Answer> {
        let stream = TcpStream::connect(&self.authority)
            .await
            .context("connecting")?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .context("connecting")?;
        // It ends with the answer, or when this function is dropped with it.
        let talk = async {
            let answer = sender
                .send_request(to_http(request)?)
                .await
                .context("waiting for an answer")?;
            let (head, mut body) = answer.into_parts();
            let mut hasher = blake3::Hasher::new();
            let mut length = 0;
            while let Some(frame) = body.frame().await {
                if let Some(data) = frame.context("reading the body")?.data_ref() {
                    hasher.update(data);
                    length += data.len() as u64;
                }
            }
            Ok(Answer {
                status: head.status,
                headers: head.headers,
                length,
                digest: hasher.finalize(),
            })
        };
        tokio::pin!(talk, connection);
        tokio::select! {
            biased;
            answer = &mut talk => answer,
            // The end of the connection is told to who waits for an answer on it.
            _ = &mut connection => talk.await,
        }
    }
}

fn to_http(request: &Request) -> anyhow::Result<http::Request<Full<Bytes>>> {
    let body = Full::new(Bytes::from(request.body.clone()));
    let mut sent = http::Request::builder()
        .method(&request.method)
        .uri(&request.path)
        .header(header::HOST, &request.host)
        .body(body)
        .context("writing the request")?;
    sent.headers_mut().extend(request.headers.clone());
    Ok(sent)
}
