//! Snapshots on their way from the hub to receivers, and what a receiver keeps on disk.
//!
//! ```text
//!  hub                                          receiver (gateway)
//!  Publisher --- frames over a Unix socket ---> receive() ---> apply()
//!     |  generation is kept in state_dir           '--------> LastKnownGood (snapshot.json and the one before)
//!     '--> receivers(): who has accepted what
//! ```
//!
//! * Snapshots are ordered. The publisher numbers them above everything it ever sent and everything any
//!   receiver says it has; a receiver refuses what is older than what it has.
//! * A receiver that has the previous snapshot gets only the parts that changed ([`Delta`]), with digests
//!   on both sides to prove it; when they do not fit it gets the whole.
//! * A slow receiver gets the latest snapshot, never a queue of old ones.
//! * A receiver never gives up, and serves what it has meanwhile.
//!
//! The crate knows nothing of what snapshots mean beyond [`tidegate_model`].

mod address;
mod delta;
mod digest;
mod disk;
mod frame;
mod message;
mod publisher;
mod receiver;
mod store;

pub use address::{FeedAddress, InvalidFeedAddress};
pub use delta::{Changes, Delta, DeltaMismatch};
pub use digest::Digest;
pub use publisher::{PublishError, Publisher, ReceiverStatus};
pub use receiver::{Connection, receive};
pub use store::{LastKnownGood, Loaded, RefusedFile, StoreError};

#[cfg(test)]
mod tests;
