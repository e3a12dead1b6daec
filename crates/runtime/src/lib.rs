//! Process chores that every Tidegate process shares, and nothing of what Tidegate does.
//!
//! ```text
//! telemetry::init        logs to stderr, filtered by TIDEGATE_LOG
//! signals::shutdown      SIGTERM or SIGINT -> CancellationToken
//! Admin -> BoundAdmin    /livez /readyz /metrics and JSON pages of the process
//!   '- Readiness -> Check      one named condition a part
//! Clock -> Tick          monotonic time as a plain number, an argument of decisions
//! atomic_file::write     a file is the old one or the new one, never half of it
//! ```

pub mod atomic_file;
pub mod clock;
pub mod signals;
pub mod telemetry;

mod admin;
mod gauges;
mod readiness;

pub use admin::{Admin, AdminError, AdminReply, AdminRequest, BoundAdmin};
pub use clock::{Clock, Tick};
pub use gauges::{gauge, gauges};
pub use prometheus_client;
pub use readiness::{Check, CheckState, Readiness};
