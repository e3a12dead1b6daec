//! The built-in echo server: the program behind `tidegate.io/echo`, `nginx` and others.
//!
//! It says who answered and what arrived, can be slow, large, or failing on request, and is small: one thread,
//! no allocation that grows with what it serves.
//!
//! | path | answer |
//! |---|---|
//! | `/healthz`, `/readyz` | 200 |
//! | `/sleep/MS` | the usual answer, after `MS` milliseconds |
//! | `/status/CODE` | the usual answer with this status |
//! | `/bytes/N` | `N` bytes |
//! | `/count` | requests that arrived, by method, without those to `/count`, `/-/` and the health paths |
//! | `/-/fault?mode=errors`, `mode=none` | from now on every other answer is a 503, health included; and back |
//! | anything else | JSON about the server and the request |

mod answer;
mod serve;

pub(crate) use answer::Identity;
pub(crate) use serve::{AccessLog, EchoOptions, run};

/// The line, on standard output, after which the server takes connections.
pub(crate) const READY_LINE: &str = "echo is listening on";
