//! Annotations on which endpoint gets a request: algorithms, keys, sessions.
//!
//! They hold for the requests of their own Ingress: two Ingresses may lead to one Service and balance apart.

use super::value::Closed;
use super::{Annotations, Feature, Reader};
use std::time::Duration;
use tidegate_model::{
    Affinity, AffinityMode, Algorithm, BackendTls, Balance, CanaryAffinity, Hash, KeyPart,
    OnFailure, Protocol, SameSite, Secure, SessionCookie,
};

/// How Services are asked for the Ingress that says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manner {
    /// Which endpoint gets a request.
    pub(crate) balance: Balance,
    /// What is spoken, whatever the Service says about its port.
    pub(crate) protocol: Option<Protocol>,
    /// How TLS is spoken. A certificate that is checked for no name is checked for the Service's in its cluster.
    pub(crate) tls: Option<BackendTls>,
}

impl Reader<'_> {
    pub(super) fn manner(&mut self, annotations: &mut Annotations) {
        let (protocol, secured) = self.protocol();
        let (tls, spec) = match self.backend_tls(secured) {
            Ok(read) => read.unzip(),
            Err(Closed) => {
                annotations.closed = true;
                (None, None)
            }
        };
        annotations.backend_tls = spec;
        annotations.manner = Manner {
            balance: self.balance(),
            protocol,
            tls,
        };
    }

    /// What is spoken, and whether that is in TLS.
    fn protocol(&mut self) -> (Option<Protocol>, bool) {
        let read = self.value(Feature::BackendProtocol, |text| {
            match text.to_ascii_uppercase().as_str() {
                "HTTP" => Ok((None, false)),
                "HTTPS" => Ok((Some(Protocol::Http1), true)),
                "HTTP2" | "GRPC" => Ok((Some(Protocol::Http2), false)),
                "GRPCS" => Ok((Some(Protocol::Http2), true)),
                "AUTO_HTTP" => Err(
                    "whether a Service speaks TLS does not depend on the client; \
                                    write HTTP or HTTPS"
                        .to_owned(),
                ),
                _ => Err("it must be HTTP, HTTPS, HTTP2, GRPC or GRPCS".to_owned()),
            }
        });
        read.unwrap_or_default()
    }

    /// All that is said about it. A session goes before a key, a key before an algorithm.
    fn balance(&mut self) -> Balance {
        let algorithm = self.value(Feature::LoadBalance, algorithm);
        let key = self.hash();
        Balance {
            algorithm: key.or(algorithm).unwrap_or_default(),
            affinity: self.affinity(),
            warmup: self.seconds(Feature::Warmup).unwrap_or_default(),
        }
    }

    fn hash(&mut self) -> Option<Algorithm> {
        let subset = self.is_set(Feature::HashSubset);
        let size = self.number(Feature::HashSubsetSize, 1..=64).unwrap_or(3);
        let by = self.value(Feature::HashBy, key_parts)?;
        let hash = Hash {
            by,
            subset: subset.then_some(size),
        };
        Some(Algorithm::Hash(hash))
    }

    fn affinity(&mut self) -> Option<Affinity> {
        let on = self.value(Feature::Affinity, |text| match text {
            "cookie" => Ok(()),
            _ => Err("it must be \"cookie\"".to_owned()),
        });
        let mode = self.value(Feature::AffinityMode, |text| match text {
            "balanced" => Ok(AffinityMode::Balanced),
            "persistent" => Ok(AffinityMode::Persistent),
            _ => Err("it must be \"balanced\" or \"persistent\"".to_owned()),
        });
        let canary = self.value(Feature::AffinityCanary, |text| match text {
            "sticky" => Ok(CanaryAffinity::Sticky),
            "legacy" => Ok(CanaryAffinity::Legacy),
            _ => Err("it must be \"sticky\" or \"legacy\"".to_owned()),
        });
        let on_failure = match self.is_set(Feature::CookieChangeOnFailure) {
            true => OnFailure::Move,
            false => OnFailure::Stay,
        };
        let cookie = self.cookie();
        on.map(|()| Affinity {
            mode: mode.unwrap_or_default(),
            on_failure,
            canary: canary.unwrap_or_default(),
            cookie,
        })
    }

    fn cookie(&mut self) -> SessionCookie {
        let mut cookie = SessionCookie::default();
        self.put_text(Feature::CookieName, &mut cookie, |c, text| c.name = text);
        self.put_text(Feature::CookiePath, &mut cookie, |c, text| {
            c.path = Some(text)
        });
        self.put_text(Feature::CookieDomain, &mut cookie, |c, text| {
            c.domain = Some(text);
        });
        cookie.max_age = self.age(Feature::CookieMaxAge);
        cookie.expires = self.age(Feature::CookieExpires);
        let understood = self.is_set(Feature::CookieConditionalSameSite);
        cookie.same_site = self.value(Feature::CookieSameSite, |text| {
            match text.to_ascii_lowercase().as_str() {
                "none" if understood => Ok(SameSite::NoneIfUnderstood),
                "none" => Ok(SameSite::None),
                "lax" => Ok(SameSite::Lax),
                "strict" => Ok(SameSite::Strict),
                _ => Err("it must be None, Lax or Strict".to_owned()),
            }
        });
        cookie.secure = match self.flag(Feature::CookieSecure) {
            Some(true) => Secure::Always,
            Some(false) => Secure::Never,
            None => Secure::WhenHttps,
        };
        cookie.partitioned = self.is_set(Feature::CookiePartitioned);
        cookie
    }

    /// Puts a text into the cookie, if a cookie can have it.
    fn put_text(
        &mut self,
        feature: Feature,
        cookie: &mut SessionCookie,
        put: fn(&mut SessionCookie, String),
    ) {
        let changed = self.value(feature, |text| {
            let mut changed = cookie.clone();
            put(&mut changed, text.to_owned());
            changed.validate().map_err(|(_, why)| why)?;
            Ok(changed)
        });
        if let Some(changed) = changed {
            *cookie = changed;
        }
    }

    fn age(&mut self, feature: Feature) -> Option<Duration> {
        self.value(feature, |text| match text.parse::<u32>() {
            Ok(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds.into())),
            _ => Err("it must be a whole number of seconds, at least 1".to_owned()),
        })
    }
}

