//! What must exist on the hub's API from the start.

use crate::FIELD_MANAGER;
use crate::client::chain;
use k8s_openapi::api::networking::v1::IngressClass;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Debug;
use std::time::Duration;
use tidegate_api::{GatewayConfig, INGRESS_CONTROLLER};
use tidegate_translate::DEFAULT_CLASS;
use tokio_util::sync::CancellationToken;

/// The IngressClass that is there from the start.
pub(crate) const CLASS: &str = "tidegate";
/// Its GatewayConfig.
pub(crate) const CONFIG: &str = "default";

/// Applies the kinds, and makes the IngressClass [`CLASS`] and its GatewayConfig [`CONFIG`] where they are missing, until it
/// has worked. What a person changed in them stays: only their existence is ours. False when `shutdown` came first.
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
    let configs: Api<GatewayConfig> = Api::all(client.clone());
    if configs.get_opt(CONFIG).await?.is_none() {
        apply(&configs, CONFIG, &config(&json!({}))).await?;
    }
    let classes: Api<IngressClass> = Api::all(client.clone());
    if classes.get_opt(CLASS).await?.is_some() {
        return Ok(());
    }
    let others = classes.list(&ListParams::default()).await?;
    let annotations = match others.iter().any(tidegate_translate::is_default) {
        true => json!({}),
        false => json!({ DEFAULT_CLASS: "true" }),
    };
    let spec = json!({
        "controller": INGRESS_CONTROLLER,
        "parameters": { "apiGroup": "traffic.tidegate.io", "kind": "GatewayConfig", "name": CONFIG },
    });
    apply(&classes, CLASS, &class(&annotations, &spec)).await
}

/// The IngressClass as it is applied.
pub(super) fn class(annotations: &Value, spec: &Value) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": { "name": CLASS, "annotations": annotations },
        "spec": spec,
    })
}

/// The GatewayConfig as it is applied.
pub(super) fn config(spec: &Value) -> Value {
    json!({
        "apiVersion": "traffic.tidegate.io/v1alpha1",
        "kind": "GatewayConfig",
        "metadata": { "name": CONFIG },
        "spec": spec,
    })
}

pub(super) async fn apply<K>(
    api: &Api<K>,
    name: &str,
    object: &(impl Serialize + Debug),
) -> kube::Result<()>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let params = PatchParams::apply(FIELD_MANAGER).force();
    api.patch(name, &params, &Patch::Apply(object))
        .await
        .map(drop)
}
