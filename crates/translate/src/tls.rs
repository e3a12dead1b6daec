//! Which host shows which certificate: `spec.tls` of Ingresses and the Secrets it names.

use crate::alias::{Alias, Aliases};
use crate::diagnostic::{Sink, quote};
use crate::ingress::Mine;
use crate::part::Part;
use crate::{ObjectRef, Reason};
use k8s_openapi::api::networking::v1::IngressTLS;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tidegate_model::{Certificate, CertificateId, HostPattern, SharedPart};

mod secret;

pub(crate) use secret::AUTHORITIES;
pub use secret::TlsSecret;

/// The TLS Secrets by namespace and name.
pub(crate) struct Secrets<'a>(HashMap<(&'a str, &'a str), &'a TlsSecret>);

impl<'a> Secrets<'a> {
    pub(crate) fn new(secrets: &'a [Arc<TlsSecret>]) -> Self {
        let named = secrets.iter().map(|s| ((&*s.namespace, &*s.name), &**s));
        Self(named.collect())
    }
}

/// Fills in `tls` and `certificates` of `part`. `ours` are the Ingresses of our classes, the oldest first: the
/// first one that names a host has it, as with paths. An alias shows the certificate of its host.
pub(crate) fn compile(
    secrets: &Secrets<'_>,
    ours: &[Mine<'_>],
    aliases: &Aliases,
    part: &mut Part,
    diagnostics: &mut Sink,
) {
    let mut table = Table {
        secrets,
        owners: BTreeMap::new(),
    };
    for mine in ours {
        let spec = mine.ingress.spec.as_ref();
        let entries = spec.and_then(|spec| spec.tls.as_deref());
        for (i, entry) in entries.into_iter().flatten().enumerate() {
            table.add(mine, entry, &format!("spec.tls[{i}]"), diagnostics);
        }
    }
    for (host, alias) in aliases {
        table.add_alias(host, alias, diagnostics);
    }
    for (host, (_, secret)) in table.owners {
        let Some((id, certificate)) = secret.and_then(shown) else {
            continue;
        };
        part.tls.insert(host, id.clone());
        part.certificates.insert(id, certificate);
    }
}

struct Table<'a> {
    secrets: &'a Secrets<'a>,
    /// By host: who has it, and the Secret it names if there is one. A host stays with its owner also while
    /// the Secret is missing: nobody may take it over by waiting for a mistake.
    owners: BTreeMap<HostPattern, (ObjectRef, Option<&'a TlsSecret>)>,
}

impl<'a> Table<'a> {
    fn add(&mut self, mine: &Mine<'_>, entry: &IngressTLS, field: &str, diagnostics: &mut Sink) {
        let hosts = hosts(mine, entry, field, diagnostics);
        if hosts.is_empty() && entry.hosts.as_ref().is_none_or(Vec::is_empty) {
            let text = "there is no host here nor in a rule that it could be for".to_owned();
            diagnostics.warning(&mine.object, field, Reason::NoEffect, text);
        }
        let secret = self.secret(mine, entry, field, diagnostics);
        for (host, field) in hosts {
            match self.owners.entry(host) {
                Entry::Vacant(free) => {
                    if let Some(secret) =
                        secret.filter(|s| s.problem.is_none() && !s.covers(free.key()))
                    {
                        let text = format!(
                            "the certificate in Secret {} is not for {}: clients will refuse it",
                            secret.name,
                            free.key()
                        );
                        diagnostics.warning(&mine.object, field, Reason::BadCertificate, text);
                    }
                    free.insert((mine.object.clone(), secret));
                }
                Entry::Occupied(taken) => {
                    let (owner, theirs) = taken.get();
                    // Naming the same Secret twice changes nothing.
                    let same = |a: &TlsSecret, b: &TlsSecret| std::ptr::eq(a, b);
                    let agree = theirs.zip(secret).is_some_and(|(a, b)| same(a, b));
                    if !agree {
                        let host = taken.key();
                        let text = match *owner == mine.object {
                            true => {
                                format!("{host} is named before with another Secret, which counts")
                            }
                            false => format!("TLS for {host} belongs to {owner}, which is older"),
                        };
                        diagnostics.error(&mine.object, field, Reason::Conflict, text);
                    }
                }
            }
        }
    }

    /// Further hosts show what the host they belong to does, unless they are named themselves.
    fn add_alias(&mut self, host: &HostPattern, alias: &Alias, diagnostics: &mut Sink) {
        if self.owners.contains_key(host) {
            return;
        }
        let Some((_, Some(secret))) = self.owners.get(&alias.of) else {
            return;
        };
        let secret = *secret;
        if secret.problem.is_none() && !secret.covers(host) {
            let text = format!(
                "the certificate in Secret {} is for {} but not for {host}: clients will refuse it over HTTPS",
                secret.name, alias.of
            );
            diagnostics.warning(&alias.owner, &alias.field, Reason::BadCertificate, text);
        }
        let owner = alias.owner.clone();
        self.owners.insert(host.clone(), (owner, Some(secret)));
    }

    fn secret(
        &self,
        mine: &Mine<'_>,
        entry: &IngressTLS,
        field: &str,
        diagnostics: &mut Sink,
    ) -> Option<&'a TlsSecret> {
        let namespace = mine.object.namespace.as_str();
        let field = format!("{field}.secretName");
        let name = entry.secret_name.as_deref().unwrap_or_default();
        if name.is_empty() {
            let text = "a Secret is needed: there is no default certificate; the hosts refuse TLS";
            diagnostics.error(&mine.object, field, Reason::BadCertificate, text.to_owned());
            return None;
        }
        let Some(secret) = self.secrets.0.get(&(namespace, name)).copied() else {
            let text = format!(
                "there is no Secret {} of type kubernetes.io/tls in namespace {namespace} on the hub; its hosts refuse TLS",
                quote(name)
            );
            diagnostics.error(&mine.object, field, Reason::BadCertificate, text);
            return None;
        };
        if let Some(problem) = &secret.problem {
            let instead = match secret.certificate {
                Some(_) => "gateways show on what it held before, if they know it",
                None => "its hosts refuse TLS",
            };
            let text = format!("Secret {name} cannot be used: {problem}; {instead}");
            diagnostics.error(&mine.object, field, Reason::BadCertificate, text);
        }
        Some(secret)
    }
}

/// The hosts of an entry, each with its field; without a list, those of the rules.
fn hosts(
    mine: &Mine<'_>,
    entry: &IngressTLS,
    field: &str,
    diagnostics: &mut Sink,
) -> Vec<(HostPattern, String)> {
    let listed = entry.hosts.as_deref().unwrap_or_default();
    if listed.is_empty() {
        // A bad one was reported with its rule.
        let hosts = crate::ingress::hosts(mine.ingress);
        return hosts.map(|host| (host, field.to_owned())).collect();
    }
    let mut hosts = Vec::new();
    for (j, text) in listed.iter().enumerate() {
        let field = format!("{field}.hosts[{j}]");
        match HostPattern::parse(text) {
            Ok(host) => hosts.push((host, field)),
            Err(error) => {
                let text = format!("{} is not valid: {}", quote(&error.host), error.reason);
                diagnostics.error(&mine.object, field, Reason::InvalidHost, text);
            }
        }
    }
    hosts
}

/// What gateways get. One that cannot be used goes out as well: they know whether they have its predecessor.
fn shown(secret: &TlsSecret) -> Option<(CertificateId, SharedPart<Certificate>)> {
    let id = CertificateId::new(format!("{}/{}", secret.namespace, secret.name)).ok()?;
    Some((id, secret.certificate.clone()?))
}
