//! Connections to endpoints: kept per worker and endpoint, or opened without waiting.

mod connect;
mod pool;

pub(crate) use connect::{poll_connected, start_connect};
pub(crate) use pool::Pools;
