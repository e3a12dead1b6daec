//! Servers that tell what reached them.

use anyhow::Result;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use std::convert::Infallible;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// An endpoint of a Service. Its answer is JSON: Service, endpoint, path, headers. A request can choose the answer's status
/// and one header of it: `x-answer-status: 404`, `x-answer-header: Location: /a`; the Service for errors has none.
pub(crate) struct Echo {
    pub(crate) service: &'static str,
    pub(crate) address: SocketAddr,
    accepting: AbortHandle,
}

impl Echo {
    pub(crate) async fn start(service: &'static str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let answer = move |request| async move {
                    Ok::<_, Infallible>(answer(service, address, &request))
                };
                tokio::spawn(
                    http1::Builder::new()
                        .serve_connection(TokioIo::new(socket), service_fn(answer)),
                );
            }
        });
        Ok(Self {
            service,
            address,
            accepting: accepting.abort_handle(),
        })
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn answer(
    service: &str,
    address: SocketAddr,
    request: &Request<Incoming>,
) -> Response<Full<Bytes>> {
    let text =
        |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let mut headers = Map::new();
    for name in request.headers().keys() {
        let values = request.headers().get_all(name).iter().map(text);
        let all: Vec<String> = values.collect();
        headers.insert(name.to_string(), all.join(", ").into());
    }
    let told = json!({
        "service": service,
        "endpoint": address.to_string(),
        "method": request.method().as_str(),
        "path": request.uri().to_string(),
        "headers": Value::Object(headers),
    });
    let wish = |name: &str| request.headers().get(name).map(text);
    let status = match (service, wish("authorization"), wish("x-answer-status")) {
        // The authentication service knows one password.
        ("auth", Some(password), _) if password == "Basic dXNlcjpwYXNzd29yZA==" => 200,
        ("auth", _, _) => 401,
        ("errors", _, _) => 200,
        (_, _, wish) => wish.and_then(|status| status.parse().ok()).unwrap_or(200),
    };
    let mut answer = Response::builder()
        .status(status)
        .header("content-type", "application/json");
    if service == "auth" {
        answer = answer
            .header("foo", "bar")
            .header("set-cookie", "alma=armud");
    }
    if let Some(header) = wish("x-answer-header")
        && let Some((name, value)) = header.split_once(": ")
    {
        answer = answer.header(name, value);
    }
    answer.body(Full::from(told.to_string())).unwrap()
}
