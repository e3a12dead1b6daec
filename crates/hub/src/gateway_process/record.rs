//! The note of which process is the gateway.

use super::process::Identity;
use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use tidegate_runtime::atomic_file;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    pub(super) pid: u32,
    #[serde(flatten)]
    pub(super) identity: Identity,
    /// See [`command_line`].
    pub(super) command: Vec<String>,
}

impl Record {
    /// The note at a path. One that cannot be read is as good as none: the process it might mean
    /// cannot be told from others.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot read the note of the running gateway");
                return None;
            }
        };
        serde_json::from_slice(&bytes)
            .inspect_err(|error| {
                tracing::warn!(path = %path.display(), %error, "the note of the running gateway is damaged; starting a new one");
            })
            .ok()
    }

    /// Blocks for the disk.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let bytes = serde_json::to_vec_pretty(self)?;
        atomic_file::write(path, &bytes, 0o600)
    }
}

/// A program and its arguments as texts: bytes that are not printable ASCII are escaped, so that
/// different command lines never look the same.
pub(super) fn command_line(exec: &Path, args: &[OsString]) -> Vec<String> {
    let text = |part: &OsStr| part.as_bytes().escape_ascii().to_string();
    std::iter::once(exec.as_os_str())
        .chain(args.iter().map(OsString::as_os_str))
        .map(text)
        .collect()
}
