//! Objects from the API server of the cluster that ingress-nginx serves.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::Path;

use anyhow::{Context, anyhow};
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use kube::api::{Api, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::NamespaceResourceScope;
use kube::{Client, Config, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tidegate_translate::verdict::Manifests;

/// Objects of one answer; more are asked for page by page.
const PAGE: u32 = 500;

/// Reads what matters for Ingresses. Services, Secrets and ConfigMaps that may not be read are left out, and a warning
/// says so; a list that is forbidden is not one that is empty.
///
/// # Errors
/// When the kubeconfig cannot be used or Ingresses cannot be read.
pub(crate) async fn read(
    kubeconfig: &Path,
    cluster_context: Option<&str>,
    settings: Option<&str>,
    manifests: &mut Manifests,
) -> anyhow::Result<()> {
    let context = || format!("--kubeconfig {}", kubeconfig.display());
    let file = Kubeconfig::read_from(kubeconfig).with_context(context)?;
    let options = KubeConfigOptions {
        context: cluster_context.map(str::to_owned),
        ..KubeConfigOptions::default()
    };
    let config = Config::from_custom_kubeconfig(file, &options)
        .await
        .with_context(context)?;
    let client = Client::try_from(config).with_context(context)?;
    let all = ListParams::default();
    take(
        list::<Ingress>(&client, &all)
            .await
            .context("reading Ingresses")?,
        settings,
        manifests,
    )?;
    take(
        list::<IngressClass>(&client, &all)
            .await
            .context("reading IngressClasses")?,
        settings,
        manifests,
    )?;
    match list::<Service>(&client, &all).await {
        Ok(services) => {
            manifests.services.get_or_insert_default();
            take(services, settings, manifests)?;
        }
        Err(error) => warn("Services", &error),
    }
    match list::<Secret>(
        &client,
        &ListParams::default().fields("type=kubernetes.io/tls"),
    )
    .await
    {
        Ok(secrets) => {
            manifests.tls_secrets.get_or_insert_default();
            take(secrets, settings, manifests)?;
        }
        Err(error) => warn("Secrets of type kubernetes.io/tls", &error),
    }
    named(&client, settings, manifests).await?;
    let name = settings
        .and_then(|name| name.split_once('/'))
        .map_or("ingress-nginx-controller", |(_, name)| name);
    let named = ListParams::default().fields(&format!("metadata.name={name}"));
    match list::<ConfigMap>(&client, &named).await {
        Ok(maps) => take(maps, settings, manifests)?,
        Err(error) => warn("the controller's ConfigMap", &error),
    }
    Ok(())
}

/// Reads the Secrets and ConfigMaps that annotations name, and no others.
async fn named(
    client: &Client,
    settings: Option<&str>,
    manifests: &mut Manifests,
) -> anyhow::Result<()> {
    let (secrets, maps) = manifests.named();
    match get_all::<Secret>(client, secrets).await {
        Ok(found) => {
            manifests.other_secrets.get_or_insert_default();
            // Those with certificates were read before.
            let others = |secret: &Secret| secret.type_.as_deref() != Some("kubernetes.io/tls");
            take(
                found.into_iter().filter(others).collect(),
                settings,
                manifests,
            )?;
        }
        Err(error) => warn("the Secrets that annotations name", &error),
    }
    match get_all::<ConfigMap>(client, maps).await {
        Ok(found) => {
            manifests.config_maps.get_or_insert_default();
            take(found, settings, manifests)?;
        }
        Err(error) => warn("the ConfigMaps that annotations name", &error),
    }
    Ok(())
}

async fn get_all<K>(client: &Client, names: BTreeSet<(String, String)>) -> kube::Result<Vec<K>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Clone + DeserializeOwned + Debug,
{
    let mut found = Vec::new();
    for (namespace, name) in names {
        let api: Api<K> = Api::namespaced(client.clone(), &namespace);
        found.extend(api.get_opt(&name).await?);
    }
    Ok(found)
}

async fn list<K>(client: &Client, wanted: &ListParams) -> kube::Result<Vec<K>>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let api: Api<K> = Api::all(client.clone());
    let mut params = wanted.clone().limit(PAGE);
    let mut found = Vec::new();
    loop {
        let page = api.list(&params).await?;
        found.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(found),
        }
    }
}

fn take<K: Serialize>(
    objects: Vec<K>,
    settings: Option<&str>,
    manifests: &mut Manifests,
) -> anyhow::Result<()> {
    for object in objects {
        let value = serde_json::to_value(object).context("writing an object as JSON")?;
        manifests
            .take(value, settings)
            .map_err(|why| anyhow!("the cluster: {why}"))?;
    }
    Ok(())
}

fn warn(what: &str, error: &kube::Error) {
    eprintln!("warning: {what} cannot be read and are not checked: {error}");
}
