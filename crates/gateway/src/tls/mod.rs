//! TLS: which certificate a client sees, how endpoints are spoken to, and the rules of both handshakes.
//!
//! Certificates are part of the table: a new snapshot changes them for the next handshake and leaves open
//! connections alone. TLS 1.2 and 1.3 with rustls' defaults; HTTP/2 before HTTP/1.1 by ALPN (RFC 7301). Session tickets
//! are sealed with keys that change every few hours and live in this process only, so a restart costs full handshakes.

mod authorities;
mod by_host;
mod certificates;
mod config;
mod handshakes;
mod outgoing;
mod passthrough;
mod presented;
mod trust;

pub use authorities::Trusted;
pub use certificates::{Certificates, Unusable};
pub(crate) use config::{Acceptor, Arrived};
pub use handshakes::Handshakes;
pub(crate) use outgoing::BackendSecurity;
pub use outgoing::Outgoing;
pub use passthrough::Passthrough;
pub(crate) use presented::Presented;

#[cfg(test)]
mod tests;
