//! Connections to members.

use super::kubeconfig::{KubeconfigError, MemberKubeconfig};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use std::error::Error;
use std::time::Duration;

/// How long a connection may take to open, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection may be silent while something is read from it, watches included: servers send
/// a bookmark about every minute, so one that is silent for so long is half-open.
const READ_TIMEOUT: Duration = Duration::from_secs(150);

/// How long a request may take to send.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

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

/// A client for the member that a kubeconfig describes. Opens no connection yet, and retries nothing.
///
/// # Errors
/// When the kubeconfig is refused, or its certificates or key are damaged.
pub async fn member_client(kubeconfig: &str) -> Result<Client, ClientError> {
    connect(&MemberKubeconfig::parse(kubeconfig)?).await
}

pub(super) async fn connect(kubeconfig: &MemberKubeconfig) -> Result<Client, ClientError> {
    let file = Kubeconfig::from_yaml(kubeconfig.reduced()).map_err(|e| unusable(&e))?;
    let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
        .await
        .map_err(|e| unusable(&e))?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    config.write_timeout = Some(WRITE_TIMEOUT);
    config.default_retry = false;
    Client::try_from(config).map_err(|e| unusable(&e))
}

fn unusable(error: &dyn Error) -> ClientError {
    ClientError::Unusable(chain(error))
}

/// An error with its causes, each once.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
