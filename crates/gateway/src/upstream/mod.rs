//! Connections to endpoints: kept per worker and endpoint, or opened without waiting.

mod connect;
mod http2;
mod pool;
mod stream;
mod tls;

pub(crate) use connect::{poll_connected, start_connect};
pub(crate) use http2::Links;
pub(crate) use pool::{Peer, Pools};
pub(crate) use stream::EndpointStream;
pub(crate) use tls::TlsConnection;
