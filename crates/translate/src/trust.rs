//! Secrets that hold certificates of authorities, and certificates that the gateway shows to others than clients.

use crate::annotation::Clients;
use crate::diagnostic::{Sink, quote};
use crate::ingress::Mine;
use crate::part::Part;
use crate::{AuthSecret, Reason, TlsSecret};
use std::collections::HashMap;
use std::sync::Arc;
use tidegate_model::{CertificateId, Verify};

/// Secrets of both types that may hold them, by namespace and name.
pub(crate) struct Trust<'a>(HashMap<(&'a str, &'a str), &'a TlsSecret>);

/// Why a Secret does not do.
type Problem = (Reason, String);

impl<'a> Trust<'a> {
    pub(crate) fn new(tls: &'a [Arc<TlsSecret>], others: &'a [Arc<AuthSecret>]) -> Self {
        let tls = tls.iter().map(AsRef::as_ref);
        let all = tls.chain(others.iter().filter_map(|secret| secret.tls()));
        Self(all.map(|s| ((&*s.namespace, &*s.name), s)).collect())
    }

    fn find(&self, namespace: &str, name: &str) -> Result<&'a TlsSecret, Problem> {
        self.0.get(&(namespace, name)).copied().ok_or_else(|| {
            let text = format!(
                "there is no Secret {} with certificates in namespace {namespace} on the hub",
                quote(name)
            );
            (Reason::SecretNotFound, text)
        })
    }

    /// Puts what the annotations of `mine` name into the part. What is missing closes the routes: they were not to go
    /// to just anybody.
    pub(crate) fn apply(&self, mine: &mut Mine<'_>, part: &mut Part, diagnostics: &mut Sink) {
        self.clients(mine, part, diagnostics);
        self.services(mine, part, diagnostics);
    }

    /// Those who sign certificates of clients.
    fn clients(&self, mine: &mut Mine<'_>, part: &mut Part, diagnostics: &mut Sink) {
        let Clients::Asked(asked) = &mine.annotations.host_tls.clients else {
            return;
        };
        let (name, key) = &asked.secret;
        let found = self.find(&mine.object.namespace, name);
        if let Err((reason, why)) = found.and_then(|secret| authorities(secret, part)) {
            let text = format!("{why}, so the routes of its hosts answer 503");
            let field = format!("metadata.annotations[{key}]");
            diagnostics.error(&mine.object, field, reason, text);
            mine.annotations.host_tls.clients = Clients::Closed;
        }
    }

    /// What Services are shown, and who signs their certificates.
    fn services(&self, mine: &mut Mine<'_>, part: &mut Part, diagnostics: &mut Sink) {
        if let Some(spec) = mine.annotations.backend_tls.take()
            && let Some(tls) = &mut mine.annotations.manner.tls
        {
            let namespace = &mine.object.namespace;
            let secret = spec.secret.as_ref();
            let secret = secret.map(|(name, key)| (self.find(namespace, name), key));
            let mut problems = Vec::new();
            match (secret, &spec.verify) {
                (Some((Err(why), key)), _) => problems.push((key, why)),
                (None, Some(key)) => {
                    let why = "proxy-ssl-secret, which names the Secret with the authorities (ca.crt), is missing";
                    problems.push((key, (Reason::Unprotected, why.to_owned())));
                }
                (Some((Ok(secret), key)), verify) => {
                    if verify.is_some()
                        && let Err(why) = authorities(secret, part)
                    {
                        problems.push((key, why));
                    }
                    if !secret.is_bundle() {
                        if let Some(problem) = &secret.problem {
                            let text = format!("Secret {} cannot be shown: {problem}", secret.name);
                            let field = format!("metadata.annotations[{key}]");
                            diagnostics.error(&mine.object, field, Reason::BadCertificate, text);
                        }
                        if let Some((id, certificate)) = id(secret).zip(secret.certificate.clone())
                        {
                            part.certificates.insert(id, certificate);
                        }
                    }
                    if secret.certificate.is_none() {
                        tls.certificate = None;
                    }
                }
                (None, None) => {}
            }
            debug_assert!(
                spec.verify.is_none() || tls.verify != Verify::Nothing || !problems.is_empty(),
                "what is to be checked is checked, or closed"
            );
            close(mine, problems, diagnostics);
        }
    }
}

/// Puts the authorities of a Secret into the part.
fn authorities(secret: &TlsSecret, part: &mut Part) -> Result<CertificateId, Problem> {
    let name = &secret.name;
    let unusable = |why: &str| (Reason::Unprotected, format!("Secret {name}{why}"));
    let found = secret.authorities.as_ref();
    let text = found
        .ok_or_else(|| unusable(" has no data[ca.crt]"))?
        .as_ref()
        .map_err(|why| unusable(&format!(": data[ca.crt]: {why}")))?;
    let id = id(secret).ok_or_else(|| unusable(" has no name that can be used"))?;
    part.authorities.insert(id.clone(), text.clone());
    Ok(id)
}

fn id(secret: &TlsSecret) -> Option<CertificateId> {
    CertificateId::new(format!("{}/{}", secret.namespace, secret.name)).ok()
}

fn close(mine: &mut Mine<'_>, problems: Vec<(&String, Problem)>, diagnostics: &mut Sink) {
    for (key, (reason, why)) in problems {
        mine.annotations.closed = true;
        let text = format!("{why}, so the routes of this Ingress answer 503");
        let field = format!("metadata.annotations[{key}]");
        diagnostics.error(&mine.object, field, reason, text);
    }
}
