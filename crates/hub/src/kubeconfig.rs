//! Kubeconfigs of members, read strictly.
//!
//! A kubeconfig is somebody else's file that this process acts upon. So it may name a server, a CA and an
//! identity, all inline, and nothing that would run a program, read a file of this machine, go through a
//! proxy or trust anybody.

use serde_json::Value;
use std::fmt;

/// The longest kubeconfig that is read.
const LIMIT: usize = 256 * 1024;

/// A kubeconfig that may be used, reduced to its current context.
#[derive(Clone)]
pub struct MemberKubeconfig {
    /// Where the API is.
    pub server: String,
    reduced: Value,
}

/// A kubeconfig that is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KubeconfigError {
    /// It is not a kubeconfig.
    #[error("the kubeconfig cannot be read: {0}")]
    Unreadable(String),
    /// A field that must be there is not.
    #[error("kubeconfig field {field} is missing: {hint}")]
    Missing {
        /// Which.
        field: String,
        /// What to do.
        hint: &'static str,
    },
    /// A field that must not be there is.
    #[error("kubeconfig field {field} is refused: {hint}")]
    Refused {
        /// Which.
        field: String,
        /// Why, and what to do.
        hint: &'static str,
    },
}

/// Fields of a user that are refused, with the reason.
const REFUSED_USER: [(&str, &str); 11] = [
    (
        "exec",
        "the hub runs no program for a kubeconfig; use a client certificate or a token of a ServiceAccount",
    ),
    (
        "auth-provider",
        "authentication plug-ins are not supported; use a client certificate or a token",
    ),
    (
        "client-certificate",
        "files are not read; put the content into client-certificate-data (kubectl config view --raw --flatten)",
    ),
    (
        "client-key",
        "files are not read; put the content into client-key-data (kubectl config view --raw --flatten)",
    ),
    ("tokenFile", "files are not read; put the token into token"),
    (
        "username",
        "basic authentication is not supported; use a client certificate or a token",
    ),
    (
        "password",
        "basic authentication is not supported; use a client certificate or a token",
    ),
    (
        "as",
        "acting as somebody else is not supported; use that identity itself",
    ),
    (
        "as-uid",
        "acting as somebody else is not supported; use that identity itself",
    ),
    (
        "as-groups",
        "acting as somebody else is not supported; use that identity itself",
    ),
    (
        "as-user-extra",
        "acting as somebody else is not supported; use that identity itself",
    ),
];

/// Fields of a cluster that are refused, with the reason.
const REFUSED_CLUSTER: [(&str, &str); 3] = [
    (
        "certificate-authority",
        "files are not read; put the content into certificate-authority-data (kubectl config view --raw --flatten)",
    ),
    ("proxy-url", "the hub reaches members directly"),
    (
        "insecure-skip-tls-verify",
        "the server's identity is always verified; put its CA into certificate-authority-data",
    ),
];

