//! A client of HTTP/2, with prior knowledge (RFC 9113 3.3).
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used)] // Each test file uses a part of it.

use crate::rig::{PATIENCE, Rig};
use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use std::future::Future;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

pub struct Client {
    pub send: SendRequest<Bytes>,
    /// How the connection has ended.
    pub ended: JoinHandle<Result<(), h2::Error>>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Whole {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: Option<HeaderMap>,
}

impl Whole {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    pub async fn connect(rig: &Rig) -> Self {
        Self::connect_with(rig, &Builder::new()).await
    }

    pub async fn connect_with(rig: &Rig, builder: &Builder) -> Self {
        let socket = TcpStream::connect(rig.http).await.unwrap();
        socket.set_nodelay(true).unwrap();
        Self::over(socket, builder).await
    }

    pub async fn over<T>(socket: T, builder: &Builder) -> Self
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (send, connection) = builder.handshake(socket).await.unwrap();
        let ended = tokio::spawn(connection);
        Self { send, ended }
    }

    /// Sends a head, and says how to go on.
    pub async fn begin(
        &mut self,
        request: Request<()>,
        end: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        in_time(async { self.send.clone().ready().await })
            .await
            .unwrap()
            .send_request(request, end)
            .unwrap()
    }

    pub async fn get(&mut self, path: &str) -> Whole {
        let (answer, _) = self.begin(get(path), true).await;
        whole(answer).await.unwrap()
    }
}

pub fn get(path: &str) -> Request<()> {
    request("GET", path)
}

pub fn request(method: &str, path: &str) -> Request<()> {
    Request::builder()
        .method(method)
        .uri(format!("http://shop.example.com{path}"))
        .body(())
        .unwrap()
}

pub async fn whole(answer: ResponseFuture) -> Result<Whole, h2::Error> {
    let answer = in_time(answer).await?;
    rest(answer).await
}

pub async fn rest(answer: Response<RecvStream>) -> Result<Whole, h2::Error> {
    let (head, mut stream) = answer.into_parts();
    let mut body = Vec::new();
    while let Some(piece) = in_time(stream.data()).await {
        let piece = piece?;
        body.extend_from_slice(&piece);
        stream.flow_control().release_capacity(piece.len())?;
    }
    let trailers = in_time(stream.trailers()).await?;
    Ok(Whole {
        status: head.status.as_u16(),
        headers: head.headers,
        body,
        trailers,
    })
}

/// Sends a body as the window allows.
pub async fn send_all(stream: &mut SendStream<Bytes>, mut body: Bytes, end: bool) {
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        while stream.capacity() == 0 {
            let more = std::future::poll_fn(|context| stream.poll_capacity(context));
            in_time(more).await.unwrap().unwrap();
        }
        let room = stream.capacity();
        let piece = body.split_to(room.min(body.len()));
        stream.send_data(piece, end && body.is_empty()).unwrap();
    }
}

pub async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work)
        .await
        .expect("it does not come")
}
