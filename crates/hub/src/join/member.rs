//! Questions to the member. Nothing is written there.

use super::error::{JoinError, Unreachable};
use super::{CALL_DEADLINE, REACH_DEADLINE, rights};
use crate::client::chain;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use kube::{Api, Client};
use std::future::Future;
use tokio::time::timeout;

/// What a member says about itself.
pub(super) struct Member {
    pub(super) version: String,
    pub(super) uid: String,
    pub(super) namespaces: usize,
}

pub(super) async fn inspect(client: &Client, server: &str) -> Result<Member, JoinError> {
    let unreachable = |why| JoinError::Unreachable {
        server: server.to_owned(),
        why,
    };
    let version = match timeout(REACH_DEADLINE, client.apiserver_version()).await {
        Ok(Ok(info)) => info.git_version,
        Ok(Err(error)) => return Err(unreachable(Unreachable::from_kube(&error))),
        Err(_) => return Err(unreachable(Unreachable::TimedOut)),
    };
    // Many servers tell anybody their version, so bad credentials may show only here.
    let missing = match timeout(CALL_DEADLINE, rights::missing(client)).await {
        Ok(Err(kube::Error::Api(status))) if status.code == 401 => {
            return Err(unreachable(Unreachable::Unauthorized));
        }
        answer => answered("asking for the identity's rights", answer)?,
    };
    if !missing.is_empty() {
        let user = timeout(CALL_DEADLINE, rights::whoami(client))
            .await
            .ok()
            .flatten();
        return Err(JoinError::Rights { user, missing });
    }
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let system = call(
        "reading namespace kube-system",
        namespaces.get("kube-system"),
    )
    .await?;
    let uid = system
        .metadata
        .uid
        .filter(|uid| !uid.is_empty())
        .ok_or_else(|| JoinError::Member {
            doing: "reading namespace kube-system",
            why: "it has no uid".to_owned(),
        })?;
    let params = ListParams::default();
    let all = call("listing namespaces", namespaces.list_metadata(&params)).await?;
    Ok(Member {
        version,
        uid,
        namespaces: all.items.len(),
    })
}

async fn call<T>(
    doing: &'static str,
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, JoinError> {
    answered(doing, timeout(CALL_DEADLINE, request).await)
}

fn answered<T>(
    doing: &'static str,
    answer: Result<Result<T, kube::Error>, tokio::time::error::Elapsed>,
) -> Result<T, JoinError> {
    let why = match answer {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(kube::Error::Api(status))) => status.message,
        Ok(Err(error)) => chain(&error),
        Err(_) => format!("no answer within {} s", CALL_DEADLINE.as_secs()),
    };
    Err(JoinError::Member { doing, why })
}

#[cfg(test)]
mod tests;
