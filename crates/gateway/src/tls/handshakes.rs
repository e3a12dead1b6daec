//! Hosts whose clients shake hands in a way of their own.

use super::authorities::{self, are_same};
use super::by_host::narrowest;
use super::config::complete;
use super::trust::{self, Asking};
use super::{Certificates, Trusted};
use rustls::ServerConfig;
use rustls::server::{NoClientAuth, ResolvesServerCert};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use tidegate_model::{CertificateId, Handshake, HostPattern, SharedMap, SharedPart};

/// Handshakes by host. Immutable; those that did not change are shared with the one before, and so are their sessions.
#[derive(Debug, Default)]
pub struct Handshakes(HashMap<HostPattern, Arc<HostHandshake>>);

/// How the clients of a host shake hands.
#[derive(Debug)]
pub(crate) struct HostHandshake {
    rule: SharedPart<Handshake>,
    /// Who signs what is asked for. If they cannot be read it is asked for all the same, and no route takes it.
    anchors: authorities::Named,
    /// Made when the first client comes: only then it is known where certificates are.
    config: OnceLock<Result<Arc<ServerConfig>, String>>,
}

impl Handshakes {
    /// Takes what `snapshot` says and `previous` does not.
    pub(crate) fn compile(
        handshakes: &SharedMap<HostPattern, SharedPart<Handshake>>,
        trusted: &Trusted,
        previous: Option<&Self>,
    ) -> Self {
        let compile = |(host, rule): (&HostPattern, &SharedPart<Handshake>)| {
            let authorities = rule.authorities.as_ref();
            let anchors = authorities.map(|id: &CertificateId| trusted.get(id).cloned());
            let known = previous.and_then(|p| p.0.get(host));
            let handshake = match known.filter(|known| known.is_of(rule, &anchors)) {
                Some(known) => Arc::clone(known),
                None => Arc::new(HostHandshake {
                    rule: rule.clone(),
                    anchors,
                    config: OnceLock::new(),
                }),
            };
            (host.clone(), handshake)
        };
        Self(handshakes.iter().map(compile).collect())
    }

    /// That of the host a client asks for: an exact name before a wildcard, which stands for one label, before the
    /// default. A host that has a certificate and no handshake of its own shakes hands as usual, whatever wider names
    /// say: `None`.
    pub(crate) fn find(
        &self,
        name: Option<&str>,
        certificates: &Certificates,
    ) -> Option<&Arc<HostHandshake>> {
        narrowest(&self.0, name, |host| certificates.has(host))
    }
}

impl HostHandshake {
    fn is_of(&self, rule: &SharedPart<Handshake>, anchors: &authorities::Named) -> bool {
        are_same(&self.anchors, anchors) && self.rule == *rule
    }

    /// Whether clients are asked for a certificate.
    pub(super) fn asks(&self) -> bool {
        self.rule.authorities.is_some()
    }

    /// What to shake hands with.
    ///
    /// # Errors
    /// The rules leave nothing to agree on.
    pub(super) fn config(
        &self,
        resolver: &Arc<dyn ResolvesServerCert>,
    ) -> Result<Arc<ServerConfig>, String> {
        let make = || {
            self.make(Arc::clone(resolver))
                .map(Arc::new)
                .map_err(|error| error.to_string())
        };
        self.config.get_or_init(make).clone()
    }

    fn make(&self, resolver: Arc<dyn ResolvesServerCert>) -> Result<ServerConfig, rustls::Error> {
        let provider = trust::provider(&self.rule.rules);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&trust::versions(&self.rule.rules))?;
        let builder = match &self.anchors {
            None => builder.with_client_cert_verifier(Arc::new(NoClientAuth)),
            Some(anchors) => {
                let hints = anchors.as_ref().map(|anchors| anchors.roots.subjects());
                builder.with_client_cert_verifier(Arc::new(Asking {
                    provider,
                    hints: hints.unwrap_or_default(),
                }))
            }
        };
        let mut config = builder.with_cert_resolver(resolver);
        complete(&mut config)?;
        Ok(config)
    }
}
