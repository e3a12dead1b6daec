//! A connection to an endpoint in TLS, from its first packet on.

use super::poll_connected;
use crate::tls::BackendSecurity;
use rustls::pki_types::ServerName;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::AsyncBufRead;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{Connect, TlsConnector};

/// Connecting, shaking hands, or open.
#[derive(Debug)]
pub(crate) struct TlsConnection {
    security: Arc<BackendSecurity>,
    endpoint: SocketAddr,
    state: State,
}

enum State {
    Connecting {
        socket: TcpStream,
        connector: TlsConnector,
        name: ServerName<'static>,
    },
    Shaking(Box<Connect<TcpStream>>),
    Open(Box<TlsStream<TcpStream>>),
    /// It has failed.
    Gone,
}

impl TlsConnection {
    /// Goes on with a socket that is being connected to `endpoint`.
    ///
    /// # Errors
    /// How to speak TLS to the endpoint is not known.
    pub(crate) fn begin(
        socket: TcpStream,
        endpoint: SocketAddr,
        security: Arc<BackendSecurity>,
    ) -> io::Result<Self> {
        let (connector, name) = security.connector(endpoint)?;
        let state = State::Connecting {
            socket,
            connector,
            name,
        };
        Ok(Self {
            security,
            endpoint,
            state,
        })
    }

    /// Of [`BackendSecurity`].
    pub(super) fn security_id(&self) -> u64 {
        self.security.id()
    }

    /// Waits for the end of the handshake.
    pub(crate) fn poll_connected(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match &mut self.state {
                State::Connecting { socket, .. } => {
                    ready!(poll_connected(socket, context))?;
                    if let State::Connecting {
                        socket,
                        connector,
                        name,
                    } = std::mem::replace(&mut self.state, State::Gone)
                    {
                        self.state = State::Shaking(Box::new(connector.connect(name, socket)));
                    }
                }
                State::Shaking(handshake) => match ready!(Pin::new(handshake).poll(context)) {
                    Ok(stream) => self.state = State::Open(Box::new(stream)),
                    Err(error) => {
                        self.security.failed(self.endpoint, &error);
                        self.state = State::Gone;
                        return Poll::Ready(Err(error));
                    }
                },
                State::Open(_) => return Poll::Ready(Ok(())),
                State::Gone => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            }
        }
    }

    /// The connection, when it is open.
    ///
    /// # Errors
    /// It is not.
    pub(super) fn stream(&mut self) -> io::Result<&mut TlsStream<TcpStream>> {
        match &mut self.state {
            State::Open(stream) => Ok(stream),
            State::Connecting { .. } | State::Shaking(_) | State::Gone => {
                Err(io::ErrorKind::NotConnected.into())
            }
        }
    }

    /// Ready when there is something to read, which stays there, with true; at the end with false.
    pub(super) fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        match self.stream() {
            Ok(stream) => {
                let bytes = Pin::new(stream).poll_fill_buf(context);
                bytes.map(|bytes| matches!(bytes, Ok([_, ..])))
            }
            Err(_) => Poll::Ready(false),
        }
    }

    /// Whether neither bytes nor an end have come. What the handshake leaves behind, as tickets, is taken in.
    pub(super) fn is_quiet(&mut self) -> bool {
        let mut nobody = Context::from_waker(Waker::noop());
        self.poll_readable(&mut nobody).is_pending()
    }

    /// The open connection, if HTTP/2 was agreed on (RFC 7301).
    ///
    /// # Errors
    /// It is not open, or the endpoint speaks something else.
    pub(super) fn into_http2(self) -> io::Result<Box<TlsStream<TcpStream>>> {
        match self.state {
            State::Open(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => Ok(stream),
            State::Open(_) => {
                let error = io::Error::other("the endpoint does not agree on HTTP/2 (ALPN h2)");
                self.security.failed(self.endpoint, &error);
                Err(error)
            }
            State::Connecting { .. } | State::Shaking(_) | State::Gone => {
                Err(io::ErrorKind::NotConnected.into())
            }
        }
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connecting { .. } => "Connecting",
            Self::Shaking(_) => "Shaking",
            Self::Open(_) => "Open",
            Self::Gone => "Gone",
        })
    }
}
