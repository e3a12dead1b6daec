//! Opening a connection as a state that is polled, so that several attempts of one request can be
//! under way at once without a future, and an allocation, for each.

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Starts to connect; [`poll_connected`] says how it ends.
///
/// # Errors
/// What the kernel refuses at once: no descriptor, no route, or refused on loopback.
pub(crate) fn start_connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    socket.set_tcp_nodelay(true)?;
    match socket.connect(&address.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(EINPROGRESS) => {}
        Err(error) => return Err(error),
    }
    TcpStream::from_std(socket.into())
}

/// `EINPROGRESS`, the same number on every Linux architecture we build for.
const EINPROGRESS: i32 = rustix::io::Errno::INPROGRESS.raw_os_error();

/// Waits for the connection to be there.
pub(crate) fn poll_connected(
    stream: &TcpStream,
    context: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    loop {
        ready!(stream.poll_write_ready(context))?;
        let outcome = stream.try_io(Interest::WRITABLE, || {
            if let Some(error) = SockRef::from(stream).take_error()? {
                return Err(error);
            }
            match stream.peer_addr() {
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                    Err(io::ErrorKind::WouldBlock.into())
                }
                other => other.map(drop),
            }
        });
        match outcome {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => return Poll::Ready(other),
        }
    }
}
