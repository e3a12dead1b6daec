//! Objects that annotations name.

use super::Manifests;
use crate::annotation::PREFIXES;
use std::collections::BTreeSet;

/// Annotations whose values name a Secret, as `name` or `namespace/name`.
const SECRETS: [&str; 3] = ["auth-secret", "auth-tls-secret", "proxy-ssl-secret"];
/// And a ConfigMap.
const CONFIG_MAPS: [&str; 2] = ["custom-headers", "auth-proxy-set-headers"];

/// Namespaces and names.
type Names = BTreeSet<(String, String)>;

impl Manifests {
    /// The Secrets and the ConfigMaps that annotations of its Ingresses name.
    pub fn named(&self) -> (Names, Names) {
        (self.named_by(&SECRETS), self.named_by(&CONFIG_MAPS))
    }

    fn named_by(&self, annotations: &[&str]) -> Names {
        let mut names = Names::new();
        for ingress in &self.ingresses {
            let own = ingress.metadata.namespace.as_deref().unwrap_or_default();
            for (key, value) in ingress.metadata.annotations.iter().flatten() {
                let name = PREFIXES.iter().find_map(|prefix| key.strip_prefix(prefix));
                if name.is_some_and(|name| annotations.contains(&name)) {
                    let (namespace, name) = value.trim().split_once('/').unwrap_or((own, value));
                    names.insert((namespace.to_owned(), name.trim().to_owned()));
                }
            }
        }
        // What cannot be a name is reported by who reads the annotation.
        names.retain(|(_, name)| !name.is_empty() && !name.contains('/'));
        names
    }
}
