//! What a join writes on the hub.

use super::error::JoinError;
use super::{CALL_DEADLINE, JoinRequest, Outcome};
use crate::client::chain;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Debug;
use std::future::Future;
use tidegate_api::{Cluster, SYSTEM_NAMESPACE};
use tokio::time::timeout;

/// Owner of the fields that are written here.
const FIELD_MANAGER: &str = "tidegate-cli";

/// Key of the Secret that holds the kubeconfig.
const SECRET_KEY: &str = "kubeconfig";

/// Longest region and zone, in characters, as the Cluster's schema has it.
const LOCATION_LIMIT: usize = 63;

/// What can be refused without asking anybody.
pub(super) fn check_request(request: &JoinRequest) -> Result<(), JoinError> {
    if !is_label(&request.name) {
        return Err(JoinError::Name {
            name: request.name.clone(),
        });
    }
    for (option, value) in [("region", &request.region), ("zone", &request.zone)] {
        if let Some(value) = value
            .as_ref()
            .filter(|v| v.is_empty() || v.chars().count() > LOCATION_LIMIT)
        {
            return Err(JoinError::Location {
                option,
                value: value.clone(),
            });
        }
    }
    Ok(())
}

/// Whether a text is an RFC 1123 label.
fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Registers a checked member, its Secret before its Cluster, so that the hub never sees one without
/// the other.
pub(super) async fn register(
    hub: &Client,
    request: &JoinRequest,
    uid: &str,
) -> Result<Outcome, JoinError> {
    let clusters: Api<Cluster> = Api::all(hub.clone());
    let known = match timeout(CALL_DEADLINE, clusters.list(&ListParams::default())).await {
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => return Err(JoinError::NotAHub),
        answer => answered("listing Clusters", answer)?.items,
    };
    let namespaces: Api<Namespace> = Api::all(hub.clone());
    let system = call(
        "reading namespace kube-system",
        namespaces.get_opt("kube-system"),
    )
    .await?;
    if system.and_then(|system| system.metadata.uid).as_deref() == Some(uid) {
        let uid = uid.to_owned();
        return Err(JoinError::TheHub { uid });
    }
    let outcome = decide(&known, &request.name, uid, request.replace)?;
    let secret = format!("cluster-{}", request.name);
    apply(&namespaces, SYSTEM_NAMESPACE, json!({})).await?;
    let mut content = json!({
        "type": "Opaque",
        "data": { SECRET_KEY: k8s_openapi::ByteString(request.kubeconfig.reduced().as_bytes().to_vec()) },
    });
    let secrets: Api<Secret> = Api::namespaced(hub.clone(), SYSTEM_NAMESPACE);
    apply(&secrets, &secret, content.clone()).await?;
    let cluster = apply(&clusters, &request.name, cluster(request, &secret, uid)).await?;
    // A kubeconfig opens a cluster: it goes when the Cluster does.
    content["metadata"] = json!({ "ownerReferences": [cluster.owner_ref(&())] });
    apply(&secrets, &secret, content).await?;
    Ok(outcome)
}

/// Whether a cluster may have a name, given the Clusters there are.
fn decide(known: &[Cluster], name: &str, uid: &str, replace: bool) -> Result<Outcome, JoinError> {
    let named = |cluster: &&Cluster| cluster.metadata.name.as_deref() == Some(name);
    let same = |cluster: &&Cluster| cluster.spec.uid.as_deref() == Some(uid);
    if let Some(other) = known.iter().filter(|c| !named(c)).find(same) {
        let name = other.metadata.name.clone().unwrap_or_default();
        return Err(JoinError::OtherName {
            name,
            uid: uid.to_owned(),
        });
    }
    let Some(current) = known.iter().find(named) else {
        return Ok(Outcome::Joined);
    };
    match current.spec.uid.as_deref() {
        Some(other) if other != uid && !replace => Err(JoinError::OtherCluster {
            name: name.to_owned(),
            known: other.to_owned(),
            found: uid.to_owned(),
        }),
        Some(other) if other != uid => Ok(Outcome::Replaced),
        _ => Ok(Outcome::Renewed),
    }
}

/// The fields that a join decides, and no others: what it does not send it does not own.
fn cluster(request: &JoinRequest, secret: &str, uid: &str) -> Value {
    let mut location = serde_json::Map::new();
    for (field, value) in [("region", &request.region), ("zone", &request.zone)] {
        if let Some(value) = value {
            location.insert(field.to_owned(), Value::from(value.as_str()));
        }
    }
    json!({
        "spec": {
            "connection": {
                "kubeconfigSecretRef": { "namespace": SYSTEM_NAMESPACE, "name": secret, "key": SECRET_KEY },
            },
            "location": location,
            "uid": uid,
        },
    })
}

/// Creates or updates an object by server-side apply. It is forced: what a join says, it was told to.
async fn apply<K>(api: &Api<K>, name: &str, mut content: Value) -> Result<K, JoinError>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    content["apiVersion"] = K::api_version(&()).into();
    content["kind"] = K::kind(&()).into();
    content["metadata"]["name"] = name.into();
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let patch = Patch::Apply(content);
    call(
        &format!("writing {} {name}", K::kind(&())),
        api.patch(name, &params, &patch),
    )
    .await
}

async fn call<T>(
    doing: &str,
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, JoinError> {
    answered(doing, timeout(CALL_DEADLINE, request).await)
}

fn answered<T>(
    doing: &str,
    answer: Result<Result<T, kube::Error>, tokio::time::error::Elapsed>,
) -> Result<T, JoinError> {
    let why = match answer {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(kube::Error::Api(status))) => status.message,
        Ok(Err(error)) => chain(&error),
        Err(_) => format!("no answer within {} s", CALL_DEADLINE.as_secs()),
    };
    Err(JoinError::Hub {
        doing: doing.to_owned(),
        why,
    })
}

#[cfg(test)]
mod tests;
