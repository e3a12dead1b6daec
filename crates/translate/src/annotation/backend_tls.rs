//! Annotations about TLS towards Services.

use super::ciphers::{ciphers, versions};
use super::value::Closed;
use super::{Feature, Reader};
use crate::Reason;
use crate::diagnostic::quote;
use tidegate_model::{BackendTls, CertificateId, TlsRules, Verify};

/// How Services are spoken to in TLS, before the Secret is looked up.
pub(crate) struct BackendTlsSpec {
    /// Name of a Secret of the same namespace, with the annotation's key.
    pub(crate) secret: Option<(String, String)>,
    /// Their certificates are checked; with the annotation's key.
    pub(crate) verify: Option<String>,
}

impl Reader<'_> {
    /// How Services are spoken to that `backend-protocol` says speak TLS. It names what the Secret may hold as if it
    /// did.
    pub(super) fn backend_tls(
        &mut self,
        wanted: bool,
    ) -> Result<Option<(BackendTls, BackendTlsSpec)>, Closed> {
        if !wanted {
            for feature in [Feature::ProxySslSecret, Feature::ProxySslVerify] {
                let Some((key, value)) = self.text(feature) else {
                    continue;
                };
                let text = format!(
                    "{} has no effect without backend-protocol HTTPS or GRPCS",
                    quote(value)
                );
                let field = format!("metadata.annotations[{key}]");
                self.diagnostics
                    .warning(self.object, field, Reason::NoEffect, text);
            }
            return Ok(None);
        }
        let secret = match self.text(Feature::ProxySslSecret) {
            Some((key, name)) => Some((self.own_secret(key, name)?, key.to_owned())),
            None => None,
        };
        let id = secret.as_ref().and_then(|(name, _)| self.certificate(name));
        let verify = self.verify()?;
        let name = self.value(Feature::ProxySslName, |text| Ok(text.to_owned()));
        let depth = self.number(Feature::ProxySslVerifyDepth, 0..=100);
        let told = self.on_or_off(Feature::ProxySslServerName) == Some(true);
        let mut tls = BackendTls {
            verify: match (&verify, &id) {
                // Without an identifier there is no Secret: what becomes of that is told where it is looked up.
                (None, _) | (Some(_), None) => Verify::Nothing,
                (Some(_), Some(id)) => Verify::By {
                    authorities: id.clone(),
                    name: name.clone().unwrap_or_default(),
                    depth: depth.unwrap_or(1).try_into().unwrap_or(u8::MAX),
                },
            },
            server_name: name.filter(|_| told),
            certificate: id,
            rules: self
                .value(Feature::ProxySslProtocols, versions)
                .unwrap_or_default(),
        };
        let ciphers = self.value(Feature::ProxySslCiphers, ciphers);
        tls.rules.ciphers = ciphers.unwrap_or_default();
        if let Err((_, why)) = name_only(&tls).validate()
            && let Some((key, value)) = self.text(Feature::ProxySslName)
        {
            return Err(self.close(key, value, &why));
        }
        Ok(Some((tls, BackendTlsSpec { secret, verify })))
    }

    /// The name of a Secret of the Ingress's namespace.
    pub(super) fn own_secret(&mut self, key: &str, name: &str) -> Result<String, Closed> {
        self.own("Secret", name)
            .map_err(|why| self.close(key, name, &why))
    }

    /// What the Secret's contents are called in a snapshot.
    pub(super) fn certificate(&self, secret: &str) -> Option<CertificateId> {
        CertificateId::new(format!("{}/{secret}", self.object.namespace)).ok()
    }

    /// The key, if certificates are to be checked. A value that cannot be read may have meant it.
    fn verify(&mut self) -> Result<Option<String>, Closed> {
        match self.text(Feature::ProxySslVerify) {
            None | Some((_, "off")) => Ok(None),
            Some((key, "on")) => Ok(Some(key.to_owned())),
            Some((key, other)) => Err(self.close(key, other, "it must be \"on\" or \"off\"")),
        }
    }

    pub(super) fn on_or_off(&mut self, feature: Feature) -> Option<bool> {
        self.value(feature, |text| match text {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => Err("it must be \"on\" or \"off\"".to_owned()),
        })
    }
}

/// With a name for certificates that can be served where none is known yet.
fn name_only(tls: &BackendTls) -> BackendTls {
    let mut tls = tls.clone();
    tls.rules = TlsRules::default();
    if let Verify::By { name, .. } = &mut tls.verify
        && name.is_empty()
    {
        "name".clone_into(name);
    }
    tls
}
