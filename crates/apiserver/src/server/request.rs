//! What a URL asks for.

use crate::status::{ApiResult, Status};

/// A decoded query string.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes `a=b&c=d`.
    pub(super) fn parse(text: Option<&str>) -> ApiResult<Query> {
        let pairs = text.unwrap_or("").split('&').filter(|p| !p.is_empty());
        let decoded: Option<Vec<_>> = pairs
            .map(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                Some((
                    decode(&key.replace('+', " "))?,
                    decode(&value.replace('+', " "))?,
                ))
            })
            .collect();
        decoded.map(Query).ok_or_else(|| {
            Status::bad_request("the query string is not valid percent-encoded UTF-8")
        })
    }

    /// The first value of a parameter; an empty one counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, v)| v.as_str())
            .filter(|v| !v.is_empty())
    }

    /// Whether a boolean parameter is set.
    pub(super) fn flag(&self, name: &str) -> ApiResult<bool> {
        match self.get(name) {
            None => Ok(false),
            Some("true" | "1" | "True" | "TRUE" | "t" | "T") => Ok(true),
            Some("false" | "0" | "False" | "FALSE" | "f" | "F") => Ok(false),
            Some(other) => Err(Status::bad_request(format!(
                "parameter {name} must be true or false, not {other:?}"
            ))),
        }
    }

    /// A whole number.
    pub(super) fn number(&self, name: &str) -> ApiResult<Option<u64>> {
        let parse = |text: &str| {
            text.parse().map_err(|_| {
                Status::bad_request(format!(
                    "parameter {name} must be a whole number, not {text:?}"
                ))
            })
        };
        self.get(name).map(parse).transpose()
    }
}

/// A path below `/api/v1` or `/apis/GROUP/VERSION`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ResourcePath {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) namespace: Option<String>,
    pub(super) resource: String,
    pub(super) name: Option<String>,
    pub(super) subresource: Option<String>,
}

/// Splits a path into decoded segments; a trailing slash is ignored.
pub(super) fn segments(path: &str) -> ApiResult<Vec<String>> {
    let trimmed = path.trim_matches('/');
    if trimmed.is_empty() {
        return Ok(Vec::new());
    }
    let decoded: Option<Vec<_>> = trimmed.split('/').map(decode).collect();
    match decoded {
        Some(all)
            if all
                .iter()
                .all(|s| !s.is_empty() && !s.contains(['/', '\0'])) =>
        {
            Ok(all)
        }
        _ => Err(Status::no_such_resource()),
    }
}

impl ResourcePath {
    /// Reads the segments after `api` or `apis`; `None` when they do not name a resource.
    pub(super) fn parse(segments: &[String]) -> Option<ResourcePath> {
        let (group, rest) = match segments.first()?.as_str() {
            "api" => (String::new(), segments.get(1..)?),
            "apis" => (segments.get(1)?.clone(), segments.get(2..)?),
            _ => return None,
        };
        let (version, rest) = rest.split_first()?;
        let make = |namespace: Option<&String>, rest: &[String]| {
            let (resource, rest) = rest.split_first()?;
            if rest.len() > 2 {
                return None;
            }
            Some(ResourcePath {
                group: group.clone(),
                version: version.clone(),
                namespace: namespace.cloned(),
                resource: resource.clone(),
                name: rest.first().cloned(),
                subresource: rest.get(1).cloned(),
            })
        };
        match rest {
            // `namespaces/x/status` is a subresource of the namespace, not a resource named "status".
            [ns, _, sub] if ns == "namespaces" && matches!(sub.as_str(), "status" | "finalize") => {
                make(None, rest)
            }
            [ns, name, inner @ ..] if ns == "namespaces" && !inner.is_empty() => {
                make(Some(name), inner)
            }
            _ => make(None, rest),
        }
    }
}

fn decode(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        if b == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            out.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            out.push(b);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests;
