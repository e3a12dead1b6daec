//! The hub: observes members, decides, publishes to gateways, writes status.
//!
// NOTE FOR H (delete this note when you assemble the crate): J is writing `join/` and `gateway_process/` right now
// (src/join/, src/gateway_process/, crates/hub/tests/join*.rs, tests/gateway_process*.rs). You write the rest: observe, decide, act, run.

pub mod gateway_process;
pub mod join;
