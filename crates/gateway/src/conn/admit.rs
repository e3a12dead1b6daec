//! From a head to what is done with it: the path in normal form, the route, its filters, and the request
//! as a backend will see it.

use super::asker::Asker;
use super::{Client, OwnAnswer};
use crate::choose::{Claim, aim};
use crate::filter::{
    Asked, ExternalQuestion, Facts, Moment, Opinion, Own, PasswordCheck, Proof, Question, Verdict,
    write_location,
};
use crate::h1::{
    Edits, Framing, Identity, Line, Method, Refusal, RequestHead, Wanted, add_lines, write_request,
};
use crate::table::{self, ForwardEntry, HeaderLookup, RouteAction, RouteEntry, Table};
use crate::worker::Scratch;
use std::borrow::Cow;
use std::sync::Arc;
use tidegate_model::normalise_path;

/// What is done with a request.
#[derive(Debug)]
pub(super) enum Admitted<'t> {
    /// It is forwarded; its head for the backend stands in `request_out`.
    To(Destination<'t>),
    /// No route matches.
    Nowhere,
    /// Its route answers by itself, with the lines in `answer_lines`.
    Answered(OwnAnswer),
    /// Look again when this password was checked.
    Check(PasswordCheck),
    /// Look again when this was asked.
    Inquire(ExternalQuestion),
}

/// Where a request goes.
#[derive(Debug)]
pub(super) struct Destination<'t> {
    /// Its route.
    pub(super) entry: &'t Arc<RouteEntry>,
    /// Which of the route's backends.
    pub(super) to: &'t ForwardEntry,
    /// What it says about the endpoint.
    pub(super) claim: Claim,
}

