//! The CORS protocol (Fetch standard, 3.2), answered in the backend's place.

use super::Facts;
use crate::conn::OwnAnswer;
use crate::h1::{Edits, append_line};
use crate::table::HeaderLookup;
use tidegate_model::Cors as Rules;

#[derive(Debug)]
pub(super) struct Cors {
    origins: Vec<Origin>,
    credentials: bool,
    /// Lines for preflights.
    preflight: Edits,
    /// Lines for other answers.
    exposed: Edits,
}

#[derive(Debug, PartialEq, Eq)]
enum Origin {
    Any,
    Exact(Box<str>),
    /// One label is open: what stands before it and after it.
    OneLabel(Box<str>, Box<str>),
}

/// Names that the gateway writes where a route has CORS.
const OWN: [&str; 6] = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-max-age",
];

/// What the backend says of CORS is left out of its answers.
pub(super) fn own(response: &mut Edits) {
    OWN.iter().for_each(|name| response.drop(name));
}

impl Cors {
    pub(super) fn compile(rules: &Rules) -> Self {
        let mut preflight = Edits::default();
        let mut exposed = Edits::default();
        let lists = [
            (
                &rules.allow_methods,
                "Access-Control-Allow-Methods",
                &mut preflight,
            ),
            (
                &rules.expose_headers,
                "Access-Control-Expose-Headers",
                &mut exposed,
            ),
        ];
        for (names, header, edits) in lists {
            if !names.is_empty() {
                edits.append(header, &names.join(", "));
            }
        }
        if !rules.allow_headers.is_empty() {
            let names = rules.allow_headers.join(", ");
            preflight.append("Access-Control-Allow-Headers", &names);
        }
        if let Some(age) = rules.max_age {
            preflight.append("Access-Control-Max-Age", &age.as_secs().to_string());
        }
        Self {
            origins: rules
                .allow_origins
                .iter()
                .map(|text| Origin::new(text))
                .collect(),
            credentials: rules.allow_credentials,
            preflight,
            exposed,
        }
    }

    /// Writes what the client's browser wants to know, and answers a preflight. An origin that may not ask is
    /// told nothing, so that its browser keeps the answer from it.
    pub(super) fn apply<H: HeaderLookup>(
        &self,
        facts: &Facts<'_, H>,
        lines: &mut Vec<u8>,
    ) -> Option<OwnAnswer> {
        let echoes = self.credentials || !self.origins.contains(&Origin::Any);
        if echoes {
            // Also without an origin: a cache must not show this answer to one.
            append_line(lines, "Vary", b"Origin");
        }
        let origin = facts.headers.value("origin")?;
        let preflight = facts.method == b"OPTIONS"
            && facts
                .headers
                .value("access-control-request-method")
                .is_some();
        if self.origins.iter().any(|allowed| allowed.matches(origin)) {
            let shown = if echoes { origin } else { b"*" };
            append_line(lines, "Access-Control-Allow-Origin", shown);
            if self.credentials {
                append_line(lines, "Access-Control-Allow-Credentials", b"true");
            }
            let more = if preflight {
                &self.preflight
            } else {
                &self.exposed
            };
            lines.extend_from_slice(&more.lines);
        }
        preflight.then_some(OwnAnswer::Bare(204))
    }
}

impl Origin {
    fn new(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        match text.split_once('*') {
            None => Self::Exact(text.into()),
            Some(("", "")) => Self::Any,
            Some((before, after)) => Self::OneLabel(before.into(), after.into()),
        }
    }

    /// Browsers write origins in lower case, without a default port (Fetch 2.2, RFC 6454 6.2).
    fn matches(&self, origin: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => origin == exact.as_bytes(),
            Self::OneLabel(before, after) => origin
                .strip_prefix(before.as_bytes())
                .and_then(|rest| rest.strip_suffix(after.as_bytes()))
                .is_some_and(|label| {
                    !label.is_empty()
                        && label
                            .iter()
                            .all(|b| b.is_ascii_alphanumeric() || *b == b'-')
                }),
        }
    }
}
