//! No durability: for tests and throw-away clusters.

use super::{Backend, Loaded, Persist, StoreError};

/// Keeps nothing; the in-memory state is all there is.
#[derive(Debug, Default)]
pub(crate) struct MemoryBackend;

impl Backend for MemoryBackend {
    fn load(&mut self) -> Result<Loaded, StoreError> {
        Ok(Loaded::default())
    }

    fn commit(&mut self, _revision: u64, _changes: &[Persist<'_>]) -> Result<(), StoreError> {
        Ok(())
    }
}
