//! Texts made of what a request says: keys of requests that belong together, and URLs.

use crate::filter::Facts;
use crate::table::{HeaderLookup, cookie, parameter};
use std::borrow::Cow;
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
        match (part, facts.client) {
            (KeyPart::Text(text), _) => put(text.as_bytes()),
            (KeyPart::ClientAddress, IpAddr::V4(address)) => put(&address.octets()),
            (KeyPart::ClientAddress, IpAddr::V6(address)) => put(&address.octets()),
            _ => {
                for value in values(part, facts) {
                    put(&value);
                    found |= !value.is_empty();
                }
                continue;
            }
        }
        found |= matches!(part, KeyPart::ClientAddress);
    }
    found
}

/// Appends a URL or a part of one. Behind a `?`, in `url` or before it, what comes from the request is percent-encoded
/// (RFC 3986 2.1); before it, so is what may hold anything.
pub(crate) fn write_url<H: HeaderLookup>(
    parts: &[KeyPart],
    facts: &Facts<'_, H>,
    in_query: bool,
    url: &mut Vec<u8>,
) {
    let mut in_query = in_query;
    for part in parts {
        let plain = match part {
            KeyPart::Text(text) => {
                in_query |= text.contains('?');
                url.extend_from_slice(text.as_bytes());
                continue;
            }
            KeyPart::Uri
            | KeyPart::Path
            | KeyPart::Query
            | KeyPart::Host
            | KeyPart::Authority
            | KeyPart::ClientAddress
            | KeyPart::Scheme => !in_query,
            KeyPart::Method | KeyPart::Header(_) | KeyPart::Argument(_) | KeyPart::Cookie(_) => {
                false
            }
        };
        for value in values(part, facts) {
            match plain {
                true => url.extend_from_slice(&value),
                false => encode(&value, url),
            }
        }
    }
}

/// What a request says for a part, in up to two pieces.
fn values<'f, H: HeaderLookup>(part: &'f KeyPart, facts: &'f Facts<'_, H>) -> [Cow<'f, [u8]>; 2] {
    let value = match part {
        KeyPart::Uri => return [facts.path.as_bytes().into(), facts.query.into()],
        KeyPart::Text(text) => text.as_bytes().into(),
        KeyPart::Path => facts.path.as_bytes().into(),
        KeyPart::Query => facts.query.strip_prefix(b"?").unwrap_or_default().into(),
        // Hosts are one whatever their case (RFC 9110 4.2.3).
        KeyPart::Host if facts.host_name.iter().any(u8::is_ascii_uppercase) => {
            facts.host_name.to_ascii_lowercase().into()
        }
        KeyPart::Host => facts.host_name.into(),
        KeyPart::Authority => facts.host.into(),
        KeyPart::ClientAddress => facts.client.to_string().into_bytes().into(),
        KeyPart::Scheme => facts.scheme.as_bytes().into(),
        KeyPart::Method => facts.method.into(),
        KeyPart::Header(name) => facts.headers.value(name).unwrap_or_default().into(),
        KeyPart::Argument(name) => parameter(facts.query, name).unwrap_or_default(),
        KeyPart::Cookie(name) => facts
            .headers
            .value("cookie")
            .and_then(|cookies| cookie(cookies, name))
            .unwrap_or_default()
            .into(),
    };
    [value, Cow::Borrowed(b"")]
}

/// Appends a value in which only unreserved characters are left as they are (RFC 3986 2.3).
fn encode(value: &[u8], url: &mut Vec<u8>) {
    for byte in value {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => url.push(*byte),
            byte => {
                let digit = |n: u8| b"0123456789ABCDEF"[usize::from(n)];
                url.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_breaks_out_of_its_place_in_a_url() {
        let headers = vec![("x-a", "a&b=c"), ("cookie", "s=/../x")];
        let facts = Facts {
            client: [192, 0, 2, 1].into(),
            scheme: "https",
            host: b"Shop.example.com:8443",
            host_name: b"Shop.example.com",
            method: b"GET",
            path: "/a b",
            query: b"?q=%0d%0aSet-Cookie:%20x&r=2",
            headers: &headers,
            length: None,
            proof: crate::filter::Proof::Plain,
        };
        let text = |text: &str| KeyPart::Text(text.to_owned());
        let url = |parts: &[KeyPart], in_query| {
            let mut url = Vec::new();
            write_url(parts, &facts, in_query, &mut url);
            String::from_utf8(url).unwrap()
        };
        let named = [
            KeyPart::Argument("q".to_owned()),
            KeyPart::Header("x-a".to_owned()),
            KeyPart::Cookie("s".to_owned()),
        ];
        let encoded = "%0D%0ASet-Cookie%3A%20xa%26b%3Dc%2F..%2Fx";
        assert_eq!(url(&named, false), encoded, "also where nothing else is");
        assert_eq!(url(&named, true), encoded);
        let place = [KeyPart::Scheme, text("://"), KeyPart::Authority];
        assert_eq!(url(&place, false), "https://Shop.example.com:8443");
        assert_eq!(url(&[KeyPart::Host], false), "shop.example.com");
        let back = [text("/in?rd="), KeyPart::Uri, KeyPart::ClientAddress];
        assert_eq!(
            url(&back, false),
            "/in?rd=%2Fa%20b%3Fq%3D%250d%250aSet-Cookie%3A%2520x%26r%3D2192.0.2.1"
        );
    }
}
