//! Asking another service what becomes of a request: an attempt at a backend, or the way through the gateway that
//! the client itself would take.

use super::admit::{Admitted, Destination, admit};
use super::{Client, normal_host};
use crate::choose::Claim;
use crate::filter::{Asked, ExternalQuestion, Opinion};
use crate::forward;
use crate::h1::Method;
use crate::table::Table;
use crate::worker::Scratch;

/// What is said about the request of `client`.
pub(super) async fn inquire(client: &Client, question: &ExternalQuestion) -> Opinion {
    let table = client.worker.table();
    let mut scratch = client.worker.scratch.take();
    let opinion = ask(client, &table, &mut scratch, question).await;
    client.worker.scratch.give(scratch);
    opinion.unwrap_or(Opinion::None)
}

async fn ask(
    client: &Client,
    table: &Table,
    scratch: &mut Scratch,
    question: &ExternalQuestion,
) -> Option<Opinion> {
    let auth = &question.auth;
    let gateway = table.settings();
    let own_settings;
    let (to, claim, settings) = match &auth.to {
        Some(to) => {
            scratch.request_out.clear();
            scratch.request_out.extend_from_slice(&question.head);
            (to, Claim::Free, &**gateway)
        }
        None => {
            let Destination { entry, to, claim } = own(client, table, scratch, question).await?;
            let filters = entry.filters.as_deref();
            own_settings = filters.and_then(|filters| filters.settings(gateway));
            (to, claim, own_settings.as_ref().unwrap_or(gateway))
        }
    };
    let method = match auth.method() {
        "HEAD" => Method::Head,
        "GET" => Method::Get,
        _ => Method::Other,
    };
    let asking = forward::Question {
        to,
        claim,
        settings,
        method,
        repeatable: method.is_idempotent(),
    };
    let at = forward::ask(&client.worker, scratch, asking).await?;
    let received = scratch.attempts[at].received.as_ref()?.data();
    let lines = scratch.response.lines.iter();
    let lines = lines.map(|line| (line.name.of(received), line.value.of(received)));
    let opinion = auth.opinion(scratch.response.status, lines);
    forward::put_away(&client.worker, scratch, at, true);
    Some(opinion)
}

/// Where the gateway's own routes lead the question; its head then stands in `request_out`.
async fn own<'t>(
    client: &Client,
    table: &'t Table,
    scratch: &mut Scratch,
    question: &ExternalQuestion,
) -> Option<Destination<'t>> {
    if let Some(host) = question.auth.named_host() {
        // Elsewhere that name may mean something else than whoever serves all hosts here, and might let everybody in.
        let name = host.split(':').next().unwrap_or_default();
        if !table.serves_by_name(&normal_host(name)) {
            return None;
        }
    }
    scratch.input.clear();
    scratch.input.append(&question.head);
    if !matches!(scratch.request.parse(scratch.input.data()), Ok(true)) {
        return None;
    }
    let mut asked = Asked::default();
    asked.is_question = true;
    loop {
        match admit(table, scratch, client, &mut asked) {
            Ok(Admitted::To(destination)) => return Some(destination),
            Ok(Admitted::Check(check)) => asked.password = Some(check.run().await),
            Ok(Admitted::Inquire(_) | Admitted::Nowhere | Admitted::Answered(_)) | Err(_) => {
                return None;
            }
        }
    }
}
