//! What changed between two snapshots.

use crate::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidegate_model::{
    Authorities, Backend, BackendId, Certificate, CertificateId, Forward, Generation, Handshake,
    HostPattern, Route, Settings, SharedMap, SharedPart, Snapshot, differences,
};

/// The parts in which a snapshot differs from its base.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// The generation it applies to.
    pub base: Generation,
    /// The digest of the content it applies to.
    pub base_digest: Digest,
    /// The generation it leads to.
    pub generation: Generation,
    /// The digest of the content it leads to.
    pub digest: Digest,
    /// The parts that differ.
    #[serde(flatten)]
    pub changes: Changes,
}

/// Parts of a snapshot; of the maps, those that are new or changed, and `None` for those that went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Changes {
    /// The new settings, if they changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<Settings>,
    /// Routes by host.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub hosts: BTreeMap<HostPattern, Option<SharedPart<Vec<Route>>>>,
    /// Backends.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub backends: BTreeMap<BackendId, Option<SharedPart<Backend>>>,
    /// Names of certificates by host.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tls: BTreeMap<HostPattern, Option<CertificateId>>,
    /// Certificates.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub certificates: BTreeMap<CertificateId, Option<SharedPart<Certificate>>>,
    /// Who signs certificates of others.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub authorities: BTreeMap<CertificateId, Option<SharedPart<Authorities>>>,
    /// Handshakes by host.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub handshakes: BTreeMap<HostPattern, Option<SharedPart<Handshake>>>,
    /// Where TLS is passed through, by host.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub passthrough: BTreeMap<HostPattern, Option<SharedPart<Forward>>>,
}

/// The receiver does not have what a delta is about; it needs the whole snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeltaMismatch {
    /// It applies to another snapshot.
    #[error("the delta applies to generation {wanted}, we have {have}")]
    Base {
        /// The generation it applies to.
        wanted: Generation,
        /// The generation we have.
        have: Generation,
    },
    /// What came out of it is not what it says.
    #[error("generation {generation} does not have the digest its delta says")]
    Result {
        /// The generation it leads to.
        generation: Generation,
    },
}

impl Delta {
    /// The difference from `old` to `new`. `old_digest` is the digest of `old`; that of `new` is computed
    /// from it by the parts that changed.
    pub fn between(old: &Snapshot, old_digest: Digest, new: &Snapshot) -> Self {
        let mut digest = old_digest;
        let settings = (old.settings != new.settings).then(|| new.settings.clone());
        if settings.is_some() {
            digest.subtract(Digest::of_settings(&old.settings));
            digest.add(Digest::of_settings(&new.settings));
        }
        let changes = Changes {
            settings,
            hosts: changed(&old.hosts, &new.hosts, &mut digest, Digest::of_host),
            backends: changed(
                &old.backends,
                &new.backends,
                &mut digest,
                Digest::of_backend,
            ),
            tls: changed(&old.tls, &new.tls, &mut digest, Digest::of_tls),
            certificates: changed(
                &old.certificates,
                &new.certificates,
                &mut digest,
                Digest::of_certificate,
            ),
            authorities: changed(
                &old.authorities,
                &new.authorities,
                &mut digest,
                Digest::of_authorities,
            ),
            handshakes: changed(
                &old.handshakes,
                &new.handshakes,
                &mut digest,
                Digest::of_handshake,
            ),
            passthrough: changed(
                &old.passthrough,
                &new.passthrough,
                &mut digest,
                Digest::of_passthrough,
            ),
        };
        Self {
            base: old.generation,
            base_digest: old_digest,
            generation: new.generation,
            digest,
            changes,
        }
    }

    /// Whether only the generation differs.
    pub fn is_empty(&self) -> bool {
        self.changes == Changes::default()
    }

    /// The snapshot it leads to from `base`, which has `base_digest`.
    ///
    /// # Errors
    /// [`DeltaMismatch`]; the receiver then needs the whole snapshot.
    pub fn apply(self, base: &Snapshot, base_digest: Digest) -> Result<Snapshot, DeltaMismatch> {
        if self.base != base.generation || self.base_digest != base_digest {
            return Err(DeltaMismatch::Base {
                wanted: self.base,
                have: base.generation,
            });
        }
        let mut digest = base_digest;
        let mut next = base.clone();
        next.generation = self.generation;
        let changes = self.changes;
        if let Some(settings) = changes.settings {
            digest.subtract(Digest::of_settings(&base.settings));
            digest.add(Digest::of_settings(&settings));
            next.settings = settings;
        }
        put(&mut next.hosts, changes.hosts, &mut digest, Digest::of_host);
        put(
            &mut next.backends,
            changes.backends,
            &mut digest,
            Digest::of_backend,
        );
        put(&mut next.tls, changes.tls, &mut digest, Digest::of_tls);
        put(
            &mut next.certificates,
            changes.certificates,
            &mut digest,
            Digest::of_certificate,
        );
        put(
            &mut next.authorities,
            changes.authorities,
            &mut digest,
            Digest::of_authorities,
        );
        put(
            &mut next.handshakes,
            changes.handshakes,
            &mut digest,
            Digest::of_handshake,
        );
        put(
            &mut next.passthrough,
            changes.passthrough,
            &mut digest,
            Digest::of_passthrough,
        );
        if digest == self.digest {
            Ok(next)
        } else {
            Err(DeltaMismatch::Result {
                generation: self.generation,
            })
        }
    }
}

fn changed<K: Ord + Clone, V: PartialEq + Clone>(
    old: &SharedMap<K, V>,
    new: &SharedMap<K, V>,
    digest: &mut Digest,
    of: impl Fn(&K, &V) -> Digest,
) -> BTreeMap<K, Option<V>> {
    let mut changes = BTreeMap::new();
    for (name, part) in differences(Some(old), new) {
        if let Some(old) = old.get(name) {
            digest.subtract(of(name, old));
        }
        if let Some(part) = part {
            digest.add(of(name, part));
        }
        changes.insert(name.clone(), part.cloned());
    }
    changes
}

fn put<K: Ord + Clone, V: Clone>(
    parts: &mut SharedMap<K, V>,
    changes: BTreeMap<K, Option<V>>,
    digest: &mut Digest,
    of: impl Fn(&K, &V) -> Digest,
) {
    for (name, change) in changes {
        if let Some(old) = parts.get(&name) {
            digest.subtract(of(&name, old));
        }
        match change {
            Some(part) => {
                digest.add(of(&name, &part));
                parts.insert(name, part);
            }
            None => {
                parts.remove(&name);
            }
        }
    }
}
