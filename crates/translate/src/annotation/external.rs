//! Annotations about a service that is asked who may ask.

use super::balance::parts;
use super::value::{Closed, window};
use super::{Feature, Reader};
use std::time::Duration;
use tidegate_model::{
    AuthCache, AuthTarget, BackendId, ExternalAuth, Filters, KeepAnswers, KeyPart, PathMatch,
};

/// What is said about it, before its Service is looked up.
pub(crate) struct ExternalSpec {
    /// `auth-url` and its key.
    pub(crate) url: (String, String),
    /// The Service that it names: namespace, name and port; `None`: the gateway's own routes.
    pub(crate) service: Option<(String, String, u16)>,
    /// All but the backend.
    pub(crate) auth: ExternalAuth,
}

/// Where a URL leads.
struct Destination {
    service: Option<(String, String, u16)>,
    host: Option<String>,
    path: String,
    query: Vec<KeyPart>,
}

const SIGN_IN: &str = "it must begin with http://, https:// or $scheme://";

impl Reader<'_> {
    /// Whoever is to be asked and cannot be read closes the routes.
    pub(super) fn external(&mut self) -> Result<Option<ExternalSpec>, Closed> {
        let Some((key, url)) = self.text(Feature::AuthUrl) else {
            return Ok(None);
        };
        let Destination {
            service,
            host,
            path,
            query,
        } = destination(url).map_err(|why| self.close(key, url, &why))?;
        let url = (url.to_owned(), key.to_owned());
        let mut auth = ExternalAuth {
            // Replaced when the Service is found.
            to: AuthTarget::Own { host },
            method: "GET".to_owned(),
            path,
            query,
            request_headers: Vec::new(),
            response_headers: Vec::new(),
            redirect: Vec::new(),
            cache: None,
            sign_in: Vec::new(),
        };
        if let Err(why) = serves(&auth) {
            return Err(self.close(&url.1, &url.0, &why));
        }
        if let Some(method) = self.part_of(Feature::AuthMethod, &auth, |auth, text| {
            auth.method = text.to_owned();
            Ok(())
        }) {
            auth = method;
        }
        if let Some(headers) = self.part_of(Feature::AuthResponseHeaders, &auth, |auth, text| {
            let names = text.split(',').map(str::trim).filter(|n| !n.is_empty());
            auth.response_headers = names.map(str::to_owned).collect();
            Ok(())
        }) {
            auth = headers;
        }
        if let Some(redirect) = self.part_of(Feature::AuthRequestRedirect, &auth, |auth, text| {
            auth.redirect = parts(text)?;
            Ok(())
        }) {
            auth = redirect;
        }
        let parameter = self.value(Feature::AuthSigninParameter, |text| {
            let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
            match text.bytes().all(fits) {
                true => Ok(text.to_owned()),
                false => Err("it must be the name of a query parameter".to_owned()),
            }
        });
        let parameter = parameter.unwrap_or_else(|| "rd".to_owned());
        if let Some(sign_in) = self.part_of(Feature::AuthSignin, &auth, |auth, text| {
            auth.sign_in = sign_in(text, &parameter)?;
            Ok(())
        }) {
            auth = sign_in;
        }
        let keep = self.value(Feature::AuthCacheDuration, keep_answers);
        let keep = keep.unwrap_or_else(default_keep);
        if let Some(cached) = self.part_of(Feature::AuthCacheKey, &auth, |auth, text| {
            let key = parts(text)?;
            auth.cache = Some(AuthCache { key, keep });
            Ok(())
        }) {
            auth = cached;
        }
        // Cookies are passed on with any answer.
        self.flag(Feature::AuthAlwaysSetCookie);
        Ok(Some(ExternalSpec { url, service, auth }))
    }

    /// `auth` with what an annotation says, if that can be served.
    fn part_of(
        &mut self,
        feature: Feature,
        auth: &ExternalAuth,
        put: impl FnOnce(&mut ExternalAuth, &str) -> Result<(), String>,
    ) -> Option<ExternalAuth> {
        self.value(feature, |text| {
            let mut changed = auth.clone();
            put(&mut changed, text)?;
            serves(&changed)?;
            Ok(changed)
        })
    }
}

/// `200 202 401 5m`.
fn default_keep() -> Vec<KeepAnswers> {
    vec![KeepAnswers {
        statuses: vec![200, 202, 401],
        time: Duration::from_secs(300),
    }]
}

