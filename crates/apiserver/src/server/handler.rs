//! Every request passes here: limits, identity, then the part of the API its path names.

use super::auth::Identity;
use super::negotiate;
use super::objects::ResourceRequest;
use super::reply::{self, Reply};
use super::request::{Query, ResourcePath, segments};
use super::{Readyz, objects, reviews};
use crate::discovery;
use crate::ops::Api;
use crate::status::{ApiResult, Status};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Largest body, as kube-apiserver's default.
const BODY_BYTES: usize = 3 << 20;
/// Longest path and query. Label selectors can be long, but not this long.
const URL_BYTES: usize = 32 << 10;
/// Requests at work at once, watches not counted: kube-apiserver's default for reads.
const IN_FLIGHT: usize = 400;
/// Watches and followed logs at once.
const LONG_RUNNING: usize = 10_000;
/// Time a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(30);

/// Answers requests.
pub(super) struct Front {
    api: Arc<Api>,
    ready: Readyz,
    shutdown: CancellationToken,
    in_flight: Semaphore,
    long_running: Arc<Semaphore>,
}

impl Front {
    pub(super) fn new(api: Arc<Api>, ready: Readyz, shutdown: CancellationToken) -> Self {
        Front {
            api,
            ready,
            shutdown,
            in_flight: Semaphore::new(IN_FLIGHT),
            long_running: Arc::new(Semaphore::new(LONG_RUNNING)),
        }
    }

    /// The answer to a request; failures become `Status` bodies.
    pub(super) async fn answer(&self, identity: &Identity, request: Request<Incoming>) -> Reply {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        match Box::pin(self.route(identity, request)).await {
            Ok(reply) => reply,
            Err(status) => {
                tracing::debug!(%method, path, code = status.code, reason = status.reason, "request refused");
                reply::failure(&status)
            }
        }
    }

    async fn route(&self, identity: &Identity, request: Request<Incoming>) -> ApiResult<Reply> {
        let uri = request.uri().clone();
        if uri
            .path_and_query()
            .is_some_and(|pq| pq.as_str().len() > URL_BYTES)
        {
            return Err(Status::new(
                414,
                "RequestURITooLong",
                format!("the URL is longer than {URL_BYTES} bytes"),
            ));
        }
        identity.authorize(uri.path())?;
        let path = segments(uri.path())?;
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        let get = request.method() == Method::GET || request.method() == Method::HEAD;
        match names.as_slice() {
            ["livez" | "readyz" | "healthz", ..] if get => return Ok(self.health(names[0])),
            ["version"] if get => return Ok(reply::json(200, &discovery::version())),
            _ => {}
        }
        let permit = self
            .in_flight
            .try_acquire()
            .map_err(|_| Status::too_many_requests())?;
        if get && let Some(found) = discovery::answer(&self.api, &names, request.headers())? {
            let code = if found.body.is_empty() { 204 } else { 200 };
            return Ok(reply::typed(code, found.media_type, found.body));
        }
        let target = ResourcePath::parse(&path).ok_or_else(Status::no_such_resource)?;
        let query = Query::parse(uri.query())?;
        let (head, body) = request.into_parts();
        let body = read_body(body).await?;
        if reviews::is_review(&target) {
            let body = negotiate::decode(&negotiate::content_type(&head.headers), &body)?.value;
            return reviews::answer(identity, &target, &head.method, body);
        }
        // Whatever comes back as a stream holds a place of its own instead.
        let request = ResourceRequest::new(&self.api, target, query, head, body)?;
        if request.is_long_running() {
            drop(permit);
            let place = Arc::clone(&self.long_running)
                .try_acquire_owned()
                .map_err(|_| Status::too_many_requests())?;
            return objects::stream(request, place, &self.shutdown).await;
        }
        objects::answer(request).await
    }

    fn health(&self, which: &str) -> Reply {
        if which == "livez" || self.ready.is_ready() {
            reply::text(200, "ok")
        } else {
            reply::text(503, "not ready: starting or shutting down")
        }
    }
}

async fn read_body(body: Incoming) -> ApiResult<Bytes> {
    let collected = tokio::time::timeout(BODY_TIME, Limited::new(body, BODY_BYTES).collect()).await;
    match collected {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Status::too_large(BODY_BYTES)),
        Ok(Err(error)) => Err(Status::bad_request(format!(
            "the body could not be read: {error}"
        ))),
        Err(_) => Err(Status::new(
            408,
            "Timeout",
            "the body did not arrive in time",
        )),
    }
}
