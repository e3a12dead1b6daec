//! Endpoints that speak HTTP/2 by prior knowledge.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used)] // Each test file uses a part of it.

use crate::rig::first;
use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use tidegate_model::{ClusterName, Endpoint, Protocol, Snapshot};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// What an endpoint does with each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Serve,
    /// REFUSED_STREAM.
    Refuse,
    /// Waits for another manner.
    Wait,
    /// Ends the connection.
    Cut,
    /// This status, without a body.
    Status(u16),
}

pub struct Server {
    pub address: SocketAddr,
    manner: watch::Sender<Manner>,
    connections: Arc<AtomicU32>,
    requests: Arc<AtomicU32>,
    heads: Arc<Mutex<Vec<Request<()>>>>,
    accepting: AbortHandle,
}

impl Server {
    pub async fn start(name: &'static str, manner: Manner, builder: Builder) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (manner, now) = watch::channel(manner);
        let connections = Arc::new(AtomicU32::new(0));
        let requests = Arc::new(AtomicU32::new(0));
        let heads = Arc::default();
        let at = Endpointed {
            name,
            now,
            requests: Arc::clone(&requests),
            heads: Arc::clone(&heads),
        };
        let counter = Arc::clone(&connections);
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                socket.set_nodelay(true).unwrap();
                let (at, builder, counter) = (at.clone(), builder.clone(), Arc::clone(&counter));
                tokio::spawn(async move { at.connection(socket, builder, &counter).await });
            }
        });
        Self {
            address,
            manner,
            connections,
            requests,
            heads,
            accepting: accepting.abort_handle(),
        }
    }

    pub fn set(&self, manner: Manner) {
        self.manner.send_replace(manner);
    }

    /// Connections on which HTTP/2 was spoken.
    pub fn connections(&self) -> u32 {
        self.connections.load(SeqCst)
    }

    /// Requests but for those to `/healthz`.
    pub fn requests(&self) -> u32 {
        self.requests.load(SeqCst)
    }

    pub fn heads(&self) -> Vec<Request<()>> {
        self.heads.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Everything of the shop goes to these, each in the cluster of its name.
pub fn shop(mut content: Snapshot, endpoints: &[(&str, SocketAddr)]) -> Snapshot {
    let backend = first(&mut content.backends);
    backend.protocol = Protocol::Http2;
    for (name, address) in endpoints {
        let name = ClusterName::new(*name).unwrap();
        backend
            .clusters
            .insert(name, vec![Endpoint { address: *address }]);
    }
    content
}

#[derive(Clone)]
struct Endpointed {
    name: &'static str,
    now: watch::Receiver<Manner>,
    requests: Arc<AtomicU32>,
    heads: Arc<Mutex<Vec<Request<()>>>>,
}

impl Endpointed {
    async fn connection(self, socket: TcpStream, builder: Builder, counter: &AtomicU32) {
        let Ok(mut connection) = builder.handshake::<_, Bytes>(socket).await else {
            return;
        };
        counter.fetch_add(1, SeqCst);
        while let Some(Ok((request, respond))) = connection.accept().await {
            let probe = request.uri().path() == "/healthz";
            let manner = *self.now.borrow();
            if !probe {
                self.requests.fetch_add(1, SeqCst);
                if manner == Manner::Cut {
                    return;
                }
            }
            let at = self.clone();
            tokio::spawn(async move { at.answer(request, respond).await });
        }
    }

    async fn answer(mut self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        self.heads
            .lock()
            .unwrap()
            .push(Request::from_parts(head, ()));
        let manner = self.now.wait_for(|manner| *manner != Manner::Wait).await;
        let manner = *manner.unwrap();
        let status = match manner {
            Manner::Refuse => return respond.send_reset(Reason::REFUSED_STREAM),
            Manner::Status(status) => status,
            Manner::Serve | Manner::Wait | Manner::Cut => 200,
        };
        let response = Response::builder().status(status);
        // Whoever asks may have gone.
        let _ = match (status, path.as_str()) {
            (200, "/echo") => echo(body, respond).await,
            (200, "/trailers-only") => {
                let response = response.header("grpc-status", "12").body(()).unwrap();
                respond.send_response(response, true).map(drop)
            }
            (200, path) => {
                let size = path.strip_prefix("/bytes/").and_then(|n| n.parse().ok());
                let text = size.map_or_else(|| self.name.into(), |size| vec![b'x'; size].into());
                let response = response
                    .header("content-length", Bytes::len(&text))
                    .body(())
                    .unwrap();
                send(respond, response, text).await
            }
            _ => respond
                .send_response(response.body(()).unwrap(), true)
                .map(drop),
        };
    }
}

async fn send(
    mut respond: SendResponse<Bytes>,
    response: Response<()>,
    text: Bytes,
) -> Result<(), h2::Error> {
    let mut stream = respond.send_response(response, false)?;
    crate::h2_client::send_all(&mut stream, text, true).await;
    Ok(())
}

/// Sends back each piece when it comes, and the trailers.
async fn echo(mut body: RecvStream, mut respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
    let response = Response::builder()
        .header("content-type", "application/grpc")
        .body(())
        .unwrap();
    let mut stream = respond.send_response(response, false)?;
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        crate::h2_client::send_all(&mut stream, piece, false).await;
    }
    let mut trailers = body.trailers().await?.unwrap_or_else(HeaderMap::new);
    trailers.insert("grpc-status", "0".parse().unwrap());
    stream.send_trailers(trailers)
}