fn algorithm(text: &str) -> Result<Algorithm, String> {
    match text {
        "round_robin" => Ok(Algorithm::RoundRobin),
        "least_conn" => Ok(Algorithm::LeastConnections),
        "random" => Ok(Algorithm::RandomOfTwo),
        "ewma" => Ok(Algorithm::PeakEwma),
        _ => Err("it must be round_robin, least_conn, random or ewma".to_owned()),
    }
}

/// Text with variables as nginx writes them, of which these are known: a key is never made of anything else.
const VARIABLES: &str = "$request_uri, $escaped_request_uri, $uri, $args, $host, $http_host, $remote_addr, $scheme, $request_method, $http_NAME, $arg_NAME and \
                         $cookie_NAME";

pub(super) fn key_parts(text: &str) -> Result<Vec<KeyPart>, String> {
    let parts = parts(text)?;
    if parts.iter().all(|part| matches!(part, KeyPart::Text(_))) {
        return Err(format!(
            "it is the same for all requests; it needs one of {VARIABLES}"
        ));
    }
    Ok(parts)
}

/// Text with variables, or without.
pub(super) fn parts(text: &str) -> Result<Vec<KeyPart>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        if at > 0 {
            parts.push(KeyPart::Text(rest[..at].to_owned()));
        }
        let after = &rest[at + 1..];
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (name, left) = match after.strip_prefix('{') {
            Some(braced) => braced
                .split_once('}')
                .ok_or_else(|| "a '${' has no '}'".to_owned())?,
            None => after.split_at(after.find(|c| !word(c)).unwrap_or(after.len())),
        };
        parts.push(variable(name).ok_or_else(|| {
            format!("${name} is not a variable that can be used here; those are {VARIABLES}")
        })?);
        rest = left;
    }
    if !rest.is_empty() {
        parts.push(KeyPart::Text(rest.to_owned()));
    }
    Ok(parts)
}

fn variable(name: &str) -> Option<KeyPart> {
    let named = |prefix: &str| name.strip_prefix(prefix).filter(|rest| !rest.is_empty());
    Some(match name {
        "request_uri" | "escaped_request_uri" => KeyPart::Uri,
        "uri" | "document_uri" => KeyPart::Path,
        "args" | "query_string" => KeyPart::Query,
        "host" => KeyPart::Host,
        "http_host" | "best_http_host" => KeyPart::Authority,
        "remote_addr" | "binary_remote_addr" => KeyPart::ClientAddress,
        "scheme" | "pass_access_scheme" => KeyPart::Scheme,
        "request_method" => KeyPart::Method,
        _ => {
            if let Some(header) = named("http_") {
                // As nginx: dashes are written as underscores.
                KeyPart::Header(header.to_ascii_lowercase().replace('_', "-"))
            } else if let Some(argument) = named("arg_") {
                KeyPart::Argument(argument.to_owned())
            } else {
                KeyPart::Cookie(named("cookie_")?.to_owned())
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_are_made_of_known_parts() {
        let parts = |text: &str| {
            key_parts(text).map_err(|why| {
                why.split_once(" is ")
                    .map(|(w, _)| w.to_owned())
                    .unwrap_or(why)
            })
        };
        assert_eq!(parts("$request_uri"), Ok(vec![KeyPart::Uri]));
        assert_eq!(
            parts("${host}-$http_x_user$arg_id/"),
            Ok(vec![
                KeyPart::Host,
                KeyPart::Text("-".to_owned()),
                KeyPart::Header("x-user".to_owned()),
                KeyPart::Argument("id".to_owned()),
                KeyPart::Text("/".to_owned()),
            ])
        );
        assert_eq!(
            parts("$cookie_a"),
            Ok(vec![KeyPart::Cookie("a".to_owned())])
        );
        assert_eq!(parts("$upstream_addr"), Err("$upstream_addr".to_owned()));
        assert_eq!(parts("$http_"), Err("$http_".to_owned()));
        assert_eq!(parts("${host"), Err("a '${' has no '}'".to_owned()));
        assert_eq!(parts("constant"), Err("it".to_owned()));
    }

    proptest! {
        /// Whatever a key is made of can be served, or is refused.
        #[test]
        fn any_text_gives_parts_that_can_be_served_or_a_reason(text in "\\PC{0,20}|(\\$\\{?[a-z_]{0,12}\\}?.?){1,3}") {
            if let Ok(by) = key_parts(&text) {
                let algorithm = Algorithm::Hash(Hash { by, subset: None });
                let balance = Balance { algorithm, ..Balance::default() };
                prop_assert_eq!(balance.validate(), Ok(()));
            }
        }
    }
}
