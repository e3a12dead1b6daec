//! The end of the process, as its supervisor asks for it.

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that the first SIGTERM or SIGINT cancels; the second ends the process at once, with
/// status 128 + signal as a shell reports it.
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
        let (number, name) = next(&mut terminate, &mut interrupt).await;
        tracing::warn!(signal = name, "second signal, ending at once");
        std::process::exit(128 + number);
    });
    Ok(token)
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> (i32, &'static str) {
    tokio::select! {
        _ = terminate.recv() => (15, "SIGTERM"),
        _ = interrupt.recv() => (2, "SIGINT"),
    }
}
