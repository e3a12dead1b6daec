//! A worker's life: accept, tick, drain.

use super::{Open, Worker};
use crate::conn::{self, Client, ClientStream, proxy_protocol};
use crate::state::Shared;
use crate::tls::{Acceptor, Arrived};
use std::io;
use std::net::{IpAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tidegate_runtime::Clock;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::spawn_local;
use tokio_util::sync::CancellationToken;

/// Where clients come in.
pub(crate) struct Listener {
    pub(crate) socket: StdListener,
    /// For those who speak TLS.
    pub(crate) tls: Option<Acceptor>,
}

/// What a worker is to do.
pub(crate) struct Plan {
    pub(crate) listeners: Vec<Listener>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) clock: Clock,
    pub(crate) connections_max: usize,
    pub(crate) shutdown: CancellationToken,
}

/// How often deadlines are looked at while requests are under way: fine enough for silence of 50 ms.
const TICK_BUSY: Duration = Duration::from_millis(5);
/// And while there are only idle connections.
const TICK_IDLE: Duration = Duration::from_millis(250);
/// How often kept connections are looked over.
const SWEEP: Duration = Duration::from_secs(1);
/// Without descriptors or memory, accepting again at once would only burn the core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Starts a worker's thread. What is returned resolves when it has served its last connection.
///
/// # Errors
/// When there is no thread or runtime to be had.
pub(crate) fn spawn(index: usize, plan: Plan) -> io::Result<oneshot::Receiver<()>> {
    let (ended, wait) = oneshot::channel();
    std::thread::Builder::new()
        .name(format!("worker-{index}"))
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build_local(tokio::runtime::LocalOptions::default());
            match runtime {
                Ok(runtime) => runtime.block_on(run(plan)),
                Err(error) => tracing::error!(%error, "a worker has no event loop"),
            }
            // Nobody may be waiting any more.
            let _ = ended.send(());
        })?;
    Ok(wait)
}

async fn run(plan: Plan) {
    let worker = Rc::new(Worker::new(plan.shared, plan.clock));
    let ticker = spawn_local(tick(Rc::clone(&worker)));
    let accepting: Vec<_> = plan
        .listeners
        .into_iter()
        .map(|listener| {
            let (worker, shutdown) = (Rc::clone(&worker), plan.shutdown.clone());
            spawn_local(accept(worker, listener, plan.connections_max, shutdown))
        })
        .collect();
    for listener in accepting {
        if let Err(error) = listener.await {
            tracing::error!(%error, "a listener has ended early");
        }
    }
    drain(&worker).await;
    ticker.abort();
}

/// Lets connections end: those that wait for a request soon, the others after their answer.
async fn drain(worker: &Worker) {
    let now = worker.now();
    worker.draining.set(Some(now));
    worker.timers.wake_all();
    let limit = worker.table().settings().timeouts.drain;
    let all_ended = async {
        while worker.connections.get() > 0 {
            worker.freed.notified().await;
        }
    };
    if tokio::time::timeout(limit, all_ended).await.is_err() {
        tracing::warn!(
            connections = worker.connections.get(),
            after_ms = limit.as_millis(),
            "connections cut at the end of the drain time"
        );
    }
}

async fn accept(
    worker: Rc<Worker>,
    listener: Listener,
    connections_max: usize,
    shutdown: CancellationToken,
) {
    let Listener { socket, tls } = listener;
    let listener = match TcpListener::from_std(socket) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "a listener cannot be watched");
            return;
        }
    };
    loop {
        while worker.connections.get() >= connections_max {
            tokio::select! {
                () = worker.freed.notified() => {}
                () = shutdown.cancelled() => return,
            }
        }
        let accepted = tokio::select! {
            biased;
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                serve(&worker, stream, peer.ip(), tls.as_ref());
            }
            Err(error) if is_exhaustion(&error) => {
                tracing::warn!(%error, "cannot accept, waiting a little");
                tokio::select! {
                    () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                    () = shutdown.cancelled() => return,
                }
            }
            // The client has gone before we came to it.
            Err(_) => {}
        }
    }
}

