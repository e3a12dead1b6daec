//! How two answers differ.

use std::collections::BTreeSet;

use http::{HeaderMap, HeaderName, header};
use serde::Serialize;

use super::send::Answer;

/// Headers that say who answered, when and in which framing, not what: they are not compared.
pub(crate) const IGNORED_HEADERS: [&str; 11] = [
    "age",
    "alt-svc",
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "server",
    "server-timing",
    "transfer-encoding",
    "via",
    "x-request-id",
];

/// What is compared.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// Beside [`IGNORED_HEADERS`].
    pub(crate) ignored: Vec<HeaderName>,
    pub(crate) body: Body,
}

/// Whether bodies are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Compared,
    Ignored,
}

/// One thing in which two answers differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Difference {
    /// `answer`, `status`, `header NAME`, `body`.
    pub(crate) what: String,
    pub(crate) from: String,
    pub(crate) to: String,
}

pub(super) fn differences(
    from: &Result<Answer, String>,
    to: &Result<Answer, String>,
    rules: &Rules,
) -> Vec<Difference> {
    let (from, to) = match (from, to) {
        (Ok(from), Ok(to)) => (from, to),
        // Neither answered: nobody can say that they behave alike.
        (from, to) => return vec![difference("answer", &in_words(from), &in_words(to))],
    };
    let mut found = Vec::new();
    if from.status != to.status {
        found.push(difference(
            "status",
            from.status.as_str(),
            to.status.as_str(),
        ));
    }
    let names: BTreeSet<&str> = from
        .headers
        .keys()
        .chain(to.headers.keys())
        .map(HeaderName::as_str)
        .collect();
    for name in names {
        if IGNORED_HEADERS.contains(&name) || rules.ignored.iter().any(|ignored| ignored == name) {
            continue;
        }
        let (a, b) = (values(&from.headers, name), values(&to.headers, name));
        if a != b {
            found.push(difference(&format!("header {name}"), &a, &b));
        }
    }
    if rules.body == Body::Compared && from.digest != to.digest {
        found.push(difference("body", &body(from), &body(to)));
    }
    found
}

fn difference(what: &str, from: &str, to: &str) -> Difference {
    Difference {
        what: what.to_owned(),
        from: from.to_owned(),
        to: to.to_owned(),
    }
}

fn in_words(answer: &Result<Answer, String>) -> String {
    match answer {
        Ok(answer) => format!("status {}", answer.status.as_str()),
        Err(why) => format!("none: {why}"),
    }
}

/// All values of a header in their order. Of cookies only the names: what they hold is made for each client, and may be
/// a secret.
fn values(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(name).iter().map(|value| {
        let text = String::from_utf8_lossy(value.as_bytes());
        match name == header::SET_COOKIE.as_str() {
            true => text.split('=').next().unwrap_or_default().trim().to_owned(),
            false => text.into_owned(),
        }
    });
    let values: Vec<String> = values.collect();
    match values.is_empty() {
        true => "(none)".to_owned(),
        false => values.join(", "),
    }
}

fn body(answer: &Answer) -> String {
    let digest = answer.digest.to_hex();
    format!("{} bytes, digest {}", answer.length, &digest[..12])
}
