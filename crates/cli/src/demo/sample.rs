//! The sample application: a shop with three replicas in each cluster, and its Ingress on the hub.

use std::path::Path;

use anyhow::Context;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{Api, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::NamespaceResourceScope;
use kube::{Client, Config, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::CLUSTERS;
use crate::commands::Strategy;

/// Namespace, Deployment, Service and Ingress share this name.
pub(crate) const NAME: &str = "shop";

/// The host of the Ingress.
pub(crate) const HOST: &str = "shop.example.com";

/// Where the pods listen.
pub(crate) const POD_PORT: u16 = 8080;

/// Replicas in each cluster.
pub(crate) const REPLICAS: u32 = 3;

/// A client for the API that `kubeconfig` names.
///
/// # Errors
/// When the file cannot be used.
pub(crate) async fn client(kubeconfig: &Path) -> anyhow::Result<Client> {
    let context = || format!("using {}", kubeconfig.display());
    let file = Kubeconfig::read_from(kubeconfig).with_context(context)?;
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(file, &options)
        .await
        .with_context(context)?;
    Client::try_from(config).with_context(context)
}

/// Deploys the shop to a member cluster.
///
/// # Errors
/// What the API server said, with the object.
pub(crate) async fn deploy(client: &Client) -> anyhow::Result<()> {
    namespace(client).await?;
    let labels = json!({ "app": NAME });
    let deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": NAME, "labels": labels },
        "spec": {
            "replicas": REPLICAS,
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [{
                    "name": NAME,
                    "image": "tidegate.io/echo:1",
                    "ports": [{ "name": "http", "containerPort": POD_PORT }],
                    "readinessProbe": {
                        "httpGet": { "path": "/healthz", "port": "http" },
                        "periodSeconds": 1,
                    },
                }] },
            },
        },
    });
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": NAME, "labels": labels },
        "spec": {
            "selector": labels,
            "ports": [{ "name": "http", "port": 80, "targetPort": "http" }],
        },
    });
    apply::<Service>(client, &service).await?;
    apply::<Deployment>(client, &deployment).await
}

/// Puts the route to the shop on the hub.
///
/// # Errors
/// What the API server said, with the object.
pub(crate) async fn route(client: &Client, strategy: Strategy) -> anyhow::Result<()> {
    namespace(client).await?;
    match strategy {
        Strategy::ActiveActive => {}
        Strategy::ActiveStandby => apply::<tidegate_api::FailoverPolicy>(client, &tiers()).await?,
    }
    let backend = json!({ "service": { "name": NAME, "port": { "number": 80 } } });
    let ingress = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": { "name": NAME },
        "spec": {
            "ingressClassName": "tidegate",
            "rules": [{
                "host": HOST,
                "http": { "paths": [{ "path": "/", "pathType": "Prefix", "backend": backend }] },
            }],
        },
    });
    apply::<Ingress>(client, &ingress).await
}

/// az1 serves; az2 stands by.
fn tiers() -> Value {
    let tiers: Vec<Value> = CLUSTERS
        .iter()
        .map(|cluster| json!({ "clusters": [{ "name": cluster }] }))
        .collect();
    json!({
        "apiVersion": "traffic.tidegate.io/v1alpha1",
        "kind": "FailoverPolicy",
        "metadata": { "name": NAME },
        "spec": { "targetRef": { "kind": "Service", "name": NAME }, "tiers": tiers },
    })
}

async fn namespace(client: &Client) -> anyhow::Result<()> {
    let object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAME } });
    Api::<Namespace>::all(client.clone())
        .patch(
            NAME,
            &PatchParams::apply("tidegate-demo"),
            &Patch::Apply(&object),
        )
        .await
        .with_context(|| format!("creating the namespace {NAME}"))?;
    Ok(())
}

async fn apply<K>(client: &Client, object: &Value) -> anyhow::Result<()>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    K: Clone + DeserializeOwned + Serialize + std::fmt::Debug,
{
    Api::<K>::namespaced(client.clone(), NAME)
        .patch(
            NAME,
            &PatchParams::apply("tidegate-demo"),
            &Patch::Apply(object),
        )
        .await
        .with_context(|| format!("creating the {} {NAME}/{NAME}", K::kind(&())))?;
    Ok(())
}
