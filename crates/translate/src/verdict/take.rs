//! Objects as they stand in files and in answers of an API server.

use super::Manifests;
use crate::{AuthSecret, TlsSecret};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;

/// Lists hold objects, and sometimes lists; deeper ones are a mistake.
const NESTING_MAX: usize = 4;

impl Manifests {
    /// Takes an object, or all of a list; kinds that say nothing about Ingresses are passed over. `settings` is the
    /// `namespace/name` of the controller's ConfigMap; without it the one that ingress-nginx installs is known by its
    /// name.
    ///
    /// # Errors
    /// Why it is no object, or cannot be read as its kind.
    pub fn take(&mut self, object: Value, settings: Option<&str>) -> Result<(), String> {
        self.take_nested(object, settings, NESTING_MAX)
    }

    fn take_nested(
        &mut self,
        mut object: Value,
        settings: Option<&str>,
        depth: usize,
    ) -> Result<(), String> {
        if object.is_null() {
            return Ok(());
        }
        let kind = object["kind"].as_str().unwrap_or_default().to_owned();
        let version = object["apiVersion"].as_str().unwrap_or_default().to_owned();
        if kind.is_empty() || version.is_empty() {
            return Err("this is no Kubernetes object: it needs kind and apiVersion".to_owned());
        }
        if let (Some(of), Some(Value::Array(items))) =
            (kind.strip_suffix("List"), object.get_mut("items"))
        {
            if depth == 0 {
                return Err("lists lie too deep within lists".to_owned());
            }
            for (i, mut item) in std::mem::take(items).into_iter().enumerate() {
                // Objects of a typed list leave out what the list says.
                if let Value::Object(fields) = &mut item
                    && !of.is_empty()
                {
                    fields.entry("kind").or_insert_with(|| of.into());
                    fields
                        .entry("apiVersion")
                        .or_insert_with(|| version.clone().into());
                }
                self.take_nested(item, settings, depth - 1)
                    .map_err(|why| format!("items[{i}]: {why}"))?;
            }
            return Ok(());
        }
        let global = kind == "IngressClass";
        let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
        let Some(name) = metadata
            .as_ref()
            .and_then(|m| m.get("name")?.as_str())
            .map(str::to_owned)
        else {
            return Err(format!("this {kind} has no metadata.name"));
        };
        let namespace = match metadata {
            Some(metadata) if !global => {
                let namespace = metadata
                    .entry("namespace")
                    .or_insert_with(|| "default".into());
                namespace.as_str().unwrap_or_default().to_owned()
            }
            _ => String::new(),
        };
        match (kind.as_str(), version.as_str()) {
            ("Ingress" | "IngressClass", "networking.k8s.io/v1")
            | ("Service" | "Secret" | "ConfigMap", "v1") => {}
            ("Ingress" | "IngressClass", _) => {
                return Err(format!(
                    "{kind} {name} is of {version}: write it as networking.k8s.io/v1, which is what \
                     `kubectl get {} -o yaml` prints",
                    kind.to_lowercase()
                ));
            }
            _ => return Ok(()),
        }
        if !self
            .seen
            .insert((kind.clone(), namespace.clone(), name.clone()))
        {
            return Err(format!(
                "{kind} {namespace}/{name} was read already: give each object once"
            ));
        }
        match kind.as_str() {
            "Ingress" => self.ingresses.push(read(object)?),
            "IngressClass" => self.ingress_classes.push(read(object)?),
            "Service" => self.services.get_or_insert_default().push(read(object)?),
            "Secret" => {
                let secret = secret(object)?;
                match secret.type_.as_deref() {
                    Some("kubernetes.io/tls") => {
                        let read = Arc::new(TlsSecret::read(&secret));
                        self.tls_secrets.get_or_insert_default().push(read);
                    }
                    None | Some("Opaque") => {
                        let read = Arc::new(AuthSecret::read(&secret));
                        self.other_secrets.get_or_insert_default().push(read);
                    }
                    Some(_) => {}
                }
            }
            _ => {
                let full = format!("{namespace}/{name}");
                let map: Arc<ConfigMap> = read(object)?;
                if settings.map_or_else(|| is_controllers(&name), |wanted| wanted == full) {
                    self.settings
                        .insert(full, map.data.clone().unwrap_or_default());
                } else {
                    let maps = self.config_maps.get_or_insert_default();
                    maps.insert(Arc::new((namespace, name)), map);
                }
            }
        }
        Ok(())
    }
}

/// Names that the installations of ingress-nginx have given its ConfigMap.
fn is_controllers(name: &str) -> bool {
    name == "nginx-configuration" || name.ends_with("ingress-nginx-controller")
}

/// A Secret, whose error must not show its values.
fn secret(object: Value) -> Result<Secret, String> {
    let mut secret: Secret = serde_json::from_value(object).map_err(|_| {
        "this Secret cannot be read: data must hold base64, stringData text".to_owned()
    })?;
    for (key, text) in secret.string_data.take().unwrap_or_default() {
        let data = secret.data.get_or_insert_default();
        data.insert(key, ByteString(text.into_bytes()));
    }
    Ok(secret)
}

fn read<K: DeserializeOwned>(object: Value) -> Result<Arc<K>, String> {
    let named = format!(
        "{} {}",
        text(&object["kind"]),
        text(&object["metadata"]["name"])
    );
    serde_json::from_value(object)
        .map(Arc::new)
        .map_err(|error| format!("{named} cannot be read: {error}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
