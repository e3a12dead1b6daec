//! Who asks: what proxies in front of the gateway say about the client, as far as they are trusted.

use crate::h1::{Known, Line};
use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use tidegate_model::Cidr;

/// The client behind a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asker<'a> {
    /// Its address.
    pub(super) address: IpAddr,
    /// The scheme it used.
    pub(super) scheme: &'static str,
    /// `X-Forwarded-For` for the backend: the client, and the proxies behind it.
    pub(super) chain: Cow<'a, [u8]>,
    /// The host that the client asked the first proxy for, and the name the request was given there.
    pub(super) host: Option<&'a [u8]>,
    pub(super) request_id: Option<&'a [u8]>,
}

/// A name for a request is passed on up to this length.
const REQUEST_ID_MAX: usize = 128;

impl<'a> Asker<'a> {
    /// The other end of the connection itself.
    pub(super) fn direct(peer: IpAddr, text: &'a str, scheme: &'static str) -> Self {
        Self {
            address: peer,
            scheme,
            chain: text.as_bytes().into(),
            host: None,
            request_id: None,
        }
    }

    /// Who a trusted proxy says it is. The list in `X-Forwarded-For` is read from its end, where the last proxy
    /// wrote: the first address that no trusted proxy has is the client's. What stands before it, anybody may
    /// have written.
    pub(super) fn behind(self, trusted: &[Cidr], lines: &[Line], buf: &'a [u8]) -> Self {
        let is_trusted = |address: IpAddr| trusted.iter().any(|range| range.contains(address));
        if !is_trusted(self.address) {
            return self;
        }
        let named = |name: &'static str| {
            lines.iter().filter(move |line| {
                line.known == Known::Identity
                    && line.name.of(buf).eq_ignore_ascii_case(name.as_bytes())
            })
        };
        let values = |name| named(name).map(|line| line.value.of(buf));
        let mut address = self.address;
        let entries = values("x-forwarded-for").collect::<Vec<_>>();
        let from_the_end = entries
            .iter()
            .rev()
            .flat_map(|value| value.rsplit(|b| *b == b','));
        for entry in from_the_end {
            let Some(named) = parse_address(entry) else {
                break;
            };
            address = named;
            if !is_trusted(named) {
                break;
            }
        }
        let scheme = values("x-forwarded-proto")
            .next_back()
            .and_then(|value| value.rsplit(|b| *b == b',').next())
            .map(<[u8]>::trim_ascii);
        let scheme = match scheme {
            Some(value) if value.eq_ignore_ascii_case(b"https") => "https",
            Some(value) if value.eq_ignore_ascii_case(b"http") => "http",
            _ => self.scheme,
        };
        let mut chain = entries.join(&b", "[..]);
        if !chain.is_empty() {
            chain.extend_from_slice(b", ");
        }
        chain.extend_from_slice(&self.chain);
        let usable = |id: &&[u8]| {
            !id.is_empty() && id.len() <= REQUEST_ID_MAX && id.iter().all(u8::is_ascii_graphic)
        };
        Self {
            address,
            scheme,
            chain: chain.into(),
            host: values("x-forwarded-host").next(),
            request_id: values("x-request-id").next().filter(usable),
        }
    }
}

/// An address, also with a port behind it, as some proxies write it.
fn parse_address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let address = text.parse::<IpAddr>().ok();
    let address = address.or_else(|| text.parse::<SocketAddr>().ok().map(|s| s.ip()));
    Some(address?.to_canonical())
}

#[cfg(test)]
mod tests;
