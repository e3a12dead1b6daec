//! Annotations about handshakes with clients, which hold for hosts.

use super::ciphers::{NOT_SPOKEN, ciphers};
use super::value::Closed;
use super::{Feature, Reader};
use tidegate_model::{CertificateNeed, ClientCertificate, Pattern, TlsRules, TlsVersion};

/// What is said about the handshakes of the hosts of an Ingress.
#[derive(Default)]
pub(crate) struct HostTls {
    pub(crate) rules: TlsRules,
    pub(crate) clients: Clients,
}

/// What is said about certificates of clients.
#[derive(Default)]
pub(crate) enum Clients {
    #[default]
    Unsaid,
    /// Nobody is asked for one.
    Unasked,
    Asked(Box<AskedClients>),
    /// It is not known who may come in: nobody.
    Closed,
}

/// Who is asked for a certificate, until the Secret is looked up.
pub(crate) struct AskedClients {
    pub(crate) rule: ClientCertificate,
    /// Name of a Secret of the same namespace, with the annotation's key.
    pub(crate) secret: (String, String),
}

impl HostTls {
    /// Whether certificates of clients keep somebody out.
    pub(crate) fn asks_clients(&self) -> bool {
        match self.clients {
            Clients::Unsaid | Clients::Unasked => false,
            Clients::Asked(_) | Clients::Closed => true,
        }
    }
}

impl Reader<'_> {
    pub(super) fn passthrough(&mut self) -> Option<String> {
        let (key, _) = self.text(Feature::SslPassthrough)?;
        self.is_set(Feature::SslPassthrough).then(|| key.to_owned())
    }

    pub(super) fn host_tls(&mut self) -> HostTls {
        HostTls {
            rules: self.tls_rules(),
            clients: self.clients().unwrap_or_else(|Closed| Clients::Closed),
        }
    }

    fn tls_rules(&mut self) -> TlsRules {
        let min = self.value(Feature::TlsMin, |text| match text {
            // Older ones are not spoken: what is asked for is more than kept.
            "TLSv1.0" | "TLSv1.1" => Ok(None),
            "TLSv1.2" => Ok(Some(TlsVersion::V1_2)),
            "TLSv1.3" => Ok(Some(TlsVersion::V1_3)),
            _ => Err(VERSIONS.to_owned()),
        });
        let min_version = min.flatten();
        let max_version = self.value(Feature::TlsMax, |text| {
            let max = match text {
                "TLSv1.0" | "TLSv1.1" => return Err(NOT_SPOKEN.to_owned()),
                "TLSv1.2" => TlsVersion::V1_2,
                "TLSv1.3" => TlsVersion::V1_3,
                _ => return Err(VERSIONS.to_owned()),
            };
            match min_version.is_some_and(|min| min > max) {
                true => Err("it is below tls-min-protocol-version".to_owned()),
                false => Ok(max),
            }
        });
        let selected = [Feature::SslCipher, Feature::SslCiphers]
            .into_iter()
            .find_map(|feature| self.value(feature, ciphers));
        TlsRules {
            min_version,
            max_version,
            ciphers: selected.unwrap_or_default(),
        }
    }

    fn clients(&mut self) -> Result<Clients, Closed> {
        let need = match self.text(Feature::AuthTlsVerifyClient) {
            Some((_, "off")) => return Ok(Clients::Unasked),
            None | Some((_, "on")) => CertificateNeed::Required,
            Some((_, "optional")) => CertificateNeed::Optional,
            Some((_, "optional_no_ca")) => CertificateNeed::Any,
            Some((key, other)) => {
                let why = "it must be on, off, optional or optional_no_ca";
                return Err(self.close(key, other, why));
            }
        };
        let Some((key, name)) = self.text(Feature::AuthTlsSecret) else {
            let guards = [Feature::AuthTlsVerifyClient, Feature::AuthTlsMatchCn];
            let said = guards.into_iter().find_map(|guard| self.text(guard));
            return match said {
                Some((key, value)) => {
                    let why =
                        "auth-tls-secret, which names the Secret with the authorities, is missing";
                    Err(self.close(key, value, why))
                }
                None => Ok(Clients::Unsaid),
            };
        };
        let secret = self.own_secret(key, name)?;
        let Some(authorities) = self.certificate(&secret) else {
            return Err(self.close(key, name, "it is no name of a Secret"));
        };
        let depth = self.number(Feature::AuthTlsVerifyDepth, 0..=100);
        let rule = ClientCertificate {
            authorities,
            need,
            depth: depth.unwrap_or(1).try_into().unwrap_or(u8::MAX),
            common_name: self.common_name()?,
            error_page: self.value(Feature::AuthTlsErrorPage, |text| {
                let visible = text.bytes().all(|b| b.is_ascii_graphic());
                match visible && (text.starts_with("http://") || text.starts_with("https://")) {
                    true => Ok(text.to_owned()),
                    false => Err("it must be a URL".to_owned()),
                }
            }),
            pass_on: self.is_set(Feature::AuthTlsPass),
        };
        let secret = (secret, key.to_owned());
        Ok(Clients::Asked(Box::new(AskedClients { rule, secret })))
    }

    /// The whole of a common name, as a regular expression.
    fn common_name(&mut self) -> Result<Option<Pattern>, Closed> {
        let Some((key, value)) = self.text(Feature::AuthTlsMatchCn) else {
            return Ok(None);
        };
        let Some(name) = value.strip_prefix("CN=").filter(|name| !name.is_empty()) else {
            return Err(self.close(key, value, "it must begin with CN="));
        };
        // By itself first: a parenthesis must not end the group around it.
        let read = Pattern::new(name).and_then(|_| Pattern::new(&format!("^(?:{name})$")));
        match read {
            Ok(pattern) => Ok(Some(pattern)),
            Err(error) => Err(self.close(key, value, &error.reason)),
        }
    }
}

const VERSIONS: &str = "it must be TLSv1.0, TLSv1.1, TLSv1.2 or TLSv1.3";
