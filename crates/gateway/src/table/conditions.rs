//! Conditions of a route beside host and path.

use super::{HeaderLookup, RequestHead};
use std::borrow::Cow;
use tidegate_model::{FieldMatch, Route};

/// What a request must have for a route.
#[derive(Debug)]
pub(super) struct Conditions {
    methods: Vec<String>,
    headers: Vec<FieldMatch>,
    query: Vec<FieldMatch>,
    cookies: Vec<FieldMatch>,
    pseudo_headers: Vec<FieldMatch>,
    count: usize,
}

impl Conditions {
    pub(super) fn new(route: &Route) -> Self {
        Self {
            methods: route.methods.clone(),
            headers: route.headers.clone(),
            query: route.query.clone(),
            cookies: route.cookies.clone(),
            pseudo_headers: route.pseudo_headers.clone(),
            count: route.conditions(),
        }
    }

    /// How many there are: more go first.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Whether a request meets all of them.
    pub(super) fn met_by<H: HeaderLookup>(&self, head: &RequestHead<'_, H>) -> bool {
        if self.count == 0 {
            return true;
        }
        let method = |method: &String| method.as_bytes() == head.method;
        (self.methods.is_empty() || self.methods.iter().any(method))
            && self.headers.iter().all(|condition| {
                let found = head.headers.value(&condition.name);
                found.is_some_and(|value| condition.value.matches(value))
            })
            && self.query.iter().all(|condition| {
                let found = parameter(head.query, &condition.name);
                found.is_some_and(|value| condition.value.matches(&value))
            })
            && self.cookies.iter().all(|condition| {
                let found = head.headers.value("cookie");
                let found = found.and_then(|cookies| cookie(cookies, &condition.name));
                found.is_some_and(|value| condition.value.matches(value))
            })
            && self.pseudo_headers.iter().all(|condition| {
                let found = pseudo_header(head, &condition.name);
                found.is_some_and(|value| condition.value.matches(&value))
            })
    }
}

/// What a request says, in the words of HTTP/2 (RFC 9113 8.3.1).
fn pseudo_header<'a, H: HeaderLookup>(
    head: &RequestHead<'a, H>,
    name: &str,
) -> Option<Cow<'a, [u8]>> {
    Some(match name {
        "authority" => head.authority.into(),
        "method" => head.method.into(),
        "path" if head.query.is_empty() => head.path.as_bytes().into(),
        "path" => [head.path.as_bytes(), head.query].concat().into(),
        "scheme" => head.scheme.as_bytes().into(),
        _ => return None,
    })
}

/// The first cookie of this name (RFC 6265 5.4).
pub(crate) fn cookie<'a>(cookies: &'a [u8], name: &str) -> Option<&'a [u8]> {
    cookies.split(|b| *b == b';').find_map(|pair| {
        let (key, value) = split_once(pair.trim_ascii(), b'=')?;
        (key == name.as_bytes()).then_some(value)
    })
}

/// The first parameter of this name in a query with its `?`, decoded; empty if it has no `=`.
pub(crate) fn parameter<'a>(query: &'a [u8], name: &str) -> Option<Cow<'a, [u8]>> {
    let query = query.strip_prefix(b"?")?;
    query.split(|b| *b == b'&').find_map(|pair| {
        let (key, value) = split_once(pair, b'=').unwrap_or((pair, b""));
        (decoded(key) == name.as_bytes()).then(|| decoded(value))
    })
}

fn split_once(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let found = text.iter().position(|b| *b == at)?;
    Some((&text[..found], &text[found + 1..]))
}

/// `%XX` and `+` as HTML forms write them (URL standard, 5.1); a broken `%` stands for itself.
fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|b| matches!(b, b'%' | b'+')) {
        return text.into();
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let code = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let code = code.filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        match (first, code.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                rest = &after[2..];
            }
            (b'+', _) => {
                out.push(b' ');
                rest = after;
            }
            (other, _) => {
                out.push(*other);
                rest = after;
            }
        }
    }
    out.into()
}
