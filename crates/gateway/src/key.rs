//! Keys of requests, made of what their backend or a limit names.

use crate::filter::Facts;
use crate::table::{HeaderLookup, cookie, parameter};
use std::net::IpAddr;
use tidegate_model::KeyPart;

/// Gives the parts of a request's key to `put`, one after the other; false if the request has none of them.
pub(crate) fn write_key<H: HeaderLookup>(
    parts: &[KeyPart],
    facts: &Facts<'_, H>,
    mut put: impl FnMut(&[u8]),
) -> bool {
    let mut found = false;
    for part in parts {
        let mut put = |value: &[u8]| {
            put(value);
            found |= !value.is_empty() && !matches!(part, KeyPart::Text(_));
        };
        match part {
            KeyPart::Text(text) => put(text.as_bytes()),
            KeyPart::Uri => {
                put(facts.path.as_bytes());
                put(facts.query);
            }
            KeyPart::Path => put(facts.path.as_bytes()),
            KeyPart::Query => put(facts.query.strip_prefix(b"?").unwrap_or_default()),
            // Hosts are one whatever their case (RFC 9110 4.2.3).
            KeyPart::Host => facts
                .host_name
                .iter()
                .for_each(|byte| put(&[byte.to_ascii_lowercase()])),
            KeyPart::ClientAddress => match facts.client {
                IpAddr::V4(address) => put(&address.octets()),
                IpAddr::V6(address) => put(&address.octets()),
            },
            KeyPart::Scheme => put(facts.scheme.as_bytes()),
            KeyPart::Method => put(facts.method),
            KeyPart::Header(name) => put(facts.headers.value(name).unwrap_or_default()),
            KeyPart::Argument(name) => put(&parameter(facts.query, name).unwrap_or_default()),
            KeyPart::Cookie(name) => put(facts
                .headers
                .value("cookie")
                .and_then(|cookies| cookie(cookies, name))
                .unwrap_or_default()),
        }
    }
    found
}
