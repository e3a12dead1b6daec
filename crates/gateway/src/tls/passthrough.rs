//! Hosts whose TLS is not ended here.

use super::Certificates;
use super::by_host::narrowest;
use crate::choose::BackendState;
use crate::table::ForwardEntry;
use std::collections::HashMap;
use std::sync::Arc;
use tidegate_model::{BackendId, Forward, HostPattern, SharedMap, SharedPart};

/// Where connections go, by the name that clients ask for.
#[derive(Debug, Default)]
pub struct Passthrough(HashMap<HostPattern, Arc<ForwardEntry>>);

impl Passthrough {
    /// One whose backend is not in `backends` is left out; a valid snapshot has none.
    pub(crate) fn compile(
        hosts: &SharedMap<HostPattern, SharedPart<Forward>>,
        backends: &HashMap<BackendId, Arc<BackendState>>,
    ) -> Self {
        // No cookie will be seen.
        let path = Arc::from("/");
        let compile = |(host, forward): (&HostPattern, &SharedPart<Forward>)| {
            let entry = ForwardEntry::compile(forward, &path, backends)?;
            Some((host.clone(), Arc::new(entry)))
        };
        Self(hosts.iter().filter_map(compile).collect())
    }

    /// Where a client goes that asks for `name`. A host with a certificate has its TLS ended here, whatever wider names
    /// say.
    pub(crate) fn find(
        &self,
        name: Option<&str>,
        certificates: &Certificates,
    ) -> Option<&Arc<ForwardEntry>> {
        narrowest(&self.0, name, |host| certificates.has(host))
    }
}
