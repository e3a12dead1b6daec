//! `testdata/<case>.in.yaml` -> `testdata/<case>.out.yaml`. `UPDATE=1` writes the outputs anew: read the diff.
//!
//! An input holds `hub` (objects), `members` (per cluster: `freshness` and objects) and may take the objects
//! of another file with `base`. Objects may leave out what a server would fill in.
#![allow(clippy::unwrap_used)] // A failed unwrap is a failed test.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::networking::v1::Ingress;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tidegate_translate::{
    AuthSecret, Freshness, MemberView, TlsSecret, Translation, WorldView, translate,
};

#[test]
fn all_cases_come_out_as_written_down() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    let mut count = 0;
    for path in cases() {
        count += 1;
        let mut world = load(&path);
        let translation = translate(&world);
        translation
            .snapshot
            .validate()
            .expect("every snapshot can be served");
        let found = serde_saphyr::to_string(&printed(&translation)).unwrap();
        let expected = PathBuf::from(path.to_str().unwrap().replace(".in.yaml", ".out.yaml"));
        if update {
            std::fs::write(&expected, &found).unwrap();
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != found {
            wrong.push(format!("{}:\n{found}", expected.display()));
        }
        reverse(&mut world);
        assert_eq!(
            translate(&world),
            translation,
            "{}: the order of objects matters",
            path.display()
        );
    }
    assert!(count >= 20, "only {count} cases were found");
    assert!(
        wrong.is_empty(),
        "not as written down (UPDATE=1 rewrites):\n{}",
        wrong.join("\n")
    );
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(".in.yaml"))
        .collect();
    paths.sort();
    paths
}

fn load(path: &Path) -> WorldView {
    let text = std::fs::read_to_string(path).unwrap();
    let input: Value =
        serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut world = match input["base"].as_str() {
        Some(base) => load(&path.with_file_name(base)),
        None => WorldView::default(),
    };
    for object in input["hub"].as_array().into_iter().flatten() {
        add(&mut world, object.clone());
    }
    for (name, member) in input["members"].as_object().into_iter().flatten() {
        let view = world
            .members
            .entry(name.clone().try_into().unwrap())
            .or_insert(MemberView {
                freshness: Freshness::Known,
                services: Vec::new(),
                slices: Vec::new(),
            });
        if !member["freshness"].is_null() {
            view.freshness = serde_json::from_value(member["freshness"].clone()).unwrap();
        }
        for object in member["objects"].as_array().into_iter().flatten() {
            let mut object = object.clone();
            complete(&mut object);
            match object["kind"].as_str() {
                Some("Service") => view.services.push(serde_json::from_value(object).unwrap()),
                _ => view.slices.push(serde_json::from_value(object).unwrap()),
            }
        }
    }
    world
}

fn add(world: &mut WorldView, mut object: Value) {
    complete(&mut object);
    match object["kind"].as_str().unwrap() {
        "Cluster" => world.clusters.push(read(object)),
        "GatewayConfig" => {
            // A case may say another thing than its base.
            let name = object["metadata"]["name"].as_str().map(str::to_owned);
            world
                .gateway_configs
                .retain(|known| known.metadata.name != name);
            world.gateway_configs.push(read(object));
        }
        "IngressClass" => world.ingress_classes.push(read(object)),
        "Ingress" => {
            let ingress: Arc<Ingress> = read(object);
            let name = tidegate_translate::name_of(&ingress.metadata);
            world.ingresses.insert(name, ingress);
        }
        "FailoverPolicy" => world.failover_policies.push(read(object)),
        "ConfigMap" => {
            let map: Arc<ConfigMap> = read(object);
            let name = tidegate_translate::name_of(&map.metadata);
            world.config_maps.insert(name, map);
        }
        "Secret" => {
            let mut secret: Secret = read(object);
            for (key, text) in secret.string_data.take().unwrap_or_default() {
                let data = secret.data.get_or_insert_default();
                data.insert(key, ByteString(text.into_bytes()));
            }
            match secret.type_.as_deref() {
                Some("kubernetes.io/tls") | None => {
                    world.tls_secrets.push(Arc::new(TlsSecret::read(&secret)));
                }
                Some(_) => world.auth_secrets.push(Arc::new(AuthSecret::read(&secret))),
            }
        }
        other => panic!("{other}"),
    }
}

fn read<K: serde::de::DeserializeOwned>(object: Value) -> K {
    serde_json::from_value(object.clone()).unwrap_or_else(|e| panic!("{e}: {object:#}"))
}

/// What a server would fill in, and the namespace that nearly all cases use.
fn complete(object: &mut Value) {
    let kind = object["kind"].as_str().unwrap().to_owned();
    let version = match kind.as_str() {
        "Service" | "Secret" | "ConfigMap" => "v1",
        "EndpointSlice" => "discovery.k8s.io/v1",
        "Cluster" => "fleet.tidegate.io/v1alpha1",
        "Ingress" | "IngressClass" => "networking.k8s.io/v1",
        _ => "traffic.tidegate.io/v1alpha1",
    };
    object["apiVersion"] = json!(version);
    let global = matches!(kind.as_str(), "Cluster" | "GatewayConfig" | "IngressClass");
    if !global && object["metadata"]["namespace"].is_null() {
        object["metadata"]["namespace"] = json!("shop");
    }
    if kind == "Cluster" && object["spec"]["connection"].is_null() {
        object["spec"]["connection"] =
            json!({ "kubeconfigSecretRef": { "namespace": "tidegate-system", "name": "x" } });
    }
    if kind == "EndpointSlice" && object["addressType"].is_null() {
        object["addressType"] = json!("IPv4");
    }
}

fn printed(translation: &Translation) -> Value {
    let mut snapshot = serde_json::to_value(&translation.snapshot).unwrap();
    for noise in ["format", "generation"] {
        snapshot.as_object_mut().unwrap().remove(noise);
    }
    if translation.snapshot.settings == Default::default() {
        snapshot.as_object_mut().unwrap().remove("settings");
    }
    for kind in ["certificates", "authorities"] {
        let texts = snapshot.get_mut(kind).and_then(Value::as_object_mut);
        for (_, text) in texts.into_iter().flatten() {
            *text = json!("as its Secret says");
        }
    }
    let health = serde_json::to_value(tidegate_model::HealthPolicy::default()).unwrap();
    for backend in snapshot["backends"].as_object_mut().unwrap().values_mut() {
        if backend["health"] == health {
            backend.as_object_mut().unwrap().remove("health");
        }
    }
    let policies: serde_json::Map<String, Value> = translation
        .policies
        .iter()
        .map(|(object, verdict)| (object.to_string(), json!(format!("{verdict:?}"))))
        .collect();
    let diagnostics: Vec<Value> = translation
        .diagnostics
        .iter()
        .map(|d| {
            json!({
                "object": d.object.to_string(),
                "field": d.field,
                "severity": format!("{:?}", d.severity),
                "reason": d.reason.as_str(),
                "message": d.message,
            })
        })
        .collect();
    json!({ "snapshot": snapshot, "diagnostics": diagnostics, "policies": policies })
}

fn reverse(world: &mut WorldView) {
    world.clusters.reverse();
    world.gateway_configs.reverse();
    world.ingress_classes.reverse();
    world.failover_policies.reverse();
    world.tls_secrets.reverse();
    world.auth_secrets.reverse();
    for member in world.members.values_mut() {
        member.services.reverse();
        member.slices.reverse();
    }
}