/// Statuses and a time, such as `200 202 10m`; several by commas. What says nothing about who may ask is passed over.
fn keep_answers(text: &str) -> Result<Vec<KeepAnswers>, String> {
    let one = |text: &str| {
        let mut words: Vec<&str> = text.split_whitespace().collect();
        let time = words.pop().unwrap_or_default();
        let status = |word: &&str| {
            let status = word.parse::<u16>().ok();
            status.ok_or_else(|| format!("{word:?} is not a status"))
        };
        Ok(KeepAnswers {
            time: window(time)?,
            statuses: words.iter().map(status).collect::<Result<_, String>>()?,
        })
    };
    text.split(',').map(one).collect()
}

fn serves(auth: &ExternalAuth) -> Result<(), String> {
    let filters = Filters {
        external_auth: Some(auth.clone()),
        ..Filters::default()
    };
    let root = PathMatch::Prefix("/".to_owned());
    filters.validate(&root).map_err(|(_, why)| why)
}

fn destination(url: &str) -> Result<Destination, String> {
    let (scheme, rest) = url
        .split_once("://")
        .filter(|(scheme, _)| matches!(*scheme, "http" | "https" | "$scheme"))
        .ok_or_else(|| "it must be a URL that begins with http:// or https://".to_owned())?;
    let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(authority_end);
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if path.contains('$') {
        return Err("variables are only allowed behind the '?', and as its host".to_owned());
    }
    let path = match path {
        "" => "/".to_owned(),
        path => path.to_owned(),
    };
    let query = parts(query)?;
    let own = |host| Destination {
        service: None,
        host,
        path: path.clone(),
        query: query.clone(),
    };
    if matches!(authority, "$host" | "$http_host" | "$best_http_host") {
        return Ok(own(None));
    }
    match service_of(authority)? {
        Some(_) if scheme == "https" => Err("TLS to Services is not supported yet".to_owned()),
        None => Ok(own(Some(authority.to_ascii_lowercase()))),
        service => Ok(Destination {
            service,
            host: Some(authority.to_owned()),
            path,
            query,
        }),
    }
}

/// Namespace, name and port of the Service that a host and port name, `NAME.NAMESPACE.svc` with or without the cluster's
/// domain; `None` for other hosts.
pub(super) fn service_of(authority: &str) -> Result<Option<(String, String, u16)>, String> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => {
            let port = port.parse::<u16>().ok().filter(|port| *port > 0);
            let port = port.ok_or_else(|| format!("{authority:?} has no port from 1 to 65535"))?;
            (host, Some(port))
        }
        None => (authority, None),
    };
    if host.parse::<std::net::IpAddr>().is_ok() || host.starts_with('[') {
        return Err(
            "an address cannot be asked: name a Service, http://NAME.NAMESPACE.svc, or a host that the gateway serves"
                .to_owned(),
        );
    }
    let labels: Vec<&str> = host.split('.').collect();
    match labels[..] {
        [name, namespace, "svc", ..] => {
            // What cannot be a backend is no Service either.
            BackendId::new(namespace, name, "80")
                .map_err(|_| format!("{host:?} does not name a Service"))?;
            Ok(Some((
                namespace.to_owned(),
                name.to_owned(),
                port.unwrap_or(80),
            )))
        }
        _ => Ok(None),
    }
}

/// With a parameter that says where to come back to, if there is none.
fn sign_in(text: &str, parameter: &str) -> Result<Vec<KeyPart>, String> {
    let begins = [
        "http://",
        "https://",
        "$scheme://",
        "$pass_access_scheme://",
    ];
    if !begins.iter().any(|begin| text.starts_with(begin)) {
        return Err(SIGN_IN.to_owned());
    }
    let mut url = parts(text)?;
    let (_, query) = text.split_once('?').unwrap_or((text, ""));
    let named = |pair: &str| pair.split_once('=').map_or(pair, |(name, _)| name) == parameter;
    if query.split('&').any(named) {
        return Ok(url);
    }
    let separator = match (text.contains('?'), query) {
        (false, _) => "?",
        (true, "") => "",
        (true, _) => "&",
    };
    url.extend([
        KeyPart::Text(format!("{separator}{parameter}=")),
        KeyPart::Scheme,
        KeyPart::Text("://".to_owned()),
        KeyPart::Authority,
        KeyPart::Uri,
    ]);
    Ok(url)
}
