//! What the echo server answers: a function of the request and a little state.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode, header};
use serde_json::json;

/// Longest `/sleep`: ten minutes, so that a typo does not hold a connection for ever.
const SLEEP_MAX: Duration = Duration::from_secs(600);

/// One piece of a streamed body.
static ZEROS: [u8; 16 * 1024] = [b'0'; 16 * 1024];

/// Who answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) cluster: String,
    pub(crate) namespace: String,
    pub(crate) pod: String,
    pub(crate) node: String,
}

/// How the server misbehaves on request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    Errors,
}

/// What one echo server remembers.
#[derive(Debug)]
pub(super) struct Echo {
    pub(super) identity: Identity,
    fault: Cell<Fault>,
    arrived: RefCell<BTreeMap<String, u64>>,
}

/// An answer, and how long to wait before giving it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Response<EchoBody>,
    pub(super) after: Option<Duration>,
}

impl Echo {
    pub(super) fn new(identity: Identity) -> Self {
        Self {
            identity,
            fault: Cell::new(Fault::None),
            arrived: RefCell::default(),
        }
    }

    /// Answers a request that came in on `port` with a body of `body_len` bytes.
    pub(super) fn answer(&self, request: &Parts, port: u16, body_len: u64) -> Answer {
        let path = request.uri.path();
        if path == "/-/fault" {
            return now(self.set_fault(request.uri.query().unwrap_or_default()));
        }
        if path == "/count" {
            return now(self.json(StatusCode::OK, &self.counts()));
        }
        let health = matches!(path, "/healthz" | "/readyz");
        if !health {
            self.count(request.method.as_str());
        }
        if self.fault.get() == Fault::Errors {
            return now(self.text(StatusCode::SERVICE_UNAVAILABLE, "told to fail\n"));
        }
        if health {
            return now(self.text(StatusCode::OK, "ok\n"));
        }
        if let Some(ms) = path.strip_prefix("/sleep/") {
            return match ms.parse() {
                Ok(ms) if Duration::from_millis(ms) <= SLEEP_MAX => Answer {
                    response: self.describe(StatusCode::OK, request, port, body_len),
                    after: Some(Duration::from_millis(ms)),
                },
                _ => now(self.text(
                    StatusCode::BAD_REQUEST,
                    "give /sleep/MS with MS up to 600000\n",
                )),
            };
        }
        if let Some(code) = path.strip_prefix("/status/") {
            return now(
                match code
                    .parse()
                    .ok()
                    .and_then(|code: u16| StatusCode::from_u16(code).ok())
                {
                    Some(code) if (200..600).contains(&code.as_u16()) => {
                        self.describe(code, request, port, body_len)
                    }
                    _ => self.text(
                        StatusCode::BAD_REQUEST,
                        "give /status/CODE with CODE from 200 to 599\n",
                    ),
                },
            );
        }
        if let Some(n) = path.strip_prefix("/bytes/") {
            return now(match n.parse() {
                Ok(left) => self.response(
                    StatusCode::OK,
                    "application/octet-stream",
                    EchoBody::Zeros { left },
                ),
                Err(_) => self.text(
                    StatusCode::BAD_REQUEST,
                    "give /bytes/N with N a number of bytes\n",
                ),
            });
        }
        now(self.describe(StatusCode::OK, request, port, body_len))
    }

    fn set_fault(&self, query: &str) -> Response<EchoBody> {
        let mode = query.split('&').find_map(|pair| pair.strip_prefix("mode="));
        let fault = match mode {
            Some("errors") => Fault::Errors,
            Some("none") => Fault::None,
            _ => return self.text(StatusCode::BAD_REQUEST, "give ?mode=errors or ?mode=none\n"),
        };
        self.fault.set(fault);
        self.text(StatusCode::OK, "ok\n")
    }

    fn count(&self, method: &str) {
        let mut arrived = self.arrived.borrow_mut();
        // Methods are made up by clients, so only known ones get a counter of their own.
        let known = matches!(
            method,
            "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS"
        );
        let method = if known { method } else { "other" };
        match arrived.get_mut(method) {
            Some(count) => *count += 1,
            None => {
                arrived.insert(method.to_owned(), 1);
            }
        }
    }

    fn counts(&self) -> serde_json::Value {
        let methods = self.arrived.borrow();
        json!({"pod": self.identity.pod, "total": methods.values().sum::<u64>(), "methods": *methods})
    }

    fn describe(
        &self,
        status: StatusCode,
        request: &Parts,
        port: u16,
        body_len: u64,
    ) -> Response<EchoBody> {
        let mut headers: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (name, value) in &request.headers {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            headers.entry(name.as_str()).or_default().push(value);
        }
        let host = request
            .headers
            .get(header::HOST)
            .map(|h| String::from_utf8_lossy(h.as_bytes()).into_owned());
        let host = host
            .or_else(|| request.uri.host().map(str::to_owned))
            .unwrap_or_default();
        let Identity {
            cluster,
            namespace,
            pod,
            node,
        } = &self.identity;
        let body = json!({
            "cluster": cluster,
            "namespace": namespace,
            "pod": pod,
            "node": node,
            "port": port,
            "method": request.method.as_str(),
            "host": host,
            "path": request.uri.path(),
            "query": request.uri.query().unwrap_or_default(),
            "proto": format!("{:?}", request.version),
            "headers": headers,
            "bodyLength": body_len,
        });
        self.json(status, &body)
    }

