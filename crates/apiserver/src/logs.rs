//! Where `kubectl logs` gets its text: the embedding program supplies it.

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

/// What a client asked of `pods/log`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRequest {
    /// The Pod's namespace.
    pub namespace: String,
    /// The Pod's name.
    pub pod: String,
    /// The Pod's uid: a new Pod of the same name is another one.
    pub uid: String,
    /// The container; always one of the Pod's.
    pub container: String,
    /// Whether to stay and send what is written later.
    pub follow: Follow,
    /// Which run of the container.
    pub run: Run,
    /// Only this many lines from the end.
    pub tail_lines: Option<u64>,
    /// Only lines of the last seconds.
    pub since_seconds: Option<u64>,
    /// At most this many bytes.
    pub limit_bytes: Option<u64>,
}

/// Whether a log request ends at the log's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// Stop at the end.
    No,
    /// Go on while the container runs.
    Yes,
}

/// Which run of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// The running or last one.
    Current,
    /// The one before the last restart.
    Previous,
}

/// Why there is no log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// Nothing has been kept for this container, or it has not started; the text says which.
    #[error("{0}")]
    NotAvailable(String),
    /// Reading failed.
    #[error("{0}")]
    Failed(String),
}

/// Pieces of a log as they come; an error ends it.
pub type LogStream = BoxStream<'static, Result<Bytes, std::io::Error>>;

/// Reads container logs. Dropping the stream ends the read.
pub trait LogSource: Send + Sync + 'static {
    /// Opens a container's log.
    fn open(&self, request: LogRequest) -> BoxFuture<'static, Result<LogStream, LogError>>;
}
