//! Asking another service who may ask.

mod cache;

use super::{Facts, Own, Verdict};
use crate::choose::BackendState;
use crate::conn::OwnAnswer;
use crate::h1::{Edits, append_line};
use crate::key::write_url;
use crate::table::{ForwardEntry, HeaderLookup};
use cache::Cache;
use std::sync::Arc;
use tidegate_model::{AuthTarget, ExternalAuth as Rule, KeyPart};
use tidegate_runtime::Tick;

/// Who is asked, and what.
#[derive(Debug)]
pub(crate) struct ExternalAuth {
    rule: Rule,
    /// The backend that is asked; `None`: the gateway itself.
    pub(crate) to: Option<ForwardEntry>,
    /// What the question leaves out of what the client says.
    edits: Edits,
    cache: Option<Cache>,
}

/// A question that is to be sent.
#[derive(Debug)]
pub(crate) struct ExternalQuestion {
    pub(crate) auth: Arc<ExternalAuth>,
    /// Its head, whole.
    pub(crate) head: Vec<u8>,
}

/// What a service has said about a request.
#[derive(Debug)]
pub(crate) enum Opinion {
    /// It may go on: with these lines to the backend, and these to the client.
    Granted {
        status: u16,
        request: Vec<u8>,
        answer: Vec<u8>,
    },
    /// It may not: 401 or 403, with these lines to the client.
    Denied { status: u16, answer: Vec<u8> },
    /// It could not be asked, or said nothing that could be used.
    None,
}

/// What a question looks like.
#[derive(Debug)]
pub(crate) struct Wording<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a [u8],
    /// With its `?`, or nothing.
    pub(crate) query: Vec<u8>,
    /// The Host that is asked; `None`: that of the request.
    pub(crate) host: Option<&'a str>,
    pub(crate) edits: &'a Edits,
}

/// How a line of an answer begins that sets a cookie, as it is written here.
const SET_COOKIE: &[u8] = b"Set-Cookie: ";
impl Opinion {
    /// The status it came with.
    fn status(&self) -> Option<u16> {
        match self {
            Self::Granted { status, .. } | Self::Denied { status, .. } => Some(*status),
            Self::None => None,
        }
    }

    fn sets_cookies(&self) -> bool {
        match self {
            Self::Granted { answer, .. } | Self::Denied { answer, .. } => {
                answer.windows(SET_COOKIE.len()).any(|w| w == SET_COOKIE)
            }
            Self::None => false,
        }
    }
}

/// How the question differs from what the client says: it says nothing in `claimed`, nor in what the question says itself.
fn edits(rule: &Rule, claimed: &[&str]) -> Edits {
    let mut edits = Edits::default();
    for name in claimed.iter().copied().chain(Rule::OWN) {
        edits.drop(name);
    }
    for line in &rule.request_headers {
        edits.drop(&line.name);
        edits.append(&line.name, &line.value);
    }
    edits
}

impl ExternalAuth {
    /// `claimed` are headers that no client may say about itself.
    pub(super) fn compile(rule: &Rule, to: Option<Arc<BackendState>>, claimed: &[&str]) -> Self {
        Self {
            rule: rule.clone(),
            to: to.map(ForwardEntry::new),
            edits: edits(rule, claimed),
            cache: rule.cache.as_ref().map(Cache::new),
        }
    }

