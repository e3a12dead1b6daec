//! Connections to members.

use crate::kubeconfig::{KubeconfigError, MemberKubeconfig};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use std::error::Error;
use std::time::Duration;

/// How long a connection may take to open, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection from which nothing was read for so long is given up, watches included: that is how a
/// half-open one is noticed. Watches end by themselves before, at [`WATCH_SECONDS`].
const READ_TIMEOUT: Duration = Duration::from_secs(15);

/// How long the server keeps a watch before it ends it in good order. Resuming costs one small request.
pub(crate) const WATCH_SECONDS: u32 = 10;

/// Why there is no client for a kubeconfig.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// It is refused.
    #[error(transparent)]
    Kubeconfig(#[from] KubeconfigError),
    /// A certificate or key in it cannot be used.
    #[error(
        "the kubeconfig's certificates or key cannot be used: {0}; fetch a fresh kubeconfig for the cluster"
    )]
    Unusable(String),
}

/// A client for the cluster that a kubeconfig describes. Opens no connection yet, and retries nothing.
///
/// # Errors
/// [`ClientError`] when the kubeconfig's content cannot be used.
pub(crate) async fn connect(kubeconfig: &MemberKubeconfig) -> Result<Client, ClientError> {
    let unusable = |error: &dyn Error| ClientError::Unusable(chain(error));
    let file = Kubeconfig::from_yaml(kubeconfig.reduced()).map_err(|e| unusable(&e))?;
    let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
        .await
        .map_err(|e| unusable(&e))?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    config.write_timeout = Some(READ_TIMEOUT);
    config.proxy_url = None;
    config.default_retry = false;
    Client::try_from(config).map_err(|e| unusable(&e))
}

/// An error with its causes, each once.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = cause.source();
    }
    text
}
