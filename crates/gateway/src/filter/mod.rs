//! Filters: what a route does to its requests and answers beside forwarding them.
//!
//! ```text
//! check:   HTTPS? -> certificate -> CORS -> address -> limits -> password -> another service -> size of the body
//!                                                               may answer by itself
//! rewrite: path, host, headers of the request                   while its head is written
//! answer:  headers of the answer, or another backend's answer   while its head is written
//! pace:    how fast its body goes                               while it is passed on
//! ```
//!
//! A route without filters has none of this: [`Filters::compile`] gives `None`.

mod answer;
mod basic;
mod certificate;
mod cors;
mod external;
mod limit;
mod mirror;
mod pages;
mod redirect;
mod rewrite;
mod verdict;

pub(crate) use basic::PasswordCheck;
pub(crate) use certificate::Proof;
pub(crate) use external::{ExternalAuth, ExternalQuestion, Opinion};
pub(crate) use limit::Slot;
pub(crate) use mirror::Mirror;
pub(crate) use pages::ErrorPages;
pub(crate) use redirect::write_location;
pub(crate) use verdict::{Asked, Question, Verdict};

use crate::choose::BackendState;
use crate::conn::OwnAnswer;
use crate::h1::{Edits, Refusal, append_line};
use crate::table::HeaderLookup;
use answer::AnswerRewrite;
use basic::BasicAuth;
use certificate::ClientCertificate;
use cors::Cors;
use limit::{ConcurrencyLimiter, RateLimiter};
use rewrite::PathRewrite;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use tidegate_model::{
    Access, BackendId, HeaderEdits, Pace, Route, RouteRetry, RouteTimeouts, Satisfy, Settings,
};
use tidegate_runtime::Tick;

/// The compiled filters of a route.
#[derive(Debug)]
pub(crate) struct Filters {
    https_redirect: Option<u16>,
    certificate: Option<ClientCertificate>,
    cors: Option<Cors>,
    access: Access,
    /// Each of them counts. Shared with the filters before, so that a change of routes forgives nothing.
    concurrency: Box<[Arc<ConcurrencyLimiter>]>,
    /// The same.
    rate: Box<[Arc<RateLimiter>]>,
    basic: Option<Arc<BasicAuth>>,
    external: Option<Arc<ExternalAuth>>,
    satisfy: Satisfy,
    /// A larger body of a request is refused.
    pub(crate) max_body: Option<u64>,
    path: Option<PathRewrite>,
    /// The backend sees this Host.
    pub(crate) host: Option<Box<str>>,
    /// Changes of the request's headers.
    pub(crate) request: Edits,
    /// Changes of the answer's headers.
    pub(crate) response: Edits,
    /// What becomes of places in the answer.
    pub(crate) answer: Option<AnswerRewrite>,
    /// Errors that another backend tells.
    pub(crate) pages: Option<Box<ErrorPages>>,
    /// Who gets copies of requests.
    pub(crate) mirror: Option<Arc<Mirror>>,
    /// The gateway's redirects name no host where they need none.
    pub(crate) relative_redirects: bool,
    /// How fast bodies of answers go.
    pub(crate) pace: Option<Pace>,
    pub(crate) timeouts: RouteTimeouts,
    /// How requests are tried again.
    pub(crate) retry: RouteRetry,
    overrides_settings: bool,
}

/// What filters may know about a request.
#[derive(Debug)]
pub(crate) struct Facts<'a, H> {
    /// The client.
    pub(crate) client: IpAddr,
    /// `https`, or `http`.
    pub(crate) scheme: &'static str,
    /// Host as the client sent it.
    pub(crate) host: &'a [u8],
    /// The same without port.
    pub(crate) host_name: &'a [u8],
    pub(crate) method: &'a [u8],
    /// In normal form.
    pub(crate) path: &'a str,
    /// With its `?`, or empty.
    pub(crate) query: &'a [u8],
    pub(crate) headers: &'a H,
    /// The length of the body, if the client told it.
    pub(crate) length: Option<u64>,
    /// What its connection proves.
    pub(crate) proof: Proof<'a>,
}

