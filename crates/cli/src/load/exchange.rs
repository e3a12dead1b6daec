//! One request and its answer, over kept-alive connections.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use http::{Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use super::tally::UNKNOWN_CLUSTER;
use super::{Due, REQUEST_TIMEOUT, Tally, Target, lock};

/// The echo server's answers are a few hundred bytes; more is not one of them.
const BODY_MAX: usize = 1 << 20;

type Connection = SendRequest<Full<Bytes>>;

/// Idle connections, the most recently used last: few connections stay busy, the others age.
#[derive(Clone, Default)]
struct Pool(Rc<RefCell<Vec<Connection>>>);

/// Sends a request for each due time, until the pacer is gone and every answer is in.
pub(super) fn run(
    runtime: &Runtime,
    target: Arc<Target>,
    mut due: mpsc::UnboundedReceiver<Due>,
    tally: Arc<Mutex<Tally>>,
) {
    let tasks = LocalSet::new();
    let pool = Pool::default();
    tasks.spawn_local(async move {
        let mut out = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                next = due.recv() => {
                    let Some(due) = next else { break };
                    let (target, pool, tally) = (Arc::clone(&target), pool.clone(), Arc::clone(&tally));
                    out.spawn_local(async move {
                        let sent = Instant::now();
                        let answer = tokio::time::timeout(REQUEST_TIMEOUT, exchange(&target, due.number, &pool)).await;
                        let result = answer.unwrap_or_else(|_| {
                            Err(format!("no answer within {} s", REQUEST_TIMEOUT.as_secs()))
                        });
                        lock(&tally).record(due.at, sent, Instant::now(), result);
                    });
                }
                Some(_) = out.join_next() => {}
            }
        }
        while out.join_next().await.is_some() {}
    });
    runtime.block_on(tasks);
}

/// The cluster that served, or why the request failed.
async fn exchange(target: &Target, number: u64, pool: &Pool) -> Result<String, String> {
    let mut connection = match pool.take() {
        Some(connection) => connection,
        None => connect(target).await?,
    };
    connection
        .ready()
        .await
        .map_err(|e| explain("connection", &e))?;
    let request = request(target, number)?;
    let answer = connection
        .send_request(request)
        .await
        .map_err(|e| explain("request", &e))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), BODY_MAX)
        .collect()
        .await
        .map_err(|e| format!("body: {e}"))?
        .to_bytes();
    pool.put(connection);
    if !status.is_success() {
        return Err(format!("status {}", status.as_u16()));
    }
    Ok(serving_cluster(&body))
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
        .map_err(|e| explain("connect", &e))?;
    tokio::task::spawn_local(async move {
        // Its error reaches whoever waits for an answer on it.
        let _ = driver.await;
    });
    Ok(connection)
}

/// Request `number`.
pub(super) fn request(target: &Target, number: u64) -> Result<Request<Full<Bytes>>, String> {
    let body = match target.method {
        http::Method::POST | http::Method::PUT | http::Method::PATCH => {
            Bytes::from_static(b"{\"order\":1}")
        }
        _ => Bytes::new(),
    };
    let path = target.path.as_str();
    let path = match path.contains("{n}") {
        true => Cow::Owned(path.replace("{n}", &number.to_string())),
        false => Cow::Borrowed(path),
    };
    let mut request = Request::builder()
        .method(&target.method)
        .uri(path.as_ref())
        .header(header::HOST, &target.host)
        .body(Full::new(body))
        .map_err(|e| format!("request: {e}"))?;
    for (name, value) in &target.headers {
        request.headers_mut().append(name, value.clone());
    }
    Ok(request)
}

/// The `cluster` of the echo server's JSON.
fn serving_cluster(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Echo {
        cluster: String,
    }
    serde_json::from_slice::<Echo>(body)
        .map_or_else(|_| UNKNOWN_CLUSTER.to_owned(), |echo| echo.cluster)
}

/// hyper keeps what the operating system said in the source.
fn explain(step: &str, error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{step}: {error}: {source}"),
        None => format!("{step}: {error}"),
    }
}

impl Pool {
    /// A connection the other side has not closed. One closed in this very moment shows as a failure:
    /// the load never sends twice.
    fn take(&self) -> Option<Connection> {
        let mut idle = self.0.borrow_mut();
        while let Some(connection) = idle.pop() {
            if !connection.is_closed() {
                return Some(connection);
            }
        }
        None
    }

    fn put(&self, connection: Connection) {
        if !connection.is_closed() {
            self.0.borrow_mut().push(connection);
        }
    }
}
