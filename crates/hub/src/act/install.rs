//! What must exist on the hub's API from the start.

use crate::FIELD_MANAGER;
use crate::client::chain;
use k8s_openapi::api::networking::v1::IngressClass;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::fmt::Debug;
use std::time::Duration;
use tidegate_api::{GatewayConfig, INGRESS_CONTROLLER};
use tokio_util::sync::CancellationToken;

/// Applies the kinds, the IngressClass `tidegate` and its GatewayConfig `default`, until it has worked.
/// What a person changed in the GatewayConfig stays: only its existence is ours. False when `shutdown` came
/// first.
pub(crate) async fn install(client: &Client, shutdown: &CancellationToken) -> bool {
    let mut pause = Duration::from_millis(50);
    loop {
        let error = tokio::select! {
            () = shutdown.cancelled() => return false,
            result = install_once(client) => match result {
                Ok(()) => return true,
                Err(error) => error,
            },
        };
        tracing::info!(error = %chain(&error), "the hub's kinds cannot be installed yet");
        tokio::select! {
            () = shutdown.cancelled() => return false,
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

async fn install_once(client: &Client) -> kube::Result<()> {
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    for crd in tidegate_api::crds() {
        apply(&crds, &crd.name_any(), &crd).await?;
    }
    for crd in tidegate_api::crds() {
        let name = crd.name_any();
        let established = kube::runtime::wait::await_condition(
            crds.clone(),
            &name,
            kube::runtime::wait::conditions::is_crd_established(),
        );
        // An API that does not answer in time is asked again by the caller.
        match tokio::time::timeout(Duration::from_secs(10), established).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::debug!(crd = %name, %error, "cannot see whether the kind is established")
            }
            Err(_) => tracing::debug!(crd = %name, "the kind is not established yet"),
        }
    }
    let classes: Api<IngressClass> = Api::all(client.clone());
    let class = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {
            "name": "tidegate",
            "annotations": { "ingressclass.kubernetes.io/is-default-class": "true" },
        },
        "spec": {
            "controller": INGRESS_CONTROLLER,
            "parameters": { "apiGroup": "traffic.tidegate.io", "kind": "GatewayConfig", "name": "default" },
        },
    });
    let configs: Api<GatewayConfig> = Api::all(client.clone());
    let config = json!({
        "apiVersion": "traffic.tidegate.io/v1alpha1",
        "kind": "GatewayConfig",
        "metadata": { "name": "default" },
        "spec": {},
    });
    if configs.get_opt("default").await?.is_none() {
        apply(&configs, "default", &config).await?;
    }
    apply(&classes, "tidegate", &class).await
}

async fn apply<K>(api: &Api<K>, name: &str, object: &(impl Serialize + Debug)) -> kube::Result<()>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let params = PatchParams::apply(FIELD_MANAGER).force();
    api.patch(name, &params, &Patch::Apply(object))
        .await
        .map(drop)
}
