//! The world of a case: one cluster with all Services, and what the case says.

use crate::case::{Case, Ingress};
use crate::echo::Echo;
use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_translate::{AuthSecret, Freshness, MemberView, WorldView, name_of};

/// Where all objects are.
const NAMESPACE: &str = "e2e";

pub(crate) fn of(case: &Case, servers: &[Echo]) -> Result<WorldView> {
    let mut world = WorldView {
        clusters: vec![object(json!({
            "apiVersion": "fleet.tidegate.io/v1alpha1", "kind": "Cluster", "metadata": { "name": "az1" },
            "spec": { "connection": { "kubeconfigSecretRef": { "namespace": "x", "name": "x" } } },
        }))?],
        ingress_classes: vec![object(json!({
            "metadata": {
                "name": "nginx",
                "annotations": { "ingressclass.kubernetes.io/is-default-class": "true" },
            },
            "spec": { "controller": "tidegate.io/ingress" },
        }))?],
        ..WorldView::default()
    };
    world
        .members
        .insert("az1".to_owned().try_into()?, member(servers)?);
    for (at, ingress) in case.ingresses.iter().enumerate() {
        let ingress: Arc<k8s_openapi::api::networking::v1::Ingress> =
            object(written(at, ingress)?)?;
        world.ingresses.insert(name_of(&ingress.metadata), ingress);
    }
    for (name, data) in &case.secrets {
        let bytes = |text: &String| k8s_openapi::ByteString(text.clone().into_bytes());
        let data = data.iter().map(|(key, text)| (key.clone(), bytes(text)));
        let mut secret = k8s_openapi::api::core::v1::Secret {
            data: Some(data.collect()),
            ..Default::default()
        };
        secret.metadata.name = Some(name.clone());
        secret.metadata.namespace = Some(NAMESPACE.to_owned());
        world.auth_secrets.push(Arc::new(AuthSecret::read(&secret)));
    }
    for (name, data) in &case.config_maps {
        let map: Arc<k8s_openapi::api::core::v1::ConfigMap> =
            object(json!({ "metadata": { "name": name, "namespace": NAMESPACE }, "data": data }))?;
        world.config_maps.insert(name_of(&map.metadata), map);
    }
    Ok(world)
}

fn member(servers: &[Echo]) -> Result<MemberView> {
    let mut view = MemberView {
        freshness: Freshness::Known,
        services: Vec::new(),
        slices: Vec::new(),
    };
    // A Service without endpoints is one all the same.
    let mut by_service: BTreeMap<&str, Vec<&Echo>> = BTreeMap::from([("empty", Vec::new())]);
    for server in servers {
        by_service.entry(server.service).or_default().push(server);
    }
    for (name, servers) in by_service {
        view.services.push(object(json!({
            "metadata": { "name": name, "namespace": NAMESPACE },
            "spec": { "ports": [{ "name": "http", "port": 80 }] },
        }))?);
        // A slice has one port for all of its endpoints, and these have one each.
        for (at, server) in servers.iter().enumerate() {
            view.slices.push(object(json!({
                "metadata": {
                    "name": format!("{name}-{at}"), "namespace": NAMESPACE,
                    "labels": { "kubernetes.io/service-name": name },
                },
                "addressType": "IPv4",
                "ports": [{ "name": "http", "port": server.address.port() }],
                "endpoints": [{ "addresses": [server.address.ip().to_string()] }],
            }))?);
        }
    }
    Ok(view)
}

fn written(at: usize, ingress: &Ingress) -> Result<Value> {
    let annotations: BTreeMap<String, &String> = ingress
        .annotations
        .iter()
        .map(|(name, value)| (format!("nginx.ingress.kubernetes.io/{name}"), value))
        .collect();
    let backend =
        |service: &String| json!({ "service": { "name": service, "port": { "number": 80 } } });
    let mut rules = Vec::new();
    for (host, paths) in &ingress.hosts {
        let mut written = Vec::new();
        for (path, service) in paths {
            let (path, kind) = path.split_once(' ').unwrap_or((path, "Prefix"));
            written.push(json!({ "path": path, "pathType": kind, "backend": backend(service) }));
        }
        let host = (!host.is_empty()).then_some(host);
        rules.push(json!({ "host": host, "http": { "paths": written } }));
    }
    Ok(json!({
        "metadata": {
            "name": format!("ingress-{at}"), "namespace": NAMESPACE, "annotations": annotations,
            "creationTimestamp": format!("2026-01-{:02}T00:00:00Z", at + 1),
        },
        "spec": {
            "ingressClassName": ingress.class,
            "rules": rules,
            "tls": ingress.tls.as_ref().map(|name| json!([{ "secretName": name }])),
            "defaultBackend": ingress.default.as_ref().map(backend),
        },
    }))
}

fn object<K: DeserializeOwned>(value: Value) -> Result<Arc<K>> {
    let text = value.to_string();
    let object = serde_json::from_value(value).with_context(|| text)?;
    Ok(Arc::new(object))
}
