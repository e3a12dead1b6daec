//! Connections to Kubernetes APIs.

use crate::kubeconfig::{KubeconfigError, MemberKubeconfig};
use kube::config::KubeConfigOptions;
use kube::{Client, Config};
use std::time::Duration;

/// A connection from which nothing was read for so long is given up, watches included: that is how a
/// half-open one is noticed. Watches end by themselves before, at [`WATCH_SECONDS`].
const READ_TIMEOUT: Duration = Duration::from_secs(15);

/// How long the server keeps a watch before it ends it in good order. Resuming costs one small request.
pub(crate) const WATCH_SECONDS: u32 = 10;

/// Why there is no client for a member.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The kubeconfig is refused.
    #[error(transparent)]
    Kubeconfig(KubeconfigError),
    /// A certificate, key or address in it cannot be used.
    #[error("the kubeconfig's certificates, key or server cannot be used: {0}")]
    Unusable(String),
}

/// A client for a member. Opens no connection yet.
///
/// # Errors
/// [`ClientError`] when the kubeconfig's content cannot be used.
pub(crate) async fn connect(kubeconfig: &MemberKubeconfig) -> Result<Client, ClientError> {
    let kube = kubeconfig.to_kube().map_err(ClientError::Kubeconfig)?;
    let mut config = Config::from_custom_kubeconfig(kube, &KubeConfigOptions::default())
        .await
        .map_err(|error| ClientError::Unusable(chain(&error)))?;
    config.connect_timeout = Some(Duration::from_secs(5));
    config.read_timeout = Some(READ_TIMEOUT);
    config.write_timeout = Some(READ_TIMEOUT);
    config.proxy_url = None;
    config.default_retry = false;
    Client::try_from(config).map_err(|error| ClientError::Unusable(chain(&error)))
}

/// An error with its causes, each once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
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
