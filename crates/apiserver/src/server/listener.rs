//! The accept loop: TLS, then HTTP/1.1 or HTTP/2 by ALPN.

use super::auth::Identity;
use super::handler::Front;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Time for the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Time for a request's head.
const HEAD: Duration = Duration::from_secs(30);
/// Time running requests get at shutdown.
const DRAIN: Duration = Duration::from_secs(5);
/// Open connections; with HTTP/2 a client needs one. Bounds file descriptors and TLS buffers.
const CONNECTIONS: usize = 4096;
/// Requests at once on one HTTP/2 connection: a controller holds a watch for each kind on one connection.
const STREAMS: u32 = 1000;
/// Size of a request's head.
const HEAD_BYTES: u32 = 64 << 10;

/// Serves until shutdown, then lets running requests finish for a few seconds.
pub(super) async fn serve(
    listener: TcpListener,
    tls: rustls::ServerConfig,
    front: Arc<Front>,
    shutdown: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let tasks = tokio_util::task::TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &permits) => accepted,
        };
        let Some((stream, permit)) = accepted else {
            continue;
        };
        let (acceptor, front) = (acceptor.clone(), Arc::clone(&front));
        let stop = shutdown.clone();
        tasks.spawn(async move {
            let _permit = permit;
            let tls = tokio::select! {
                // A connection that has not finished its handshake has nothing to drain.
                () = stop.cancelled() => return,
                tls = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)) => tls,
            };
            match tls {
                Ok(Ok(tls)) => Box::pin(connection(tls, front, stop)).await,
                Ok(Err(error)) => tracing::debug!(%error, "tls handshake failed"),
                Err(_) => tracing::debug!("tls handshake timed out"),
            }
        });
    }
    drop(listener);
    tasks.close();
    if tokio::time::timeout(DRAIN, tasks.wait()).await.is_err() {
        tracing::warn!("some requests did not finish before shutdown");
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // Watch events are small and must not wait for more.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "cannot set TCP_NODELAY");
            }
            Some((stream, permit))
        }
        Err(error) => {
            // Out of file descriptors, most likely: give connections time to end.
            tracing::warn!(%error, "accept failed");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

async fn connection(
    tls: tokio_rustls::server::TlsStream<TcpStream>,
    front: Arc<Front>,
    stop: CancellationToken,
) {
    let identity = Arc::new(Identity::from_certificates(
        tls.get_ref().1.peer_certificates(),
    ));
    let service = service_fn(move |request| {
        let (front, identity) = (Arc::clone(&front), Arc::clone(&identity));
        async move { Ok::<_, std::convert::Infallible>(front.answer(&identity, request).await) }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD_BYTES)
        .keep_alive_interval(Duration::from_secs(30));
    let served = builder.serve_connection(TokioIo::new(tls), service);
    let mut served = std::pin::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended with an error");
    }
}