impl MemberKubeconfig {
    /// Reads a kubeconfig and checks every field that would be used.
    ///
    /// # Errors
    /// [`KubeconfigError`] names the field.
    pub fn parse(text: &str) -> Result<Self, KubeconfigError> {
        if text.len() > LIMIT {
            return Err(KubeconfigError::Unreadable(format!(
                "it is larger than {LIMIT} bytes"
            )));
        }
        let all: Value = serde_saphyr::from_str(text)
            .map_err(|error| KubeconfigError::Unreadable(error.to_string()))?;
        if !all.is_object() {
            return Err(KubeconfigError::Unreadable(
                "it is not a mapping".to_owned(),
            ));
        }
        let context = current_context(&all)?;
        let cluster_name = text_of(&context, "cluster", "contexts[].context.cluster")?;
        let user_name = text_of(&context, "user", "contexts[].context.user")?;
        let cluster = named(&all, "clusters", "cluster", &cluster_name)?;
        let user = named(&all, "users", "user", &user_name)?;
        refuse(
            "clusters",
            "cluster",
            &cluster_name,
            &cluster,
            &REFUSED_CLUSTER,
        )?;
        refuse("users", "user", &user_name, &user, &REFUSED_USER)?;
        let field = |kind: &str, item: &str, name: &str, field: &str| {
            format!("{kind}[{name}].{item}.{field}")
        };
        let server = text_of(
            &cluster,
            "server",
            &field("clusters", "cluster", &cluster_name, "server"),
        )?;
        if !server.starts_with("https://") {
            return Err(KubeconfigError::Refused {
                field: field("clusters", "cluster", &cluster_name, "server"),
                hint: "it must begin with https://, so that the server proves who it is",
            });
        }
        if !present(&cluster, "certificate-authority-data") {
            return Err(KubeconfigError::Missing {
                field: field(
                    "clusters",
                    "cluster",
                    &cluster_name,
                    "certificate-authority-data",
                ),
                hint: "the CA that signed the server's certificate must be given inline",
            });
        }
        let certificate =
            present(&user, "client-certificate-data") && present(&user, "client-key-data");
        if !certificate && !present(&user, "token") {
            return Err(KubeconfigError::Missing {
                field: field("users", "user", &user_name, "token"),
                hint: "give a token, or client-certificate-data with client-key-data",
            });
        }
        let reduced = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "member",
            "contexts": [{ "name": "member", "context": { "cluster": "member", "user": "member" } }],
            "clusters": [{ "name": "member", "cluster": pick(&cluster, &["server", "certificate-authority-data", "tls-server-name"]) }],
            "users": [{ "name": "member", "user": pick(&user, &["client-certificate-data", "client-key-data", "token"]) }],
        });
        Ok(Self { server, reduced })
    }

    /// The checked fields alone, as a kubeconfig. JSON is YAML.
    pub fn reduced(&self) -> String {
        self.reduced.to_string()
    }

    pub(crate) fn to_kube(&self) -> Result<kube::config::Kubeconfig, KubeconfigError> {
        serde_json::from_value(self.reduced.clone())
            .map_err(|error| KubeconfigError::Unreadable(error.to_string()))
    }
}

/// The identity in it is a secret.
impl fmt::Debug for MemberKubeconfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemberKubeconfig")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

fn current_context(all: &Value) -> Result<Value, KubeconfigError> {
    let current = all
        .get("current-context")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let contexts = all.get("contexts").and_then(Value::as_array);
    if current.is_empty() {
        return match contexts.map(Vec::as_slice) {
            Some([only]) => Ok(only.get("context").cloned().unwrap_or_default()),
            _ => Err(KubeconfigError::Missing {
                field: "current-context".to_owned(),
                hint: "there is not exactly one context, so one must be chosen (kubectl config use-context)",
            }),
        };
    }
    named(all, "contexts", "context", current)
}

fn named(all: &Value, list: &str, item: &str, name: &str) -> Result<Value, KubeconfigError> {
    all.get(list)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .find(|entry| entry.get("name").and_then(Value::as_str) == Some(name))
        .and_then(|entry| entry.get(item))
        .filter(|value| value.is_object())
        .cloned()
        .ok_or_else(|| KubeconfigError::Missing {
            field: format!("{list}[{name}].{item}"),
            hint: "the current context leads to it",
        })
}

fn refuse(
    list: &str,
    item: &str,
    name: &str,
    value: &Value,
    refused: &[(&str, &'static str)],
) -> Result<(), KubeconfigError> {
    match refused.iter().find(|(field, _)| present(value, field)) {
        Some((field, hint)) => Err(KubeconfigError::Refused {
            field: format!("{list}[{name}].{item}.{field}"),
            hint,
        }),
        None => Ok(()),
    }
}

/// Whether a field says anything: not null, not false, not empty.
fn present(value: &Value, field: &str) -> bool {
    match value.get(field) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(fields)) => !fields.is_empty(),
        Some(Value::Bool(true) | Value::Number(_)) => true,
    }
}

fn text_of(value: &Value, key: &str, field: &str) -> Result<String, KubeconfigError> {
    value
        .get(key)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
        .ok_or_else(|| KubeconfigError::Missing {
            field: field.to_owned(),
            hint: "it must be a text",
        })
}

fn pick(value: &Value, keys: &[&str]) -> Value {
    let kept = keys.iter().filter(|key| present(value, key));
    Value::Object(
        kept.map(|key| ((*key).to_owned(), value[*key].clone()))
            .collect(),
    )
}

#[cfg(test)]
mod tests;
