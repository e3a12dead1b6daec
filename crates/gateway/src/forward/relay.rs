//! The answer's way to the client, and what becomes of both connections behind it.

use super::download::{Download, DownloadFailure};
use super::pace::Pace;
use super::upload::{Upload, UploadFailure};
use super::{Attempt, Request, Tunnel};
use crate::choose::Pick;
use crate::conn::{After, Client, OwnAnswer};
use crate::h1::{ClientSide, Edits, Persistence, ResponseFraming, write_response, write_switch};
use crate::health::Outcome;
use crate::upstream::EndpointStream;
use crate::worker::{Buffer, Scratch, Worker};
use std::future::poll_fn;
use std::task::Poll;
use tidegate_runtime::Tick;

/// How the relay ended.
enum Ended {
    Complete,
    /// The endpoint closed or broke the framing before the end.
    EndpointFailed,
    /// The time for the whole request is over.
    TooLong,
    /// The client has left or takes nothing.
    ClientFailed,
}

/// Passes on the answer whose head attempt `winner` has; the others are given up.
pub(super) async fn relay(
    client: &mut Client,
    scratch: &mut Scratch,
    request: Request<'_>,
    winner: usize,
    mut upload: Upload,
    end: Tick,
) -> After {
    let winner = scratch.attempts.remove(winner);
    give_up_others(&client.worker, scratch);
    if !winner.has_sent() {
        // The endpoint answers before it has taken the request; it may want the rest, and until it has that its
        // connection carries no other.
        upload.resume(&scratch.request_out[winner.written..]);
    }
    let Attempt {
        pick,
        stream,
        received,
        ..
    } = winner;
    let Some(mut buffer) = received else {
        debug_assert!(false, "an attempt with a head has received it");
        return After::Reset;
    };
    let status = scratch.response.status;
    if let Some(session) = request.claim.session() {
        let now = client.worker.now();
        session.write_cookie(request.to, pick.endpoint(), now, &mut scratch.answer_lines);
    }
    if scratch.response.is_switch() {
        return switch(client, scratch, pick, stream, buffer).await;
    }
    let endpoint_goes_on = scratch.response.keeps_alive() && upload.is_done();
    let side = ClientSide {
        version: scratch.request.version,
        // With a part of the body still to come nobody knows where the next request begins.
        persistence: match upload.is_done() && client.worker.draining().is_none() {
            true => request.persistence,
            false => Persistence::Close,
        },
    };
    scratch.response_out.clear();
    if let Some(rewrite) = request.filters.and_then(|filters| filters.answer.as_ref()) {
        let lines = scratch.response.lines.iter();
        let texts = lines.map(|line| (line.name.of(buffer.data()), line.value.of(buffer.data())));
        rewrite.write(texts, &mut scratch.answer_lines);
    }
    let (encoder, persistence) = write_response(
        &scratch.response,
        buffer.data(),
        side,
        request
            .filters
            .map_or(Edits::NONE, |filters| &filters.response),
        &scratch.answer_lines,
        &mut scratch.response_out,
    );
    buffer.consume(scratch.response.length);
    let pace = request.filters.and_then(|filters| filters.pace);
    let pace = pace.map(|rule| Pace::begin(rule, client.worker.now()));
    let allowed = pace.map_or(u64::MAX, |pace| pace.allowed(client.worker.now()));
    let (framing, out) = (scratch.response.framing, &mut scratch.response_out);
    let mut download = match Download::begin(stream, buffer, framing, encoder, allowed, out) {
        Ok(download) => download,
        Err(buffer) => {
            client.worker.scratch.give_buffer(buffer);
            pick.finish(Outcome::Reset, client.worker.now());
            let answer = OwnAnswer::BadGateway;
            return client.answer(scratch, answer, Persistence::Close).await;
        }
    };
    let mut pick = pick;
    let ended = pass(
        client,
        scratch,
        request,
        &mut download,
        &mut upload,
        &mut pick,
        Time { end, pace },
    )
    .await;
    let now = client.worker.now();
    let traffic = &client.worker.shared.traffic;
    let after = match ended {
        Ended::Complete => {
            traffic.answer(status);
            client.stream.set_trailers(download.trailers());
            let address = pick.address();
            pick.finish(Outcome::Answered { status }, now);
            if endpoint_goes_on && download.is_clean() {
                let worker = &client.worker;
                let jitter = (worker.random() >> 32) as u32;
                worker.pools.give(address, download.stream, now, jitter);
            }
            match (persistence, upload.is_done()) {
                (Persistence::KeepAlive, _) => After::KeepAlive,
                (Persistence::Close, true) => After::Close,
                (Persistence::Close, false) => After::Linger,
            }
        }
        Ended::EndpointFailed => {
            traffic.answer_cut();
            tracing::debug!(endpoint = %pick.address(), status, "answer cut by the endpoint");
            pick.finish(Outcome::Reset, now);
            After::Reset
        }
        Ended::TooLong => {
            traffic.answer_cut();
            pick.finish(Outcome::Cancelled, now);
            After::Reset
        }
        Ended::ClientFailed => After::Reset,
    };
    client.worker.scratch.give_buffer(download.buffer);
    after
}

