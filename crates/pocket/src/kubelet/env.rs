//! Environment, command and arguments of a container.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{ConfigMap, Container, EnvVar, EnvVarSource, Pod, Secret};
use kube::ResourceExt;

/// An object that a container's environment is read from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SourceRef {
    ConfigMap(String),
    Secret(String),
}

/// The objects found, by reference. A missing one is absent.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    pub(crate) config_maps: BTreeMap<String, ConfigMap>,
    pub(crate) secrets: BTreeMap<String, Secret>,
}

/// Why a container's environment cannot be made. Shown on the pod.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EnvProblem {
    #[error("{0} not found")]
    Missing(String),
    #[error("couldn't find key {key} in {object}")]
    NoKey { key: String, object: String },
    #[error("env {name}: {what} is not supported by a pocket cluster")]
    Unsupported { name: String, what: String },
}

/// The objects whose content `container` needs.
pub(crate) fn references(container: &Container) -> BTreeSet<SourceRef> {
    let mut found = BTreeSet::new();
    for from in container.env_from.iter().flatten() {
        found.extend(
            from.config_map_ref
                .iter()
                .map(|r| SourceRef::ConfigMap(r.name.clone())),
        );
        found.extend(
            from.secret_ref
                .iter()
                .map(|r| SourceRef::Secret(r.name.clone())),
        );
    }
    for source in container
        .env
        .iter()
        .flatten()
        .filter_map(|env| env.value_from.as_ref())
    {
        found.extend(
            source
                .config_map_key_ref
                .iter()
                .map(|r| SourceRef::ConfigMap(r.name.clone())),
        );
        found.extend(
            source
                .secret_key_ref
                .iter()
                .map(|r| SourceRef::Secret(r.name.clone())),
        );
    }
    found
}

/// The environment of `container` in `pod`, whose address is `ip`. Later entries win, as Kubernetes defines it.
pub(crate) fn environment(
    pod: &Pod,
    container: &Container,
    ip: &str,
    host_ip: &str,
    sources: &Sources,
) -> Result<BTreeMap<String, String>, EnvProblem> {
    let mut env = BTreeMap::from([("HOSTNAME".to_owned(), pod.name_any())]);
    for from in container.env_from.iter().flatten() {
        let prefix = from.prefix.as_deref().unwrap_or_default();
        let mut add = |key: &str, value: String| env.insert(format!("{prefix}{key}"), value);
        if let Some(r) = &from.config_map_ref {
            match sources.config_maps.get(&r.name) {
                Some(map) => map
                    .data
                    .iter()
                    .flatten()
                    .for_each(|(k, v)| drop(add(k, v.clone()))),
                None if r.optional == Some(true) => {}
                None => return Err(EnvProblem::Missing(format!("configmap {:?}", r.name))),
            }
        }
        if let Some(r) = &from.secret_ref {
            match sources.secrets.get(&r.name) {
                Some(secret) => secret
                    .data
                    .iter()
                    .flatten()
                    .for_each(|(k, v)| drop(add(k, String::from_utf8_lossy(&v.0).into_owned()))),
                None if r.optional == Some(true) => {}
                None => return Err(EnvProblem::Missing(format!("secret {:?}", r.name))),
            }
        }
    }
    for var in container.env.iter().flatten() {
        let value = match &var.value_from {
            None => Some(expand(var.value.as_deref().unwrap_or_default(), &env)),
            Some(source) => from_source(pod, var, source, ip, host_ip, sources)?,
        };
        if let Some(value) = value {
            env.insert(var.name.clone(), value);
        }
    }
    Ok(env)
}

fn from_source(
    pod: &Pod,
    var: &EnvVar,
    source: &EnvVarSource,
    ip: &str,
    host_ip: &str,
    sources: &Sources,
) -> Result<Option<String>, EnvProblem> {
    let no_key = |key: &str, kind: &str, name: &str| EnvProblem::NoKey {
        key: key.to_owned(),
        object: format!("{kind} {name:?}"),
    };
    if let Some(field) = &source.field_ref {
        let unsupported = || EnvProblem::Unsupported {
            name: var.name.clone(),
            what: format!("fieldRef {}", field.field_path),
        };
        return field_value(pod, &field.field_path, ip, host_ip)
            .map(Some)
            .ok_or_else(unsupported);
    }
    if let Some(r) = &source.config_map_key_ref {
        let value = match sources.config_maps.get(&r.name) {
            None if r.optional != Some(true) => {
                return Err(EnvProblem::Missing(format!("configmap {:?}", r.name)));
            }
            map => map.and_then(|map| map.data.as_ref()?.get(&r.key).cloned()),
        };
        return if value.is_none() && r.optional != Some(true) {
            Err(no_key(&r.key, "configmap", &r.name))
        } else {
            Ok(value)
        };
    }
    if let Some(r) = &source.secret_key_ref {
        let value = match sources.secrets.get(&r.name) {
            None if r.optional != Some(true) => {
                return Err(EnvProblem::Missing(format!("secret {:?}", r.name)));
            }
            secret => secret
                .and_then(|s| s.data.as_ref()?.get(&r.key))
                .map(|v| String::from_utf8_lossy(&v.0).into_owned()),
        };
        return if value.is_none() && r.optional != Some(true) {
            Err(no_key(&r.key, "secret", &r.name))
        } else {
            Ok(value)
        };
    }
    Err(EnvProblem::Unsupported {
        name: var.name.clone(),
        what: "this kind of valueFrom".to_owned(),
    })
}

fn field_value(pod: &Pod, path: &str, ip: &str, host_ip: &str) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let keyed = |map: &BTreeMap<String, String>, prefix: &str| {
        let key = path
            .strip_prefix(prefix)?
            .strip_prefix("['")?
            .strip_suffix("']")?;
        Some(map.get(key).cloned().unwrap_or_default())
    };
    match path {
        "metadata.name" => Some(pod.name_any()),
        "metadata.namespace" => pod.namespace(),
        "metadata.uid" => pod.uid(),
        "spec.nodeName" => spec.node_name.clone(),
        "spec.serviceAccountName" => Some(
            spec.service_account_name
                .clone()
                .unwrap_or_else(|| "default".to_owned()),
        ),
        "status.podIP" | "status.podIPs" => Some(ip.to_owned()),
        "status.hostIP" | "status.hostIPs" => Some(host_ip.to_owned()),
        _ => keyed(pod.labels(), "metadata.labels")
            .or_else(|| keyed(pod.annotations(), "metadata.annotations")),
    }
}

/// Replaces `$(NAME)` by its value; `$$` is a dollar sign, and what is not defined stays as it is.
pub(crate) fn expand(text: &str, env: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|r| r.split_once(')')) {
            match env.get(name) {
                Some(value) => out.push_str(value),
                None => {
                    out.push_str("$(");
                    out.push_str(name);
                    out.push(')');
                }
            }
            rest = after;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests;