    /// Whether it asks by this very rule, the same backend, and claims these headers.
    pub(super) fn is_for(
        &self,
        rule: &Rule,
        to: Option<&Arc<BackendState>>,
        claimed: &[&str],
    ) -> bool {
        let same = match (&self.to, to) {
            (Some(own), Some(other)) => Arc::ptr_eq(&own.backend, other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        same && self.rule == *rule && self.edits == edits(rule, claimed)
    }

    /// What was said about a request like this, if it is remembered.
    pub(super) fn remembered<H: HeaderLookup>(
        &self,
        facts: &Facts<'_, H>,
        now: Tick,
    ) -> Option<Arc<Opinion>> {
        self.cache.as_ref()?.remembered(facts, now)
    }

    /// Remembers what was said about a request.
    pub(super) fn remember<H: HeaderLookup>(
        &self,
        facts: &Facts<'_, H>,
        opinion: &Arc<Opinion>,
        now: Tick,
    ) {
        if let Some(cache) = &self.cache {
            cache.remember(facts, opinion, now);
        }
    }

    pub(crate) fn method(&self) -> &str {
        &self.rule.method
    }

    /// Headers of the request that are its to say.
    pub(super) fn claim(&self, request: &mut Edits) {
        for name in &self.rule.response_headers {
            request.drop(name);
        }
    }

    /// Whether only a host that is served by its own name may be asked.
    pub(crate) fn named_host(&self) -> Option<&str> {
        match &self.rule.to {
            AuthTarget::Own { host } => host.as_deref(),
            AuthTarget::Backend { .. } => None,
        }
    }

    /// What is asked about a request.
    pub(crate) fn wording<H: HeaderLookup>(&self, facts: &Facts<'_, H>) -> Wording<'_> {
        let mut query = Vec::new();
        if !self.rule.query.is_empty() {
            query.push(b'?');
            write_url(&self.rule.query, facts, true, &mut query);
        }
        Wording {
            method: &self.rule.method,
            path: self.rule.path.as_bytes(),
            query,
            host: match &self.rule.to {
                AuthTarget::Backend { host, .. } => Some(host),
                AuthTarget::Own { host } => host.as_deref(),
            },
            edits: &self.edits,
        }
    }

    /// The lines about the request.
    pub(crate) fn lines<H: HeaderLookup>(&self, facts: &Facts<'_, H>) -> Vec<u8> {
        let mut lines = Vec::new();
        let path = facts.path.as_bytes();
        let url = [
            facts.scheme.as_bytes(),
            b"://",
            facts.host,
            path,
            facts.query,
        ];
        append_line(&mut lines, Rule::ORIGINAL_URL, &url.concat());
        append_line(&mut lines, Rule::ORIGINAL_METHOD, facts.method);
        let mut redirect = Vec::new();
        match &self.rule.redirect[..] {
            [] => write_url(&[KeyPart::Uri], facts, false, &mut redirect),
            parts => write_url(parts, facts, false, &mut redirect),
        }
        append_line(&mut lines, Rule::REDIRECT, &redirect);
        lines
    }

    /// What the answer to the question means: its status and its lines.
    pub(crate) fn opinion<'a>(
        &self,
        status: u16,
        lines: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Opinion {
        let is = |name: &[u8], wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
        let (mut request, mut answer) = (Vec::new(), Vec::new());
        for (name, value) in lines {
            if is(name, "set-cookie") {
                append_line(&mut answer, "Set-Cookie", value);
            }
            if status == 401 && is(name, "www-authenticate") && self.rule.sign_in.is_empty() {
                append_line(&mut answer, "WWW-Authenticate", value);
            }
            let mut wanted = self.rule.response_headers.iter();
            if let Some(wanted) = wanted.find(|wanted| is(name, wanted)) {
                append_line(&mut request, wanted, value);
            }
        }
        match status {
            200..=299 => Opinion::Granted {
                status,
                request,
                answer,
            },
            401 | 403 => Opinion::Denied { status, answer },
            _ => Opinion::None,
        }
    }

    /// What becomes of a request that the service has said this about.
    pub(super) fn judge<H: HeaderLookup>(
        &self,
        opinion: &Opinion,
        facts: &Facts<'_, H>,
        own: &mut Own<'_>,
    ) -> Verdict {
        match opinion {
            Opinion::Granted { answer, .. } => {
                own.lines.extend_from_slice(answer);
                Verdict::Pass
            }
            Opinion::Denied { status, answer } => {
                own.lines.extend_from_slice(answer);
                if *status != 401 || self.rule.sign_in.is_empty() {
                    return Verdict::Refused(OwnAnswer::Denied(*status));
                }
                let mut url = Vec::new();
                write_url(&self.rule.sign_in, facts, false, &mut url);
                append_line(own.lines, "Location", &url);
                Verdict::Refused(OwnAnswer::Bare(302))
            }
            Opinion::None => Verdict::Refused(OwnAnswer::NoOpinion),
        }
    }
}
