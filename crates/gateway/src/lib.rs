//! The L7 data plane: HTTP/1.1 and HTTP/2 on both sides, and never a request lost that could have been served.
//!
//! ```text
//! Gateway ── worker threads ── conn (one task a client's connection)
//!    │           │               │  head -> admit (route, filter) -> forward; HTTP/2: the same for each stream
//!    │           │               └─ forward: attempts at endpoints, relay of the answer
//!    │           └─ own listener, kept upstream connections, buffers, deadlines
//!    │
//!    ├── state::Shared ── table   what is served: hosts, routes, backends (one atomic pointer)
//!    │        │        ── health  how endpoints and clusters are judged (atomics)
//!    │        └─ choose: which endpoint; budget: what may be sent twice
//!    ├── prober thread: asks endpoints
//!    ├── feed: snapshots from the hub, kept on disk; or config: a file that people write
//!    └── admin port
//! ```
//!
//! It depends on neither Kubernetes nor the hub: it serves the last snapshot it accepted, from its own
//! disk, whether or not anybody is there to send another. What HTTP it accepts and why is in `h1`; when a
//! request is sent again, in `forward/exchange.rs`.
//!
//! Not here yet: TLS towards backends, upgrades to anything but WebSocket, access logs.

pub mod budget;
pub mod choose;
pub mod config;
mod conn;
mod filter;
mod forward;
mod gateway;
mod h1;
mod hash;
pub mod health;
mod key;
pub mod state;
pub mod table;
pub mod tls;
mod upstream;
mod worker;

pub use gateway::{Gateway, GatewayConfig, StartError};
