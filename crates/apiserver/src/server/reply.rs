//! Building HTTP answers.

use crate::status::Status;
use bytes::Bytes;
use futures::Stream;
use futures::StreamExt as _;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use serde_json::Value;
use std::convert::Infallible;

/// The body of every answer.
pub(super) type Body = UnsyncBoxBody<Bytes, std::io::Error>;
/// Every answer.
pub(super) type Reply = Response<Body>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const WARNING: HeaderName = HeaderName::from_static("warning");

/// Bytes that are JSON already.
pub(super) fn json_bytes(code: u16, bytes: Bytes) -> Reply {
    typed(code, JSON, bytes)
}

/// A JSON value.
pub(super) fn json(code: u16, value: &Value) -> Reply {
    json_bytes(code, Bytes::from(value.to_string()))
}

/// Plain text.
pub(super) fn text(code: u16, text: impl Into<Bytes>) -> Reply {
    typed(
        code,
        HeaderValue::from_static("text/plain; charset=utf-8"),
        text.into(),
    )
}

/// Bytes of a media type.
pub(super) fn typed(code: u16, media_type: HeaderValue, bytes: Bytes) -> Reply {
    let body = Full::new(bytes)
        .map_err(|never: Infallible| match never {})
        .boxed_unsync();
    let mut reply = Response::new(body);
    *reply.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    reply.headers_mut().insert(CONTENT_TYPE, media_type);
    reply
}

/// Pieces as they come, each sent at once.
pub(super) fn stream(
    media_type: HeaderValue,
    pieces: impl Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static,
) -> Reply {
    let body = StreamBody::new(pieces.map(|piece| piece.map(Frame::data)));
    let mut reply = Response::new(body.boxed_unsync());
    reply.headers_mut().insert(CONTENT_TYPE, media_type);
    reply.headers_mut().insert(
        http::header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, private"),
    );
    reply
}

/// A failure.
pub(super) fn failure(status: &Status) -> Reply {
    let mut reply = json(status.code, &status.to_value());
    if let Some(seconds) = status
        .details
        .get("retryAfterSeconds")
        .and_then(Value::as_u64)
    {
        reply
            .headers_mut()
            .insert(http::header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status.code == 401 {
        let basic = HeaderValue::from_static("Bearer realm=\"kubernetes\"");
        reply
            .headers_mut()
            .insert(http::header::WWW_AUTHENTICATE, basic);
    }
    reply
}

/// Adds `Warning` headers, which kubectl prints.
pub(super) fn with_warnings(mut reply: Reply, warnings: &[String]) -> Reply {
    // More would not be read, and headers have a limit of their own.
    const MOST: usize = 20;
    for warning in warnings.iter().take(MOST) {
        let quoted: String = warning
            .chars()
            .filter(|c| !c.is_control())
            .take(250)
            .collect::<String>()
            .replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            reply.headers_mut().append(WARNING, value);
        }
    }
    reply
}