/// Filters name a backend that there is not.
#[derive(Debug)]
pub(crate) struct UnknownBackend;

/// When a request is looked at, and by how many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) now: Tick,
    /// As many gateways share the limits of all together.
    pub(crate) gateways: u32,
}

/// What differs in the gateway's own answer.
#[derive(Debug)]
pub(crate) struct Own<'a> {
    /// Header lines for whatever answer the client will see.
    pub(crate) lines: &'a mut Vec<u8>,
    /// The body of [`OwnAnswer::Given`].
    pub(crate) body: &'a mut Vec<u8>,
}

impl Filters {
    /// The filters of a route that passed validation; `None` if it has none. What those `before` have counted and
    /// learned goes on where the rule is the same.
    ///
    /// # Errors
    /// A backend that they name is not in `backends`; a valid snapshot has none such.
    pub(crate) fn compile(
        route: &Route,
        backends: &HashMap<BackendId, Arc<BackendState>>,
        before: Option<&Self>,
    ) -> Result<Option<Box<Self>>, UnknownBackend> {
        let filters = &route.filters;
        if filters.is_empty() {
            return Ok(None);
        }
        let backend = |id: &BackendId| backends.get(id).map(Arc::clone).ok_or(UnknownBackend);
        // Headers that tell of certificates are the gateway's, whoever is asked.
        let claimed: &[&str] = match &filters.client_certificate {
            Some(_) => &tidegate_model::ClientCertificate::HEADERS,
            None => &[],
        };
        let pages = match &filters.error_pages {
            Some(rule) => {
                let mut pages = ErrorPages::compile(rule, backend(&rule.backend)?);
                claimed.iter().for_each(|name| pages.edits.drop(name));
                Some(Box::new(pages))
            }
            None => None,
        };
        let mirror = match &filters.mirror {
            Some(rule) => Some(Arc::new(Mirror::compile(rule, backend(&rule.backend)?))),
            None => None,
        };
        let external = match &filters.external_auth {
            Some(rule) => {
                let backend = filters.external_auth_backend().map(backend).transpose()?;
                let known = before.and_then(|filters| filters.external.as_ref());
                let known =
                    known.filter(|external| external.is_for(rule, backend.as_ref(), claimed));
                Some(match known {
                    Some(external) => Arc::clone(external),
                    None => Arc::new(ExternalAuth::compile(rule, backend, claimed)),
                })
            }
            None => None,
        };
        let mut request = compile_edits(&filters.request_headers);
        if let Some(external) = &external {
            external.claim(&mut request);
        }
        let certificate = filters.client_certificate.as_ref();
        let certificate = certificate.map(ClientCertificate::new);
        claimed.iter().for_each(|name| request.drop(name));
        let mut response = compile_edits(&filters.response_headers);
        if filters.cors.is_some() {
            cors::own(&mut response);
        }
        let answer = AnswerRewrite::compile(&filters.answer, &mut response);
        Ok(Some(Box::new(Self {
            answer,
            pages,
            mirror,
            external,
            relative_redirects: filters.relative_redirects,
            https_redirect: filters.https_redirect,
            certificate,
            cors: filters.cors.as_ref().map(Cors::compile),
            access: filters.access.clone(),
            concurrency: kept(
                &filters.concurrency_limit,
                before.map_or(&[], |before| &before.concurrency),
                ConcurrencyLimiter::is_for,
                ConcurrencyLimiter::new,
            ),
            rate: kept(
                &filters.rate_limit,
                before.map_or(&[], |before| &before.rate),
                RateLimiter::is_for,
                RateLimiter::new,
            ),
            pace: filters.pace,
            basic: filters
                .basic_auth
                .as_ref()
                .map(|rule| compile_basic(rule, before)),
            satisfy: filters.satisfy,
            max_body: filters.max_body,
            path: PathRewrite::compile(filters.rewrite.path.as_ref(), &route.path),
            host: filters.rewrite.host.as_deref().map(Into::into),
            request,
            response,
            timeouts: filters.timeouts,
            retry: filters.retry.clone(),
            overrides_settings: filters.timeouts != RouteTimeouts::default()
                || filters.retry.max.is_some(),
        })))
    }

