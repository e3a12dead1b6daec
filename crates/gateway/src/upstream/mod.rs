//! Connections to endpoints: kept per worker and endpoint, or opened without waiting.

mod connect;
mod http2;
mod pool;
mod stream;

pub(crate) use connect::{poll_connected, start_connect};
pub(crate) use http2::Links;
pub(crate) use pool::Pools;
pub(crate) use stream::EndpointStream;
