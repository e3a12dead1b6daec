//! The admin port: health, metrics and the process's own JSON pages, for operators and supervisors.

use crate::readiness::{CheckState, Readiness};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::registry::Registry;
use serde_json::Value;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Operators, a supervisor and a scraper or two; whoever comes beside them waits.
const CONNECTIONS_MAX: usize = 64;
/// Orders to a process are small.
const BODY_LEN_MAX: usize = 64 * 1024;
/// A request head or body that takes longer comes from nobody we know.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

type Page = Box<dyn Fn(&AdminRequest) -> AdminReply + Send + Sync>;

/// What an admin port will serve; bind it when all parts have registered.
#[derive(Default)]
pub struct Admin {
    readiness: Readiness,
    registry: Registry,
    pages: BTreeMap<(Verb, String), Page>,
}

/// An admin port that listens and waits to be served.
pub struct BoundAdmin {
    listener: TcpListener,
    admin: Arc<Admin>,
    address: SocketAddr,
}

/// A request for a page of the process.
#[derive(Debug)]
pub struct AdminRequest {
    /// The query text after `?`, undecoded; empty when there is none.
    pub query: String,
    /// The JSON body; `Null` when there is none.
    pub body: Value,
}

/// The answer of a page.
#[derive(Debug)]
pub struct AdminReply {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Value,
}

/// Why an admin port does not listen.
#[derive(Debug, thiserror::Error)]
#[error("the admin port cannot listen on {address}; choose another with --admin-listen")]
pub struct AdminError {
    /// The address asked for.
    pub address: SocketAddr,
    #[source]
    source: std::io::Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verb {
    Get,
    Post,
}

impl AdminReply {
    /// Status 200.
    pub fn ok(body: Value) -> Self {
        Self { status: 200, body }
    }

    /// An error status with `{"error": text}`.
    pub fn error(status: u16, text: impl Into<String>) -> Self {
        let body = serde_json::json!({ "error": text.into() });
        Self { status, body }
    }
}

// === impl Admin ===

impl Admin {
    /// Serves `/livez`, `/readyz` and `/metrics` so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// The checks behind `/readyz`.
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Where metrics are registered, before the port is bound.
    pub fn registry(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// Adds a page. It runs on the admin task: it must not block for long.
    pub fn get<F>(&mut self, path: &str, page: F)
    where
        F: Fn(&AdminRequest) -> AdminReply + Send + Sync + 'static,
    {
        self.pages
            .insert((Verb::Get, path.to_owned()), Box::new(page));
    }

    /// Adds an order with a JSON body of at most 64 KiB. It must not block for long.
    pub fn post<F>(&mut self, path: &str, page: F)
    where
        F: Fn(&AdminRequest) -> AdminReply + Send + Sync + 'static,
    {
        self.pages
            .insert((Verb::Post, path.to_owned()), Box::new(page));
    }

    /// Listens; port 0 takes a free one.
    ///
    /// # Errors
    /// [`AdminError`] when the address cannot be had.
    pub async fn bind(self, address: SocketAddr) -> Result<BoundAdmin, AdminError> {
        let bind = async {
            let listener = TcpListener::bind(address).await?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, bound) = bind
            .await
            .map_err(|source| AdminError { address, source })?;
        Ok(BoundAdmin {
            listener,
            admin: Arc::new(self),
            address: bound,
        })
    }
}

// === impl BoundAdmin ===

impl BoundAdmin {
    /// Where it listens, with the port that was taken.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is cancelled; then open connections are dropped.
    pub async fn serve(self, shutdown: CancellationToken) {
        let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => return,
                accepted = accept(&self.listener, &slots) => accepted,
            };
            let (stream, slot) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "admin port cannot accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let admin = Arc::clone(&self.admin);
            let shutdown = shutdown.clone();
            tokio::spawn(async move {
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = serve_connection(stream, admin) => {}
                }
                drop(slot);
            });
        }
    }
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots)
        .acquire_owned()
        .await
        .expect("the semaphore is never closed");
    let (stream, _) = listener.accept().await?;
    Ok((stream, slot))
}

async fn serve_connection(stream: TcpStream, admin: Arc<Admin>) {
    let service = service_fn(move |request| {
        let admin = Arc::clone(&admin);
        async move { Ok::<_, Infallible>(answer(&admin, request).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(READ_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "admin connection ended");
    }
}

async fn answer(admin: &Admin, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let verb = match *request.method() {
        Method::GET | Method::HEAD => Verb::Get,
        Method::POST => Verb::Post,
        _ => return text(StatusCode::METHOD_NOT_ALLOWED, "only GET and POST\n"),
    };
    let path = request.uri().path().to_owned();
    match (verb, path.as_str()) {
        (Verb::Get, "/livez") => text(StatusCode::OK, "ok\n"),
        (Verb::Get, "/readyz") => ready(&admin.readiness),
        (Verb::Get, "/metrics") => metrics(&admin.registry),
        _ => match admin.pages.get(&(verb, path)) {
            Some(page) => ask(page, request).await,
            None => text(StatusCode::NOT_FOUND, "no such page\n"),
        },
    }
}

async fn ask(page: &Page, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let read = Limited::new(request.into_body(), BODY_LEN_MAX).collect();
    let reply = match tokio::time::timeout(READ_TIMEOUT, read).await {
        Err(_) => AdminReply::error(408, "the body did not come within 5 s"),
        Ok(Err(error)) => AdminReply::error(400, format!("the body cannot be read: {error}")),
        Ok(Ok(body)) => match parse(&body.to_bytes()) {
            Ok(body) => page(&AdminRequest { query, body }),
            Err(error) => AdminReply::error(400, format!("the body is not JSON: {error}")),
        },
    };
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    respond(status, "application/json", format!("{}\n", reply.body))
}

fn parse(body: &[u8]) -> serde_json::Result<Value> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(body)
}

/// One line a check, as Kubernetes components write it.
fn ready(readiness: &Readiness) -> Response<Full<Bytes>> {
    let mut lines = String::new();
    for (name, state) in readiness.report() {
        let (sign, why) = match state {
            CheckState::Ok(why) => ('+', why),
            CheckState::NotOk(why) => ('-', why),
        };
        lines.push_str(&format!("[{sign}]{name}: {why}\n"));
    }
    if readiness.ready() {
        text(StatusCode::OK, lines + "ready\n")
    } else {
        text(StatusCode::SERVICE_UNAVAILABLE, lines + "not ready\n")
    }
}

fn metrics(registry: &Registry) -> Response<Full<Bytes>> {
    let mut lines = String::new();
    match prometheus_client::encoding::text::encode(&mut lines, registry) {
        Ok(()) => respond(
            StatusCode::OK,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            lines,
        ),
        Err(error) => text(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("metrics cannot be written: {error}\n"),
        ),
    }
}

fn text(status: StatusCode, body: impl Into<String>) -> Response<Full<Bytes>> {
    respond(status, "text/plain; charset=utf-8", body.into())
}

fn respond(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests;
