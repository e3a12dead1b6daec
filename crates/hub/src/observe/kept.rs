//! What was seen of a member, kept on disk, so that a restart of the hub while the member's API cannot be
//! reached does not cost its endpoints.

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tidegate_model::ClusterName;

/// Version of the stored form. A newer one is not read.
const FORMAT: u32 = 1;

/// Services and EndpointSlices of one member.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    format: u32,
    pub(crate) services: Vec<Arc<Service>>,
    pub(crate) slices: Vec<Arc<EndpointSlice>>,
}

impl Kept {
    pub(crate) fn new(services: Vec<Arc<Service>>, slices: Vec<Arc<EndpointSlice>>) -> Self {
        Self {
            format: FORMAT,
            services,
            slices,
        }
    }

    /// Reads what was kept; `None` when there is nothing or nothing usable, which is logged.
    pub(crate) fn load(folder: &Path, cluster: &ClusterName) -> Option<Self> {
        let path = path(folder, cluster);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "kept objects cannot be read");
                return None;
            }
        };
        match serde_json::from_slice::<Self>(&bytes) {
            Ok(kept) if kept.format <= FORMAT => Some(kept),
            Ok(kept) => {
                tracing::warn!(path = %path.display(), format = kept.format, "kept objects are of a newer release and not used");
                None
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "kept objects are damaged and not used");
                None
            }
        }
    }

    /// Replaces the file whole.
    pub(crate) fn save(&self, folder: &Path, cluster: &ClusterName) -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let bytes = serde_json::to_vec(self).map_err(io::Error::other)?;
        tidegate_runtime::atomic_file::write(&path(folder, cluster), &bytes, 0o600)
    }

    /// Forgets a cluster that was removed from the fleet.
    pub(crate) fn forget(folder: &Path, cluster: &ClusterName) {
        match std::fs::remove_file(path(folder, cluster)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%cluster, %error, "kept objects of a removed cluster stay on disk");
            }
            _ => {}
        }
    }
}

fn path(folder: &Path, cluster: &ClusterName) -> PathBuf {
    // A cluster name is an RFC 1123 label: no separator, no dot.
    folder.join(format!("{cluster}.json"))
}