/// Finds the route of the request whose head stands in `scratch`, and applies its filters.
///
/// # Errors
/// The path leads above the root.
pub(super) fn admit<'t>(
    table: &'t Table,
    scratch: &mut Scratch,
    client: &Client,
    asked: &mut Asked,
) -> Result<Admitted<'t>, Refusal> {
    let Scratch {
        input,
        request,
        request_out,
        page_out,
        mirror_out,
        answer_lines,
        answer_body,
        ..
    } = scratch;
    answer_lines.clear();
    mirror_out.clear();
    let buf = input.data();
    let path = match request.path.of(buf) {
        // `http://host` and `http://host?query` mean the root (RFC 9110 4.2.3).
        [] => "/",
        path => std::str::from_utf8(path).map_err(|_| Refusal::TargetByte)?,
    };
    let path = normalise_path(path).ok_or(Refusal::TargetAboveRoot)?;
    let host = std::str::from_utf8(request.host_name.of(buf)).map_err(|_| Refusal::Host)?;
    let query = request.query.of(buf);
    let headers = &Headers { request, buf };
    let mut asker = Asker::direct(client.peer, &client.address, client.stream.scheme());
    let trusted = &table.settings().trusted_proxies;
    if !trusted.is_empty() {
        asker = asker.behind(trusted, &request.lines, buf);
    }
    let head = table::RequestHead {
        host: &normal_host(host),
        authority: request.host.of(buf),
        scheme: asker.scheme,
        path: &path,
        method: request.method_text.of(buf),
        query,
        headers,
    };
    let Some(entry) = table::route(table, &head) else {
        return Ok(Admitted::Nowhere);
    };
    let facts = Facts {
        client: asker.address,
        scheme: asker.scheme,
        host: request.host.of(buf),
        host_name: request.host_name.of(buf),
        method: head.method,
        path: &path,
        query,
        headers,
        length: match request.framing {
            Framing::Length(length) => Some(length),
            Framing::None | Framing::Chunked | Framing::UntilEnd => None,
        },
        proof: match &client.certificate {
            Some(presented) => Proof::Asked(presented, table.trusted()),
            None if client.stream.scheme() == "https" => Proof::Unasked,
            None => Proof::Plain,
        },
    };
    let own_id = *asked.request_id.get_or_insert_with(|| request_id(client));
    let identity = Identity {
        chain: &asker.chain,
        scheme: asker.scheme,
        host: asker.host.unwrap_or(facts.host),
        request_id: asker.request_id.unwrap_or(&own_id),
    };
    let filters = entry.filters.as_deref();
    if let Some(filters) = filters {
        let moment = Moment {
            now: client.worker.now(),
            gateways: table.settings().gateways,
        };
        let own = &mut Own {
            lines: answer_lines,
            body: answer_body,
        };
        match filters.check(&facts, moment, asked, own) {
            Verdict::Pass => {}
            Verdict::Refused(answer) => return Ok(Admitted::Answered(answer)),
            Verdict::Ask(Question::Password(check)) => return Ok(Admitted::Check(check)),
            Verdict::Ask(Question::External(auth)) => {
                let wording = auth.wording(&facts);
                let wanted = Wanted {
                    path: wording.path,
                    query: &wording.query,
                    host: wording.host.map(str::as_bytes),
                    edits: wording.edits,
                    bodiless: Some(wording.method),
                };
                let mut head = Vec::new();
                write_request(request, buf, wanted, identity, &mut head);
                add_lines(&mut head, &asked.certificate);
                add_lines(&mut head, &auth.lines(&facts));
                return Ok(Admitted::Inquire(ExternalQuestion { auth, head }));
            }
        }
    }
    match &entry.action {
        RouteAction::Forward(_) | RouteAction::Split(_) => {}
        RouteAction::Respond(status) => return Ok(Admitted::Answered(OwnAnswer::Bare(*status))),
        RouteAction::Redirect(redirect) => {
            let relative = filters.is_some_and(|filters| filters.relative_redirects);
            write_location(&redirect.to, relative, &facts, answer_lines);
            return Ok(Admitted::Answered(OwnAnswer::Bare(redirect.status)));
        }
    }
    let random = || client.worker.random();
    let Some((to, claim)) = aim(&entry.action, &facts, random) else {
        return Ok(Admitted::Answered(OwnAnswer::NoEndpoint));
    };
    let mut wanted = Wanted {
        path: path.as_bytes(),
        query,
        host: None,
        edits: Edits::NONE,
        bodiless: None,
    };
    let rewritten;
    if let Some(filters) = filters {
        rewritten = filters
            .rewrite(&path, query)
            .map_err(|()| Refusal::TargetAboveRoot)?;
        if let Some((path, query)) = &rewritten {
            (wanted.path, wanted.query) = (path.as_bytes(), query);
        }
        wanted.host = filters.host.as_deref().map(str::as_bytes);
        wanted.edits = &filters.request;
    }
    request_out.clear();
    write_request(request, buf, wanted, identity, request_out);
    add_lines(request_out, &asked.certificate);
    if let Some(Opinion::Granted { request, .. }) = asked.opinion.as_deref() {
        add_lines(request_out, request);
    }
    let mirror = filters.and_then(|filters| filters.mirror.as_deref());
    if let Some(mirror) = mirror
        && !request.asks_websocket
        && !asked.is_question
        && mirror.takes(client.worker.random())
    {
        let copied = mirror.copied(&facts);
        let mut wanted = wanted;
        if let Some(uri) = &copied.uri {
            (wanted.path, wanted.query) = (uri, b"");
        }
        wanted.host = copied.host.as_deref().or(wanted.host);
        if !mirror.takes_body() {
            wanted.bodiless = std::str::from_utf8(request.method_text.of(buf)).ok();
        }
        write_request(request, buf, wanted, identity, mirror_out);
        add_lines(mirror_out, &asked.certificate);
    }
    if let Some(pages) = filters.and_then(|filters| filters.pages.as_deref()) {
        let wanted = Wanted {
            path: b"/",
            query: b"",
            host: wanted.host,
            edits: &pages.edits,
            bodiless: Some(match request.method {
                Method::Head => "HEAD",
                Method::Get | Method::Idempotent | Method::Other => "GET",
            }),
        };
        page_out.clear();
        write_request(request, buf, wanted, identity, page_out);
        let target = [request.path.of(buf), query];
        pages.write_request(&facts, target, page_out);
    }
    Ok(Admitted::To(Destination { entry, to, claim }))
}

/// The form hosts of routes are kept in.
pub(super) fn normal_host(host: &str) -> Cow<'_, str> {
    let host = host.strip_suffix('.').unwrap_or(host);
    match host.bytes().any(|b| b.is_ascii_uppercase()) {
        true => host.to_ascii_lowercase().into(),
        false => host.into(),
    }
}

fn request_id(client: &Client) -> [u8; 32] {
    let mut id = [0; 32];
    for half in id.chunks_exact_mut(16) {
        let mut number = client.worker.random();
        for digit in half {
            *digit = b"0123456789abcdef"[(number & 15) as usize];
            number >>= 4;
        }
    }
    id
}

struct Headers<'a> {
    request: &'a RequestHead,
    buf: &'a [u8],
}

impl HeaderLookup for Headers<'_> {
    fn value(&self, name: &str) -> Option<&[u8]> {
        let named = |line: &&Line| line.name.of(self.buf).eq_ignore_ascii_case(name.as_bytes());
        let line = self.request.lines.iter().find(named)?;
        Some(line.value.of(self.buf))
    }
}
