//! Answers of the gateway itself: short, plain, and saying what is wrong.

use crate::h1::{Method, Persistence, Refusal};
use std::io::Write;

/// Why the gateway answers in a backend's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnAnswer {
    /// The request is not acceptable.
    Refused(Refusal),
    /// A route says so: this status and an empty body.
    Bare(u16),
    /// The client's address may not use the route.
    Forbidden,
    /// The client's name and password are missing or wrong.
    Unauthorized,
    /// The client's certificate does not let it in.
    Certificate(CertificateProblem),
    /// Another service does not let the request in: 401 or 403.
    Denied(u16),
    /// Another service, which must be asked, gave no usable answer.
    NoOpinion,
    /// The client asks too much: this status.
    TooMany(u16),
    /// All clients of the route together ask too much: this status.
    RouteLimited(u16),
    /// Too many requests are under way: this status.
    TooBusy(u16),
    /// A rule says so: this status and the body that it gives, with a line that says what it is.
    Given(u16),
    /// No route matches.
    NoRoute,
    /// There is no snapshot yet: what is served is unknown, which is not "nothing".
    NoConfiguration,
    /// The backend has no endpoint left to try.
    NoEndpoint,
    /// The gateway has run out of descriptors or memory.
    Exhausted,
    /// Every endpoint that was tried failed.
    BadGateway,
    /// No endpoint answered in time.
    Timeout,
}

/// Why a certificate, or the lack of one, does not let a client in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CertificateProblem {
    /// There is none.
    Missing,
    /// It is not from whom it should be, or not valid now.
    Bad,
    /// It is for somebody else.
    OtherName,
    /// There is no TLS, so there cannot be one.
    NoTls,
    /// The connection was made for another host and was not asked for one (RFC 9110 15.5.20).
    Misdirected,
}

impl CertificateProblem {
    fn status(self) -> u16 {
        match self {
            Self::Missing | Self::Bad => 400,
            Self::OtherName | Self::NoTls => 403,
            Self::Misdirected => 421,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Missing => "this route needs a client certificate, and none was sent",
            Self::Bad => "the client certificate is not one that this route takes",
            Self::OtherName => "the client certificate is for somebody who may not use this route",
            Self::NoTls => "this route needs a client certificate, so it needs HTTPS",
            Self::Misdirected => {
                "this connection was made for another host; open one for this host"
            }
        }
    }
}

impl OwnAnswer {
    /// The status the client sees.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::Refused(refusal) => refusal.status(),
            Self::Bare(status)
            | Self::TooMany(status)
            | Self::RouteLimited(status)
            | Self::TooBusy(status)
            | Self::Denied(status)
            | Self::Given(status) => status,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::Certificate(problem) => problem.status(),
            Self::NoRoute => 404,
            Self::BadGateway => 502,
            Self::NoOpinion | Self::NoConfiguration | Self::NoEndpoint | Self::Exhausted => 503,
            Self::Timeout => 504,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.reason(),
            Self::Bare(_) | Self::Given(_) => "",
            Self::Denied(_) => "the authentication service does not let this request in",
            Self::NoOpinion => "the authentication service gave no usable answer",
            Self::TooBusy(_) => "too many requests are under way",
            Self::Certificate(problem) => problem.text(),
            Self::Forbidden => "this client address may not use this route",
            Self::Unauthorized => "this route needs a name and a password",
            // What clients of the original look for.
            Self::RouteLimited(_) => "local_rate_limited",
            Self::TooMany(_) => "this client has sent too many requests",
            Self::NoRoute => "no route matches this host and path",
            Self::NoConfiguration => "the gateway has no configuration yet",
            Self::NoEndpoint => "no endpoint can serve this request",
            Self::Exhausted => "the gateway has run out of resources",
            Self::BadGateway => "no endpoint gave a usable answer",
            Self::Timeout => "no endpoint answered in time",
        }
    }

    /// Appends the whole answer; `more` are further header lines, `given` is the body of [`OwnAnswer::Given`].
    pub(crate) fn write(
        self,
        method: Method,
        persistence: Persistence,
        more: &[u8],
        given: &[u8],
        out: &mut Vec<u8>,
    ) {
        let status = self.status();
        let text = self.text();
        let given = match self {
            Self::Given(_) => given,
            _ => b"",
        };
        // Writing to a vector cannot fail.
        let _ = write!(out, "HTTP/1.1 {status} {}\r\n", phrase(status));
        if self == Self::Refused(Refusal::MethodNotAllowed) {
            out.extend_from_slice(b"Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n");
        }
        let end = match self {
            Self::RouteLimited(_) => "",
            _ if text.is_empty() => "",
            _ => "\n",
        };
        if !text.is_empty() {
            out.extend_from_slice(b"Content-Type: text/plain; charset=utf-8\r\n");
        }
        // 204 and 304 have no body by definition, so no length either (RFC 9110 8.6).
        if !matches!(status, 204 | 304) {
            let length = given.len() + text.len() + end.len();
            let _ = write!(out, "Content-Length: {length}\r\n");
        }
        out.extend_from_slice(more);
        if persistence == Persistence::Close {
            out.extend_from_slice(b"Connection: close\r\n");
        }
        out.extend_from_slice(b"\r\n");
        if method != Method::Head {
            out.extend_from_slice(given);
            out.extend_from_slice(text.as_bytes());
            out.extend_from_slice(end.as_bytes());
        }
    }
}

/// The usual reason phrase; nobody may rely on it (RFC 9112 4).
fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
