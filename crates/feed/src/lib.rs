//! Snapshots from hub to receivers: wire, digest, deltas, last-known-good on disk.