/// Passes the agreement to WebSocket on. What the client has sent behind its request is for the endpoint from here on.
async fn switch(
    client: &mut Client,
    scratch: &mut Scratch,
    pick: Pick,
    endpoint: EndpointStream,
    mut down: Buffer,
) -> After {
    let status = scratch.response.status;
    scratch.response_out.clear();
    let (lines, out) = (&scratch.answer_lines, &mut scratch.response_out);
    write_switch(&scratch.response, down.data(), lines, out);
    down.consume(scratch.response.length);
    client.worker.shared.traffic.answer(status);
    pick.finish(Outcome::Answered { status }, client.worker.now());
    if !client.write_all(&scratch.response_out).await {
        return After::Reset;
    }
    let up = std::mem::replace(&mut scratch.input, client.worker.scratch.take_buffer());
    client.tunnel = Some(Tunnel::new(endpoint, up, down));
    After::Tunnel
}

/// Ends attempt `at`, whose answer is not passed on, and all others. Its connection is kept where nothing of either message
/// is left on it.
pub(crate) fn put_away(worker: &Worker, scratch: &mut Scratch, at: usize, body_sent: bool) {
    let attempt = scratch.attempts.remove(at);
    give_up_others(worker, scratch);
    let (now, address) = (worker.now(), attempt.address());
    let sent = attempt.has_sent() && body_sent;
    let head = &scratch.response;
    let status = head.status;
    attempt.pick.finish(Outcome::Answered { status }, now);
    let Some(received) = attempt.received else {
        return;
    };
    let body = (received.len() - head.length) as u64;
    let whole = match head.framing {
        ResponseFraming::None => body == 0,
        ResponseFraming::Length(length) => body == length,
        ResponseFraming::Chunked | ResponseFraming::UntilClose => false,
    };
    if whole && head.keeps_alive() && sent {
        let jitter = (worker.random() >> 32) as u32;
        worker.pools.give(address, attempt.stream, now, jitter);
    }
    worker.scratch.give_buffer(received);
}

/// Those that let their time pass are judged by it; the rest is simply no longer needed.
pub(super) fn give_up_others(worker: &Worker, scratch: &mut Scratch) {
    if scratch.attempts.is_empty() {
        return;
    }
    let now = worker.now();
    for loser in scratch.attempts.drain(..) {
        let outcome = match loser.is_late {
            true => Outcome::TimedOut,
            false => Outcome::Cancelled,
        };
        loser.pick.finish(outcome, now);
    }
}

/// When an answer must be complete, and how fast it may go.
#[derive(Clone, Copy)]
struct Time {
    end: Tick,
    pace: Option<Pace>,
}

/// Moves both bodies until the answer is complete.
async fn pass(
    client: &mut Client,
    scratch: &mut Scratch,
    request: Request<'_>,
    download: &mut Download,
    upload: &mut Upload,
    pick: &mut Pick,
    time: Time,
) -> Ended {
    let end = time.end;
    let idle = request.settings.timeouts.body_idle;
    let mut deadline = None;
    let mut uploading = !upload.is_done();
    let mut ahead = !scratch.input.is_empty();
    poll_fn(|context| {
        loop {
            if let Some(pace) = time.pace {
                download.allowed = pace.allowed(client.worker.now());
            }
            let mut progress = 0;
            let out = &mut scratch.response_out;
            match download.poll(context, &mut client.stream, out, &mut progress) {
                Poll::Ready(Ok(())) => return Poll::Ready(Ended::Complete),
                Poll::Ready(Err(DownloadFailure::Endpoint)) => {
                    return Poll::Ready(Ended::EndpointFailed);
                }
                Poll::Ready(Err(DownloadFailure::Client)) => {
                    return Poll::Ready(Ended::ClientFailed);
                }
                Poll::Pending => {}
            }
            if uploading {
                let (stream, input) = (&mut client.stream, &mut scratch.input);
                let endpoint = &mut download.stream;
                match upload.poll(context, stream, input, endpoint, &mut progress) {
                    Poll::Pending => {}
                    // The answer goes on whatever became of the rest of the request.
                    Poll::Ready(Ok(()) | Err(UploadFailure::Endpoint)) => uploading = false,
                    Poll::Ready(Err(UploadFailure::Client | UploadFailure::Refused(_))) => {
                        return Poll::Ready(Ended::ClientFailed);
                    }
                }
            } else if client.has_left(context, &mut ahead) {
                return Poll::Ready(Ended::ClientFailed);
            }
            let now = client.worker.now();
            if progress > 0 {
                pick.byte_seen(now);
                deadline = None;
            }
            if let Some(pace) = time.pace
                && download.is_held(&scratch.response_out)
            {
                // Nobody is waited for but the time.
                deadline = None;
                let resumes = pace.resumes(download.bytes, now);
                if !client.expired(end.min(resumes), context) {
                    return Poll::Pending;
                }
                if now >= end {
                    return Poll::Ready(Ended::TooLong);
                }
                continue;
            }
            let deadline = end.min(*deadline.get_or_insert(now + idle));
            if !client.expired(deadline, context) {
                return Poll::Pending;
            }
            return Poll::Ready(match download.waits_for_client(&scratch.response_out) {
                true => Ended::ClientFailed,
                false if now >= end => Ended::TooLong,
                false => Ended::EndpointFailed,
            });
        }
    })
    .await
}