fn serve(worker: &Rc<Worker>, stream: TcpStream, peer: IpAddr, tls: Option<&Acceptor>) {
    let open = worker.connection_begins();
    let worker = Rc::clone(worker);
    if must_name_client(&worker, peer) {
        let tls = tls.cloned();
        spawn_local(async move {
            if let Some((stream, client)) = behind_proxy(&worker, stream, peer).await {
                match tls {
                    None => {
                        let stream = ClientStream::Plain(stream);
                        conn::serve(Client::new(open, worker, stream, client)).await;
                    }
                    Some(tls) => secure(worker, open, stream, client, &tls).await,
                }
            }
        });
        return;
    }
    // A panic ends its task, and with it this connection alone.
    match tls.cloned() {
        None => {
            let client = Client::new(open, worker, ClientStream::Plain(stream), peer);
            spawn_local(conn::serve(client));
        }
        Some(tls) => {
            spawn_local(async move { secure(worker, open, stream, peer, &tls).await });
        }
    }
}

/// Whether connections of this peer begin with a PROXY header.
fn must_name_client(worker: &Worker, peer: IpAddr) -> bool {
    let table = worker.table();
    let peers = &table.settings().proxy_protocol_peers;
    let peer = peer.to_canonical();
    peers.iter().any(|range| range.contains(peer))
}

/// Reads the PROXY header, for which a peer has as long as for the head of a request. The client is the one that the
/// header names, or the peer itself.
async fn behind_proxy(
    worker: &Worker,
    mut stream: TcpStream,
    peer: IpAddr,
) -> Option<(TcpStream, IpAddr)> {
    let limit = worker.table().settings().timeouts.request_head;
    let reason = match tokio::time::timeout(limit, proxy_protocol::read(&mut stream)).await {
        Ok(Ok(client)) => return Some((stream, client.unwrap_or(peer))),
        Ok(Err(refused)) => refused.to_string(),
        Err(_) => "it takes too long".to_owned(),
    };
    worker.shared.traffic.proxy_header_refused();
    tracing::debug!(reason, %peer, "PROXY header refused");
    None
}

/// Serves a client of TLS. It has as long for the handshake as for the head of a request.
async fn secure(worker: Rc<Worker>, open: Open, stream: TcpStream, peer: IpAddr, tls: &Acceptor) {
    let limit = worker.table().settings().timeouts.request_head;
    let reason = match tokio::time::timeout(limit, tls.accept(stream)).await {
        Ok(Ok(Arrived::Shaken { stream, presented })) => {
            worker.shared.traffic.tls_handshake();
            let client = Client::new(open, worker, ClientStream::Tls(stream), peer);
            return conn::serve(client.presenting(presented)).await;
        }
        Ok(Ok(Arrived::Passing { stream, to, raw })) => {
            worker.shared.traffic.tls_passed();
            let client = Client::new(open, worker, ClientStream::Plain(stream), peer);
            // Apart, so that others do not carry its size.
            return Box::pin(conn::pass(client, &to, &raw)).await;
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it takes too long".to_owned(),
    };
    worker.shared.traffic.tls_failure();
    tracing::debug!(reason, "TLS handshake failed");
}

/// Whether an error means that the process or the system has run out of something.
pub(crate) fn is_exhaustion(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Looks at deadlines and kept connections from time to time.
async fn tick(worker: Rc<Worker>) {
    let mut swept = worker.now();
    loop {
        if worker.requests.get() > 0 {
            tokio::time::sleep(TICK_BUSY).await;
        } else {
            // The result does not matter: either way it is time to look.
            let _ = tokio::time::timeout(TICK_IDLE, worker.busy.notified()).await;
        }
        let now = worker.now();
        worker.timers.fire(now);
        if now.since(swept) >= SWEEP {
            swept = now;
            worker.pools.sweep(now);
            worker.links.sweep(now);
            // Lets go of a table that is no longer in use, though no request comes to see it.
            drop(worker.table());
        }
    }
}
