//! The workload controllers: ordinary clients of the Kubernetes API.
//!
//! ```text
//!  watches -> caches -> queues -> plan (pure: observed objects -> changes) -> writes
//! ```
//!
//! A pass reads the caches, asks the `plan` function of its kind, and carries the answer out. A plan for
//! objects that are as they should be is empty, so nothing is written without a change.

pub(crate) mod cache;
pub(crate) mod deployment;
pub(crate) mod endpoints;
pub(crate) mod owner;
pub(crate) mod queue;
pub(crate) mod replicaset;
mod rollout;
mod run;
mod scheduler;
pub(crate) mod selector;
mod write;

pub(crate) use run::run;

/// Why a pass over an object failed. Every failure is retried, later each time.
#[derive(Debug, thiserror::Error)]
#[error("{doing}")]
pub(crate) struct ReconcileError {
    pub(crate) doing: &'static str,
    #[source]
    pub(crate) source: Box<kube::Error>,
}

impl ReconcileError {
    /// Whether this is the ordinary outcome of acting on a copy that is a few milliseconds old.
    pub(crate) fn is_expected(&self) -> bool {
        matches!(&*self.source, kube::Error::Api(status) if matches!(status.code, 404 | 409))
    }
}

/// Adds what was being done to a failed call.
pub(crate) trait Doing<T> {
    fn doing(self, what: &'static str) -> Result<T, ReconcileError>;
}

impl<T> Doing<T> for Result<T, kube::Error> {
    fn doing(self, what: &'static str) -> Result<T, ReconcileError> {
        self.map_err(|source| ReconcileError {
            doing: what,
            source: Box::new(source),
        })
    }
}
