//! Starts processes from one thread that never ends.
//!
//! The kernel sends the parent-death signal when the *thread* that started a child ends, so a runtime's worker
//! threads, which come and go, must not start pods.

use std::io;
use std::sync::OnceLock;
use std::sync::mpsc;

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

struct Order {
    command: Command,
    runtime: Handle,
    child: oneshot::Sender<io::Result<Child>>,
}

static ORDERS: OnceLock<mpsc::Sender<Order>> = OnceLock::new();

/// Starts `command`; its end is told on the current runtime.
pub(super) async fn spawn(command: Command) -> io::Result<Child> {
    let (child, started) = oneshot::channel();
    let order = Order {
        command,
        runtime: Handle::current(),
        child,
    };
    let gone = || io::Error::other("the thread that starts pods is gone");
    orders()?.send(order).map_err(|_| gone())?;
    started.await.map_err(|_| gone())?
}

fn orders() -> io::Result<&'static mpsc::Sender<Order>> {
    if let Some(orders) = ORDERS.get() {
        return Ok(orders);
    }
    let (orders, waiting) = mpsc::channel();
    std::thread::Builder::new()
        .name("pod-spawner".to_owned())
        .spawn(move || start_all(&waiting))?;
    // Of two racing callers one loses; its thread ends at once, without ever having had a child.
    Ok(ORDERS.get_or_init(|| orders))
}

fn start_all(waiting: &mpsc::Receiver<Order>) {
    while let Ok(Order {
        mut command,
        runtime,
        child,
    }) = waiting.recv()
    {
        let _entered = runtime.enter();
        // Nobody waiting any more: dropping the child kills it.
        let _ = child.send(command.spawn());
    }
}
