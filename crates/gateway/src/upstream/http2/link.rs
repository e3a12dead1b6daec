//! One connection to an endpoint.

use crate::tls::BackendSecurity;
use crate::upstream::{TlsConnection, poll_connected, start_connect};
use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use http::uri::Scheme;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tidegate_runtime::{Clock, Tick};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Requests at the same time on a connection, if the endpoint allows as many.
const STREAMS_MAX: usize = 100;
/// What an endpoint may send of one answer before the client takes it.
const STREAM_WINDOW: u32 = 64 * 1024;
/// Room for all of them: clients that do not read must not stop the answers of others.
const CONNECTION_WINDOW: u32 = STREAMS_MAX as u32 * STREAM_WINDOW;
/// As large as a head of HTTP/1.1 may be.
const HEADER_LIST_MAX: u32 = 64 * 1024;
/// What is kept of a request body that the endpoint's socket does not take.
const SEND_BUFFER: usize = 32 * 1024;
/// A connection that said nothing for so long, though a request waited, gets no further ones: the kernel takes a
/// quarter of an hour to find out that the other side is gone.
const SILENT: Duration = Duration::from_millis(500);

/// A connection, shared by the attempts that use it.
#[derive(Debug)]
pub(super) struct Link {
    state: RefCell<State>,
    /// Tasks that wait for the connection.
    waiting: RefCell<Vec<Waker>>,
    active: Cell<usize>,
    idle_since: Cell<Tick>,
    /// When the last byte came.
    heard: Cell<Tick>,
    clock: Clock,
    secured: bool,
}

#[derive(Debug)]
enum State {
    Connecting,
    Open(SendRequest<Bytes>),
    /// It takes no further requests; those that have begun may end.
    Retired,
    /// It never was there.
    Failed(io::ErrorKind),
}

impl Link {
    /// Starts to connect; it must be there within `limit`, with the handshake of TLS where there is one.
    ///
    /// # Errors
    /// What the kernel refuses at once, or how to speak TLS to the endpoint is not known.
    pub(super) fn open(
        address: SocketAddr,
        security: Option<Arc<BackendSecurity>>,
        limit: Duration,
        clock: Clock,
    ) -> io::Result<Rc<Self>> {
        let socket = start_connect(address)?;
        let secured = security.is_some();
        let connection = match security {
            Some(security) => Connection::Tls(TlsConnection::begin(socket, address, security)?),
            None => Connection::Plain(socket),
        };
        let now = clock.now();
        let link = Rc::new(Self {
            state: RefCell::new(State::Connecting),
            waiting: RefCell::default(),
            active: Cell::new(0),
            idle_since: Cell::new(now),
            heard: Cell::new(now),
            clock,
            secured,
        });
        tokio::task::spawn_local(Rc::clone(&link).drive(connection, limit));
        Ok(link)
    }

    async fn drive(self: Rc<Self>, connection: Connection, limit: Duration) {
        match connection {
            Connection::Plain(socket) => {
                let opening = async {
                    poll_fn(|context| poll_connected(&socket, context)).await?;
                    Ok(socket)
                };
                self.serve(opening, limit).await;
            }
            Connection::Tls(connection) => self.serve(shake(connection), limit).await,
        }
    }