    /// Whether the request may go on; if not, the gateway's answer to it, of which `own` gets what differs. A request
    /// that something was asked about is looked at again, with what came of it in `asked`.
    pub(crate) fn check<H: HeaderLookup>(
        &self,
        facts: &Facts<'_, H>,
        moment: Moment,
        asked: &mut Asked,
        own: &mut Own<'_>,
    ) -> Verdict {
        if let Some(status) = self.https_redirect.filter(|_| facts.scheme == "http") {
            redirect::to_https(facts, own.lines);
            return Verdict::Refused(OwnAnswer::Bare(status));
        }
        if let Some(certificate) = &self.certificate {
            match certificate.judge(facts, own) {
                Ok(lines) => asked.certificate = lines,
                Err(answer) => return Verdict::Refused(answer),
            }
        }
        let lines = &mut *own.lines;
        if let Some(answer) = self.cors.as_ref().and_then(|cors| cors.apply(facts, lines)) {
            return Verdict::Refused(answer);
        }
        let address = self.judge_address(facts.client);
        let further = self.basic.is_some() || self.external.is_some();
        if let Some(answer) = address.refuses(self.satisfy, further) {
            return Verdict::Refused(answer);
        }
        // Before the password is looked at, so that limits also hold for those who guess.
        if !std::mem::replace(&mut asked.counted, true)
            && let Err(answer) = self.count(facts, moment, asked, own)
        {
            return Verdict::Refused(answer);
        }
        let any = self.satisfy == Satisfy::Any;
        let mut enough = any && address == Address::Listed;
        if let Some(basic) = self.basic.as_ref().filter(|_| !enough) {
            let verdict = match asked.password {
                Some(result) => result.into(),
                None => basic.look(facts.headers.value("authorization")),
            };
            let other_way = any && self.external.is_some();
            match verdict {
                Verdict::Pass => enough = any,
                Verdict::Refused(_) if other_way => {}
                Verdict::Refused(answer) => {
                    if answer == OwnAnswer::Unauthorized {
                        let challenge = basic.challenge().as_bytes();
                        append_line(own.lines, "WWW-Authenticate", challenge);
                    }
                    return verdict;
                }
                Verdict::Ask(_) => return verdict,
            }
        }
        if let Some(external) = self.external.as_ref().filter(|_| !enough) {
            match &asked.opinion {
                Some(opinion) => external.remember(facts, opinion, moment.now),
                None => asked.opinion = external.remembered(facts, moment.now),
            }
            let verdict = match &asked.opinion {
                Some(opinion) => external.judge(opinion, facts, own),
                // It would go round and round.
                None if asked.is_question => Verdict::Refused(OwnAnswer::NoOpinion),
                None => Verdict::Ask(Question::External(Arc::clone(external))),
            };
            match verdict {
                Verdict::Pass => {}
                Verdict::Refused(_) | Verdict::Ask(_) => return verdict,
            }
        }
        match (self.max_body, facts.length) {
            (Some(max), Some(length)) if length > max => {
                Verdict::Refused(OwnAnswer::Refused(Refusal::BodyTooLarge))
            }
            _ => Verdict::Pass,
        }
    }

    fn judge_address(&self, client: IpAddr) -> Address {
        let listed = |list: &[tidegate_model::Cidr]| list.iter().any(|r| r.contains(client));
        match &self.access.allow {
            _ if listed(&self.access.deny) => Address::Denied,
            None => Address::Unlisted,
            Some(allow) if listed(allow) => Address::Listed,
            Some(_) => Address::Missing,
        }
    }

