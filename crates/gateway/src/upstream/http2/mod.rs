//! HTTP/2 to endpoints (RFC 9113): many requests on few connections.
//!
//! ```text
//! Links (one a worker) -- address -- Link: a connection, driven by a task of its own
//!                                     '- Stream: HTTP/1.1 of one attempt <-> frames
//! ```
//!
//! An attempt writes and reads HTTP/1.1, as with any endpoint; [`Stream`] is the mirror image of
//! `conn::http2::Stream`. So all rules of attempts hold. What is new is that a request may be known not to have been
//! processed although it was sent (GOAWAY, REFUSED_STREAM): it may go to another endpoint whatever its method.

mod link;
mod links;
mod message;
mod stream;

pub(crate) use links::Links;
pub(crate) use stream::Stream;
