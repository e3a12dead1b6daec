//! Sockets and signals of the echo server.

use std::cell::Cell;
use std::convert::Infallible;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use super::READY_LINE;
use super::answer::{Echo, EchoBody, Identity};

/// After SIGTERM the server still takes connections for this long, telling each to close: clients learn of a
/// leaving pod a moment later than the pod itself.
const LAME_DUCK: Duration = Duration::from_secs(1);

/// What the echo server is started with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EchoOptions {
    pub(crate) identity: Identity,
    pub(crate) listen: Vec<SocketAddr>,
    /// Whether each request is written to standard output.
    pub(crate) access_log: AccessLog,
}

/// Whether each request is written to standard output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum AccessLog {
    #[default]
    Off,
    On,
}

/// Everything connections share.
struct Server {
    echo: Echo,
    access_log: AccessLog,
    leaving: Cell<Leaving>,
    /// Ends idle connections and lets busy ones finish their request.
    close: CancellationToken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaving {
    No,
    Yes,
}

/// Serves until SIGTERM or SIGINT.
pub(crate) fn run(options: EchoOptions) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build();
    let outcome = runtime.and_then(|runtime| LocalSet::new().block_on(&runtime, serve(options)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(options: EchoOptions) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut listeners = Vec::new();
    for address in &options.listen {
        let listener = TcpListener::bind(address).await.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
        })?;
        listeners.push(listener);
    }
    let server = Rc::new(Server {
        echo: Echo::new(options.identity),
        access_log: options.access_log,
        leaving: Cell::new(Leaving::No),
        close: CancellationToken::new(),
    });
    let accepting: Vec<_> = listeners
        .into_iter()
        .map(|listener| tokio::task::spawn_local(accept(listener, Rc::clone(&server))))
        .collect();
    let addresses: Vec<String> = options.listen.iter().map(ToString::to_string).collect();
    writeln!(io::stdout(), "{READY_LINE} {}", addresses.join(" "))?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    server.leaving.set(Leaving::Yes);
    tokio::time::sleep(LAME_DUCK).await;
    accepting.iter().for_each(tokio::task::JoinHandle::abort);
    for task in accepting {
        // An aborted task reports its abortion; its listener is closed then.
        let _ = task.await;
    }
    server.close.cancel();
    // Each connection holds the server. The kubelet's grace period bounds the wait.
    while Rc::strong_count(&server) > 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

async fn accept(listener: TcpListener, server: Rc<Server>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::task::spawn_local(connection(stream, Rc::clone(&server)));
            }
            // Out of file descriptors, or the client is gone already: neither gets better by spinning.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn connection(stream: TcpStream, server: Rc<Server>) {
    // Answers are single writes; waiting for more would only delay them.
    let _ = stream.set_nodelay(true);
    let port = stream.local_addr().map_or(0, |address| address.port());
    let close = server.close.clone();
    let service = service_fn(|request| respond(Rc::clone(&server), port, request));
    let mut connection =
        pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    // A broken connection is the client's affair.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = close.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn respond(
    server: Rc<Server>,
    port: u16,
    request: Request<Incoming>,
) -> Result<Response<EchoBody>, Infallible> {
    let (parts, mut body) = request.into_parts();
    let mut body_len = 0;
    while let Some(Ok(frame)) = body.frame().await {
        body_len += frame.data_ref().map_or(0, |data| data.len() as u64);
    }
    let answer = server.echo.answer(&parts, port, body_len);
    if let Some(delay) = answer.after {
        tokio::time::sleep(delay).await;
    }
    let mut response = answer.response;
    if server.leaving.get() == Leaving::Yes {
        response.headers_mut().insert(
            header::CONNECTION,
            header::HeaderValue::from_static("close"),
        );
    }
    if server.access_log == AccessLog::On {
        // A full pipe must not stop the service, and a closed one is no reason to die.
        let _ = writeln!(
            io::stdout(),
            "{} {} {}",
            parts.method,
            parts.uri,
            response.status().as_u16()
        );
    }
    Ok(response)
}