    /// Speaks HTTP/2 on what comes out of `opening`.
    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
        self: Rc<Self>,
        opening: impl Future<Output = io::Result<S>>,
        limit: Duration,
    ) {
        let handshake = async {
            let heard = Heard {
                socket: opening.await?,
                link: Rc::clone(&self),
            };
            Builder::new()
                .enable_push(false)
                .initial_max_send_streams(STREAMS_MAX)
                .max_header_list_size(HEADER_LIST_MAX)
                .initial_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .max_send_buffer_size(SEND_BUFFER)
                .handshake::<_, Bytes>(heard)
                .await
                .map_err(io::Error::other)
        };
        let opened = tokio::time::timeout(limit, handshake).await;
        let connection = match opened.unwrap_or(Err(io::ErrorKind::TimedOut.into())) {
            Ok((send, connection)) => {
                self.set(State::Open(send));
                connection
            }
            Err(error) => return self.set(State::Failed(error.kind())),
        };
        if let Err(error) = connection.await {
            tracing::debug!(%error, "connection of HTTP/2 to an endpoint ended");
        }
        self.set(State::Retired);
    }

    fn set(&self, state: State) {
        let before = self.state.replace(state);
        // Its end may wake somebody who looks at the state.
        drop(before);
        for waker in self.waiting.take() {
            waker.wake();
        }
    }

    /// Whether it is of use for further requests, now or soon.
    pub(super) fn is_usable(&self) -> bool {
        match &*self.state.borrow() {
            State::Connecting | State::Open(_) => true,
            State::Retired | State::Failed(_) => false,
        }
    }

    /// Whether it is there.
    pub(super) fn is_open(&self) -> bool {
        matches!(*self.state.borrow(), State::Open(_))
    }

    /// Whether one more request fits.
    pub(super) fn has_room(&self) -> bool {
        let most = match &*self.state.borrow() {
            State::Connecting => STREAMS_MAX,
            // Zero would be the wish to be left alone; then another connection fares no better.
            State::Open(send) => send.current_max_send_streams().clamp(1, STREAMS_MAX),
            State::Retired | State::Failed(_) => 0,
        };
        self.active.get() < most
    }

    /// Since when it has no request.
    pub(super) fn idle_since(&self) -> Option<Tick> {
        (self.active.get() == 0).then(|| self.idle_since.get())
    }

    /// Takes no further requests. The connection ends behind the last.
    pub(super) fn retire(&self) {
        self.set(State::Retired);
    }

    /// Waits until it is there.
    pub(super) fn poll_open(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match *self.state.borrow() {
            State::Open(_) => return Poll::Ready(Ok(())),
            State::Failed(kind) => return Poll::Ready(Err(kind.into())),
            State::Retired => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            State::Connecting => {}
        }
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.iter().any(|known| known.will_wake(context.waker())) {
            waiting.push(context.waker().clone());
        }
        Poll::Pending
    }

    /// The way to send a request, if it is there.
    pub(super) fn sender(&self) -> Option<SendRequest<Bytes>> {
        match &*self.state.borrow() {
            State::Open(send) => Some(send.clone()),
            State::Connecting | State::Retired | State::Failed(_) => None,
        }
    }

    /// The scheme of its requests (RFC 9113 8.3.1).
    pub(super) fn scheme(&self) -> Scheme {
        match self.secured {
            true => Scheme::HTTPS,
            false => Scheme::HTTP,
        }
    }

    pub(super) fn now(&self) -> Tick {
        self.clock.now()
    }

    /// A request joins.
    pub(super) fn begin(&self) {
        self.active.set(self.active.get() + 1);
    }

    /// A request leaves that began at `begun`, and for which nothing came if it is `unheard`.
    pub(super) fn end(&self, begun: Tick, unheard: bool) {
        let now = self.clock.now();
        self.active.set(self.active.get() - 1);
        self.idle_since.set(now);
        if unheard && self.is_open() && self.heard.get() < begun && now.since(begun) >= SILENT {
            self.retire();
        }
    }
}

/// What is being opened.
enum Connection {
    Plain(TcpStream),
    Tls(TlsConnection),
}

/// Shakes hands, on HTTP/2 and nothing else (RFC 9113 3.2).
async fn shake(mut connection: TlsConnection) -> io::Result<Box<TlsStream<TcpStream>>> {
    poll_fn(|context| connection.poll_connected(context)).await?;
    connection.into_http2()
}

/// The socket, and an ear.
#[derive(Debug)]
struct Heard<S> {
    socket: S,
    link: Rc<Link>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.socket).poll_read(context, room))?;
        this.link.heard.set(this.link.clock.now());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(context)
    }
}
