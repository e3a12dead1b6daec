//! Numbers that are used once.

use super::PublishError;
use crate::disk;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use tidegate_model::Generation;

const FILE: &str = "generation";
/// Reserving many at once keeps the disk out of the way of an endpoint change.
const BLOCK: u64 = 100;

#[derive(Debug)]
pub(super) struct Numbering {
    dir: PathBuf,
    /// The highest number used by us or seen at a receiver.
    highest: u64,
    /// Numbers up to this one are reserved on disk.
    reserved: u64,
}

impl Numbering {
    pub(super) fn open(dir: &Path) -> Result<Self, PublishError> {
        let path = dir.join(FILE);
        let failed = |source| PublishError::State {
            path: path.clone(),
            source,
        };
        disk::create_dir(dir).map_err(failed)?;
        let reserved = match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().unwrap_or_else(|_| {
                tracing::warn!(
                    path = %path.display(),
                    "no number in it, starting at 1; receivers that have more will say so"
                );
                0
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(failed(error)),
        };
        Ok(Self {
            dir: dir.to_owned(),
            highest: reserved,
            reserved,
        })
    }

    pub(super) fn saw(&mut self, generation: Generation) {
        self.highest = self.highest.max(generation.0);
    }

    pub(super) fn next(&mut self) -> Result<Generation, PublishError> {
        let next = self.highest.saturating_add(1);
        if next > self.reserved {
            let reserved = next.saturating_add(BLOCK - 1);
            let text = format!("{reserved}\n");
            disk::replace(&self.dir, FILE, text.as_bytes()).map_err(|source| {
                PublishError::State {
                    path: self.dir.join(FILE),
                    source,
                }
            })?;
            self.reserved = reserved;
        }
        self.highest = next;
        Ok(Generation(next))
    }
}
