//! The end of the process, as its supervisor asks for it.

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that the first SIGTERM or SIGINT cancels. A further SIGINT, which is a person who does not want to wait, ends
/// the process at once, with status 130 as a shell reports it; a further SIGTERM does not: supervisors repeat theirs, and
/// have SIGKILL.
///
/// Must be called inside a tokio runtime, early: until then the signals kill.
///
/// # Errors
/// When the handlers cannot be installed.
pub fn shutdown() -> io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let cancel = token.clone();
    tokio::spawn(async move {
        let name = next(&mut terminate, &mut interrupt).await.1;
        tracing::info!(signal = name, "shutting down");
        cancel.cancel();
        while let (SIGTERM, name) = next(&mut terminate, &mut interrupt).await {
            tracing::info!(signal = name, "shutting down already");
        }
        tracing::warn!("a further SIGINT, ending at once");
        std::process::exit(128 + SIGINT);
    });
    Ok(token)
}

/// Their numbers on every platform that we build for.
const SIGTERM: i32 = 15;
const SIGINT: i32 = 2;

async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> (i32, &'static str) {
    tokio::select! {
        _ = terminate.recv() => (SIGTERM, "SIGTERM"),
        _ = interrupt.recv() => (SIGINT, "SIGINT"),
    }
}
