//! What all parts come to.

use crate::part::{Context, Part};
use crate::{Diagnostic, ObjectRef, Translation, diagnostic};
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_model::{
    BackendId, CertificateId, Generation, HostPattern, Route, SharedMap, SharedPart, Snapshot,
};

/// The union of the parts that were added and not removed.
pub(super) struct Union {
    snapshot: Snapshot,
    ingresses: SharedMap<Arc<ObjectRef>, SharedPart<Vec<(HostPattern, Route)>>>,
    // What several parts may have, with the number of those that do.
    diagnostics: BTreeMap<Arc<Diagnostic>, usize>,
    backends: BTreeMap<BackendId, usize>,
    certificates: BTreeMap<CertificateId, usize>,
    authorities: BTreeMap<CertificateId, usize>,
}

impl Default for Union {
    fn default() -> Self {
        Self {
            snapshot: Snapshot::empty(Generation(0)),
            ingresses: SharedMap::new(),
            diagnostics: BTreeMap::new(),
            backends: BTreeMap::new(),
            certificates: BTreeMap::new(),
            authorities: BTreeMap::new(),
        }
    }
}

impl Union {
    /// Puts what is equal in the union in the place of what the part has.
    pub(super) fn share(&self, part: &mut Part) {
        share(&self.snapshot.hosts, &mut part.hosts);
        share(&self.snapshot.backends, &mut part.backends);
        share(&self.snapshot.certificates, &mut part.certificates);
        share(&self.snapshot.authorities, &mut part.authorities);
        share(&self.snapshot.handshakes, &mut part.handshakes);
        share(&self.snapshot.passthrough, &mut part.passthrough);
        share(&self.ingresses, &mut part.ingresses);
    }

    pub(super) fn add(&mut self, part: &Part) {
        extend(&mut self.snapshot.hosts, &part.hosts);
        extend(&mut self.snapshot.tls, &part.tls);
        extend(&mut self.snapshot.backends, &part.backends);
        extend(&mut self.snapshot.certificates, &part.certificates);
        extend(&mut self.snapshot.authorities, &part.authorities);
        extend(&mut self.snapshot.handshakes, &part.handshakes);
        extend(&mut self.snapshot.passthrough, &part.passthrough);
        extend(&mut self.ingresses, &part.ingresses);
        enter(&mut self.diagnostics, &part.diagnostics);
        enter(&mut self.backends, part.backends.keys());
        enter(&mut self.certificates, part.certificates.keys());
        enter(&mut self.authorities, part.authorities.keys());
    }

    /// Takes back a part that was added.
    pub(super) fn remove(&mut self, part: &Part) {
        for host in part.hosts.keys() {
            self.snapshot.hosts.remove(host);
        }
        for host in part.tls.keys() {
            self.snapshot.tls.remove(host);
        }
        for host in part.handshakes.keys() {
            self.snapshot.handshakes.remove(host);
        }
        for host in part.passthrough.keys() {
            self.snapshot.passthrough.remove(host);
        }
        for object in part.ingresses.keys() {
            self.ingresses.remove(object);
        }
        leave(&mut self.diagnostics, &part.diagnostics, |_| {});
        leave(&mut self.backends, part.backends.keys(), |id| {
            self.snapshot.backends.remove(id);
        });
        leave(&mut self.certificates, part.certificates.keys(), |id| {
            self.snapshot.certificates.remove(id);
        });
        leave(&mut self.authorities, part.authorities.keys(), |id| {
            self.snapshot.authorities.remove(id);
        });
    }

    /// Together with what is not in any part.
    pub(super) fn to_translation(
        &self,
        context: Context<'_>,
        diagnostics: diagnostic::Sink,
    ) -> Translation {
        let policies = context.policies.finish(&diagnostics);
        // Both are sorted, and there may be thousands in the union.
        let mut others = diagnostics.finish().into_iter().peekable();
        let mut diagnostics = Vec::with_capacity(self.diagnostics.len() + others.len());
        for known in self.diagnostics.keys() {
            while let Some(before) = others.next_if(|other| other < known) {
                diagnostics.push(before);
            }
            others.next_if_eq(known);
            diagnostics.push(Arc::clone(known));
        }
        diagnostics.extend(others);
        let mut snapshot = self.snapshot.clone();
        snapshot.settings = context.classes.settings;
        Translation {
            snapshot,
            diagnostics,
            ingresses: self.ingresses.clone(),
            policies,
        }
    }
}

fn share<K: Ord, V: PartialEq>(
    from: &SharedMap<K, SharedPart<V>>,
    to: &mut BTreeMap<K, SharedPart<V>>,
) {
    for (key, value) in to {
        if let Some(equal) = from.get(key).filter(|known| *known == value) {
            value.clone_from(equal);
        }
    }
}

fn extend<K: Ord + Clone, V: Clone>(all: &mut SharedMap<K, V>, part: &BTreeMap<K, V>) {
    all.extend(part.iter().map(|(key, value)| (key.clone(), value.clone())));
}

fn enter<'k, K: Ord + Clone + 'k>(
    users: &mut BTreeMap<K, usize>,
    keys: impl IntoIterator<Item = &'k K>,
) {
    for key in keys {
        *users.entry(key.clone()).or_default() += 1;
    }
}

fn leave<'k, K: Ord + 'k>(
    users: &mut BTreeMap<K, usize>,
    keys: impl IntoIterator<Item = &'k K>,
    mut unused: impl FnMut(&K),
) {
    for key in keys {
        if let Some(count) = users.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                users.remove(key);
                unused(key);
            }
        }
    }
}