    fn json(&self, status: StatusCode, value: &serde_json::Value) -> Response<EchoBody> {
        let mut body = value.to_string();
        body.push('\n');
        self.response(
            status,
            "application/json",
            EchoBody::Full(Some(body.into())),
        )
    }

    fn text(&self, status: StatusCode, text: &'static str) -> Response<EchoBody> {
        self.response(
            status,
            "text/plain; charset=utf-8",
            EchoBody::Full(Some(Bytes::from_static(text.as_bytes()))),
        )
    }

    fn response(
        &self,
        status: StatusCode,
        content_type: &'static str,
        body: EchoBody,
    ) -> Response<EchoBody> {
        let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let mut response = Response::new(if bodiless { EchoBody::Full(None) } else { body });
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static(content_type),
        );
        for (name, value) in [
            ("x-echo-cluster", &self.identity.cluster),
            ("x-echo-pod", &self.identity.pod),
        ] {
            if let Ok(value) = header::HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        }
        response
    }
}

fn now(response: Response<EchoBody>) -> Answer {
    Answer {
        response,
        after: None,
    }
}

/// A body that is either short and ready, or long and made while it is sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum EchoBody {
    Full(Option<Bytes>),
    Zeros { left: u64 },
}

impl Body for EchoBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let piece = match self.get_mut() {
            Self::Full(body) => body.take(),
            Self::Zeros { left: 0 } => None,
            Self::Zeros { left } => {
                let size = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(ZEROS.len());
                *left -= size as u64;
                Some(Bytes::from_static(&ZEROS[..size]))
            }
        };
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Full(None) | Self::Zeros { left: 0 })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Full(body) => body.as_ref().map_or(0, |b| b.len() as u64),
            Self::Zeros { left } => *left,
        })
    }
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn echo() -> Echo {
        Echo::new(Identity {
            cluster: "az1".into(),
            namespace: "shop".into(),
            pod: "p1".into(),
            node: "az1".into(),
        })
    }

    fn ask(echo: &Echo, method: &str, uri: &str) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header("host", "shop.example.com")
            .header("x-a", "1")
            .body(());
        echo.answer(&request.expect("valid").into_parts().0, 8080, 7)
    }

    fn body(answer: Answer) -> serde_json::Value {
        match answer.response.into_body() {
            EchoBody::Full(Some(bytes)) => serde_json::from_slice(&bytes).expect("json"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn says_who_answered_and_what_arrived() {
        let got = body(ask(&echo(), "POST", "/cart?x=1"));
        for (field, expect) in [
            ("cluster", json!("az1")),
            ("namespace", json!("shop")),
            ("pod", json!("p1")),
            ("port", json!(8080)),
            ("method", json!("POST")),
            ("host", json!("shop.example.com")),
            ("path", json!("/cart")),
            ("query", json!("x=1")),
            ("bodyLength", json!(7)),
        ] {
            assert_eq!(got[field], expect, "{field}");
        }
        assert_eq!(got["headers"]["x-a"], json!(["1"]));
    }

    #[test]
    fn special_paths() {
        let echo = echo();
        let status = |uri: &str| ask(&echo, "GET", uri).response.status().as_u16();
        assert_eq!(
            [
                status("/healthz"),
                status("/readyz"),
                status("/status/418"),
                status("/status/204")
            ],
            [200, 200, 418, 204]
        );
        assert_eq!(
            [
                status("/status/100"),
                status("/status/x"),
                status("/sleep/x"),
                status("/bytes/-1")
            ],
            [400; 4]
        );
        assert_eq!(
            ask(&echo, "GET", "/sleep/50").after,
            Some(Duration::from_millis(50))
        );
        assert_eq!(
            *ask(&echo, "GET", "/bytes/100000").response.body(),
            EchoBody::Zeros { left: 100_000 }
        );
    }

    #[test]
    fn a_fault_covers_health_until_cleared() {
        let echo = echo();
        let status = |uri: &str| ask(&echo, "GET", uri).response.status().as_u16();
        assert_eq!([status("/-/fault?mode=x"), status("/healthz")], [400, 200]);
        assert_eq!(
            [
                status("/-/fault?mode=errors"),
                status("/healthz"),
                status("/"),
                status("/count")
            ],
            [200, 503, 503, 200]
        );
        assert_eq!(
            [
                status("/-/fault?mode=none"),
                status("/healthz"),
                status("/")
            ],
            [200; 3]
        );
    }

    #[test]
    fn counts_arrivals_by_method_but_not_probes() {
        let echo = echo();
        for (method, uri) in [
            ("GET", "/"),
            ("GET", "/x"),
            ("POST", "/"),
            ("BREW", "/"),
            ("GET", "/healthz"),
            ("GET", "/-/fault?mode=none"),
        ] {
            ask(&echo, method, uri);
        }
        let counts = body(ask(&echo, "GET", "/count"));
        assert_eq!(
            (&counts["total"], &counts["methods"]),
            (&json!(4), &json!({"GET": 2, "POST": 1, "other": 1}))
        );
    }
}
