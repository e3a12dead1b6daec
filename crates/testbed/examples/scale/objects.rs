//! Many Services, Ingresses and Secrets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use k8s_openapi::api::core::v1::{Namespace, Secret, Service};
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::PostParams;
use kube::{Api, Client};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tidegate_testbed::Result;

pub(crate) const NAMESPACE: &str = "shop";

/// Requests at a time.
const WRITERS: usize = 16;

/// How much of what.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) ingresses: usize,
    pub(crate) certificates: usize,
}

pub(crate) fn name(which: usize) -> String {
    format!("ingress-{which}")
}

pub(crate) fn host(which: usize) -> String {
    format!("h{which}.example.com")
}

/// In the member: a tenth as many Services as there are Ingresses, none with pods.
pub(crate) async fn services(client: Client, plan: Plan) -> Result {
    namespace(&client).await?;
    let service = |which: usize| {
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "name": format!("service-{which}") },
            "spec": { "ports": [{ "name": "http", "port": 80, "protocol": "TCP" }] },
        })
    };
    create::<Service>(&client, service_count(plan), service).await
}

/// On the hub: the certificates, then the Ingresses.
pub(crate) async fn ingresses(client: Client, plan: Plan) -> Result {
    namespace(&client).await?;
    let pair = rcgen::generate_simple_self_signed(["*.example.com".to_owned()])?;
    let (chain, key) = (pair.cert.pem(), pair.signing_key.serialize_pem());
    let secret = |which: usize| {
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": { "name": format!("tls-{which}") },
            "stringData": { "tls.crt": chain, "tls.key": key },
        })
    };
    create::<Secret>(&client, plan.certificates, secret).await?;
    create::<Ingress>(&client, plan.ingresses, |which| ingress(which, plan)).await
}

fn ingress(which: usize, plan: Plan) -> Value {
    let service = format!("service-{}", which % service_count(plan));
    let backend = json!({ "service": { "name": service, "port": { "number": 80 } } });
    let path = json!({ "path": "/", "pathType": "Prefix", "backend": backend });
    let tls = match which < plan.certificates {
        true => json!([{ "hosts": [host(which)], "secretName": format!("tls-{which}") }]),
        false => json!([]),
    };
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": name(which),
            "annotations": { "nginx.ingress.kubernetes.io/enable-cors": "true" },
        },
        "spec": { "rules": [{ "host": host(which), "http": { "paths": [path] } }], "tls": tls },
    })
}

fn service_count(plan: Plan) -> usize {
    plan.ingresses.div_ceil(10)
}

async fn namespace(client: &Client) -> Result {
    let object = json!({ "metadata": { "name": NAMESPACE } });
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces
        .create(&PostParams::default(), &serde_json::from_value(object)?)
        .await?;
    Ok(())
}

async fn create<K>(client: &Client, count: usize, object: impl Fn(usize) -> Value) -> Result
where
    K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Serialize
        + DeserializeOwned
        + Clone
        + std::fmt::Debug
        + Send
        + Sync
        + 'static,
{
    let objects: Result<Vec<K>> = (0..count)
        .map(|which| Ok(serde_json::from_value(object(which))?))
        .collect();
    let (objects, next) = (Arc::new(objects?), Arc::new(AtomicUsize::new(0)));
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..WRITERS {
        let api: Api<K> = Api::namespaced(client.clone(), NAMESPACE);
        let (objects, next) = (Arc::clone(&objects), Arc::clone(&next));
        writers.spawn(async move {
            while let Some(object) = objects.get(next.fetch_add(1, Relaxed)) {
                api.create(&PostParams::default(), object).await?;
            }
            Ok::<_, kube::Error>(())
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended??;
    }
    Ok(())
}