    fn count<H: HeaderLookup>(
        &self,
        facts: &Facts<'_, H>,
        moment: Moment,
        asked: &mut Asked,
        own: &mut Own<'_>,
    ) -> Result<(), OwnAnswer> {
        for limit in &self.concurrency {
            asked
                .slots
                .extend(limit.admit(facts, moment.gateways, own)?);
        }
        self.rate
            .iter()
            .try_for_each(|limit| limit.admit(facts, moment.gateways, moment.now, own))
    }

    /// The path, and the query with its `?`, that the backend is asked for; `None` where they stay as they are.
    ///
    /// # Errors
    /// What the rewrite makes of it leads above the root.
    pub(crate) fn rewrite(
        &self,
        path: &str,
        query: &[u8],
    ) -> Result<Option<(String, Vec<u8>)>, ()> {
        match &self.path {
            None => Ok(None),
            Some(rewrite) => rewrite.apply(path, query).map(Some).ok_or(()),
        }
    }

    /// The settings that hold for the route, made from those of the gateway.
    pub(crate) fn settings(&self, gateway: &Settings) -> Option<Settings> {
        if !self.overrides_settings {
            return None;
        }
        let mut settings = gateway.clone();
        let limits = &mut settings.timeouts;
        let own = &self.timeouts;
        limits.connect = own.connect.unwrap_or(limits.connect);
        limits.try_first_byte = own.try_first_byte.unwrap_or(limits.try_first_byte);
        limits.first_byte = own.first_byte.unwrap_or(limits.first_byte);
        limits.body_idle = own.body_idle.unwrap_or(limits.body_idle);
        settings.retry.max = self.retry.max.unwrap_or(settings.retry.max);
        Some(settings)
    }
}

/// What the lists of addresses say about a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Address {
    /// It is among those that are let in.
    Listed,
    /// It is not among them.
    Missing,
    /// It is among those that are not.
    Denied,
    /// There is no list of those who are let in.
    Unlisted,
}

impl Address {
    /// The answer, unless a password may still let the client in.
    fn refuses(self, satisfy: Satisfy, password: bool) -> Option<OwnAnswer> {
        match (self, satisfy) {
            (Self::Listed | Self::Unlisted, _) => None,
            (Self::Missing, Satisfy::Any) if password => None,
            (Self::Missing | Self::Denied, _) => Some(OwnAnswer::Forbidden),
        }
    }
}

/// A limiter for each rule: the one that has counted by it before, or a new one.
fn kept<R, L>(
    rules: &[R],
    before: &[Arc<L>],
    is_for: impl Fn(&L, &R) -> bool,
    new: impl Fn(&R) -> L,
) -> Box<[Arc<L>]> {
    let limiter = |rule| match before.iter().find(|limiter| is_for(limiter, rule)) {
        Some(limiter) => Arc::clone(limiter),
        None => Arc::new(new(rule)),
    };
    rules.iter().map(limiter).collect()
}

fn compile_basic(rule: &tidegate_model::BasicAuth, before: Option<&Filters>) -> Arc<BasicAuth> {
    let known = before.and_then(|filters| filters.basic.as_ref());
    match known.filter(|basic| basic.is_for(rule)) {
        Some(basic) => Arc::clone(basic),
        None => Arc::new(BasicAuth::new(rule)),
    }
}

fn compile_edits(edits: &HeaderEdits) -> Edits {
    let mut compiled = Edits::default();
    for name in &edits.remove {
        compiled.drop(name);
    }
    for line in &edits.set {
        compiled.drop(&line.name);
    }
    for line in edits.set.iter().chain(&edits.add) {
        compiled.append(&line.name, &line.value);
    }
    compiled
}

#[cfg(test)]
mod tests;
