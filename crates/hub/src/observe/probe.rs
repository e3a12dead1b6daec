//! Whether a member's API answers.

use kube::Client;
use std::time::Duration;
use tidegate_api::condition::reachable;

/// Time for one answer.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// What a probe of a member's API found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// No probe has ended yet.
    NotProbed,
    /// `/readyz` says yes.
    Ready,
    /// Anything else, with the condition's reason and text.
    Failed { reason: &'static str, text: String },
}

/// Asks `/readyz`.
pub(crate) async fn probe(client: &Client) -> Answer {
    let failed = |reason, text| Answer::Failed { reason, text };
    let request = match http::Request::get("/readyz").body(Vec::new()) {
        Ok(request) => request,
        Err(error) => return failed(reachable::NO_ANSWER, error.to_string()),
    };
    match tokio::time::timeout(PROBE_TIMEOUT, client.request_text(request)).await {
        Err(_) => failed(
            reachable::NO_ANSWER,
            format!("no answer within {} s", PROBE_TIMEOUT.as_secs()),
        ),
        Ok(Ok(_)) => Answer::Ready,
        Ok(Err(kube::Error::Api(status))) if status.code == 401 || status.code == 403 => failed(
            reachable::UNAUTHORIZED,
            format!(
                "the API refuses the kubeconfig's identity: {}",
                status.message
            ),
        ),
        Ok(Err(kube::Error::Api(status))) => failed(
            reachable::NOT_READY,
            format!("/readyz answers {}: {}", status.code, status.message),
        ),
        Ok(Err(error)) => failed(reachable::NO_ANSWER, crate::client::chain(&error)),
    }
}

/// The version of the API server, when it tells it in time.
pub(crate) async fn version(client: &Client) -> Option<String> {
    match tokio::time::timeout(PROBE_TIMEOUT, client.apiserver_version()).await {
        Ok(Ok(version)) => Some(version.git_version),
        _ => None,
    }
}
