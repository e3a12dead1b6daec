//! Annotations about copies of requests.

use super::external::service_of;
use super::{Feature, Reader};
use tidegate_model::KeyPart;

/// Who gets copies, before its Service is looked up.
pub(crate) struct MirrorSpec {
    /// The annotation that names it, with its key.
    pub(crate) target: (String, String),
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// `None`: the first one.
    pub(crate) port: Option<u16>,
    pub(crate) percent: u32,
    pub(crate) body: bool,
    pub(crate) uri: Vec<KeyPart>,
    pub(crate) host: Vec<KeyPart>,
}

/// What a URL ends in that gets what the request asked for.
const REQUEST_URI: &str = "$request_uri";

impl Reader<'_> {
    /// The Service of the original goes before the URL of ingress-nginx.
    pub(super) fn mirror(&mut self) -> Option<MirrorSpec> {
        let percent = self.number(Feature::MirrorPercentage, 0..=100);
        let body = self.value(Feature::MirrorBody, |text| match text {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => Err("it must be \"on\" or \"off\"".to_owned()),
        });
        let host = self.value(Feature::MirrorHost, |text| {
            let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'_');
            match text.bytes().all(fits) {
                true => Ok(vec![KeyPart::Text(text.to_owned())]),
                false => Err("it must be a host".to_owned()),
            }
        });
        let by_service = self.mirror_service();
        let by_url = self.mirror_url();
        let mut spec = by_service.or(by_url)?;
        spec.percent = percent.unwrap_or(100);
        spec.body = body.unwrap_or(true);
        spec.host = host.unwrap_or(spec.host);
        Some(spec)
    }

    fn mirror_service(&mut self) -> Option<MirrorSpec> {
        let own = self.object.namespace.clone();
        let (namespace, name, port) = self.value(Feature::MirrorService, |text| {
            let (namespace, rest) = text.split_once('/').unwrap_or((&own, text));
            let (name, port) = match rest.split_once(':') {
                None => (rest, None),
                Some((name, port)) => match port.parse::<u16>() {
                    Ok(port @ 1..) => (name, Some(port)),
                    _ => return Err("its port must be a number from 1 to 65535".to_owned()),
                },
            };
            let named = |text: &str| !text.is_empty() && !text.contains(['/', ':']);
            match named(namespace) && named(name) {
                true => Ok((namespace.to_owned(), name.to_owned(), port)),
                false => Err("it must read [namespace/]name[:port]".to_owned()),
            }
        })?;
        // As the original does, so that whoever gets the copies can tell.
        let shadow = vec![KeyPart::Host, KeyPart::Text("-shadow".to_owned())];
        self.spec(
            Feature::MirrorService,
            (namespace, name, port),
            Vec::new(),
            shadow,
        )
    }

    fn mirror_url(&mut self) -> Option<MirrorSpec> {
        let (service, host, uri) = self.value(Feature::MirrorTarget, |text| {
            let (plain, same) = match text.strip_suffix(REQUEST_URI) {
                Some(plain) => (plain, true),
                None => (text, false),
            };
            let only =
                || "only Services get copies: http://NAME.NAMESPACE.svc$request_uri".to_owned();
            let rest = plain.strip_prefix("http://").ok_or_else(only)?;
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            if plain.contains('$') {
                return Err("the only variable it may have is $request_uri, at its end".to_owned());
            }
            let service = service_of(authority)?.ok_or_else(only)?;
            let mut uri = Vec::new();
            let prefix = match same {
                true => path.trim_end_matches('/'),
                false if path.is_empty() => "/",
                false => path,
            };
            if !prefix.is_empty() {
                uri.push(KeyPart::Text(prefix.to_owned()));
            }
            if same {
                uri.push(KeyPart::Uri);
            }
            Ok((service, vec![KeyPart::Text(authority.to_owned())], uri))
        })?;
        let (namespace, name, port) = service;
        self.spec(
            Feature::MirrorTarget,
            (namespace, name, Some(port)),
            uri,
            host,
        )
    }

    fn spec(
        &self,
        feature: Feature,
        (namespace, name, port): (String, String, Option<u16>),
        uri: Vec<KeyPart>,
        host: Vec<KeyPart>,
    ) -> Option<MirrorSpec> {
        let (key, value) = self.text(feature)?;
        Some(MirrorSpec {
            target: (value.to_owned(), key.to_owned()),
            namespace,
            name,
            port,
            percent: 100,
            body: true,
            uri,
            host,
        })
    }
}
