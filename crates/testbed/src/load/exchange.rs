//! The load's thread: when requests leave, and over which connections.

use std::cell::RefCell;
use std::error::Error;
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::{JoinSet, LocalSet};

use super::{Outcome, REQUEST_WITHIN, Target, lock};

type Connection = SendRequest<Full<Bytes>>;

/// Idle connections, the most recently used last.
type Idle = Rc<RefCell<Vec<Connection>>>;

/// Sends until told to stop, then waits for the answers still out.
pub(super) fn run(runtime: &Runtime, target: Target, stop: &AtomicBool, outcome: &Mutex<Outcome>) {
    let started = Instant::now();
    let (target, idle) = (Rc::new(target), Idle::default());
    LocalSet::new().block_on(runtime, async {
        let mut out = JoinSet::new();
        for number in 0_u64.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let due = started + due_after(number, target.rate);
            let wait = tokio::time::sleep_until(due.into());
            tokio::pin!(wait);
            loop {
                tokio::select! {
                    () = &mut wait => break,
                    Some(done) = out.join_next() => record(outcome, started, done),
                }
            }
            let (target, idle) = (Rc::clone(&target), Rc::clone(&idle));
            out.spawn_local(async move {
                let answer =
                    tokio::time::timeout(REQUEST_WITHIN, exchange(&target, number, &idle)).await;
                let late = || Err(format!("no answer within {} s", REQUEST_WITHIN.as_secs()));
                (due, answer.unwrap_or_else(|_| late()))
            });
        }
        while let Some(done) = out.join_next().await {
            record(outcome, started, done);
        }
    });
}

type Done = Result<(Instant, Result<String, String>), tokio::task::JoinError>;

fn record(outcome: &Mutex<Outcome>, started: Instant, done: Done) {
    let (due, result) = done.expect("exchanges are never cancelled and do not panic");
    lock(outcome).record(started, due, result);
}

/// When request `number` is due: computed from the start, so that rounding does not add up.
fn due_after(number: u64, rate: u32) -> Duration {
    let nanos = u128::from(number) * 1_000_000_000 / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// The cluster that served, or why the request failed.
async fn exchange(target: &Target, number: u64, idle: &Idle) -> Result<String, String> {
    let kept = take(idle);
    let reused = kept.is_some();
    let mut connection = match kept {
        Some(connection) => connection,
        None => connect(target).await?,
    };
    let on = if reused {
        "on a kept connection"
    } else {
        "on a new connection"
    };
    let explain = |step: &str, error: &dyn Error| format!("{step} {on}: {}", with_cause(error));
    connection
        .ready()
        .await
        .map_err(|e| explain("connection", &e))?;
    let request = request(target, number).map_err(|e| e.to_string())?;
    let answer = connection
        .send_request(request)
        .await
        .map_err(|e| explain("request", &e))?;
    let status = answer.status();
    let body = answer
        .into_body()
        .collect()
        .await
        .map_err(|e| explain("body", &e))?
        .to_bytes();
    if !connection.is_closed() {
        idle.borrow_mut().push(connection);
    }
    if !status.is_success() {
        return Err(format!(
            "status {}: {}",
            status.as_u16(),
            String::from_utf8_lossy(&body).trim_end()
        ));
    }
    let json: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    Ok(json["cluster"].as_str().unwrap_or("?").to_owned())
}

/// One that the other side has not closed as far as we know.
fn take(idle: &Idle) -> Option<Connection> {
    let mut idle = idle.borrow_mut();
    while let Some(connection) = idle.pop() {
        if !connection.is_closed() {
            return Some(connection);
        }
    }
    None
}

async fn connect(target: &Target) -> Result<Connection, String> {
    let stream = TcpStream::connect(target.address)
        .await
        .map_err(|e| format!("connect: {e}"))?;
    stream
        .set_nodelay(true)
        .map_err(|e| format!("connect: {e}"))?;
    let (connection, driver) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| format!("connect: {}", with_cause(&e)))?;
    tokio::task::spawn_local(async move {
        // Its error reaches whoever waits for an answer on it.
        let _ = driver.await;
    });
    Ok(connection)
}

/// Request `number` of the load.
pub(super) fn request(
    target: &Target,
    number: u64,
) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let mut request = Request::builder()
        .method(target.method.as_str())
        .uri(target.path.replace("{n}", &number.to_string()))
        .header(header::HOST, &target.host);
    for (name, value) in &target.headers {
        request = request.header(name, value);
    }
    request.body(Full::default())
}

/// hyper keeps what the operating system said in the source.
fn with_cause(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
