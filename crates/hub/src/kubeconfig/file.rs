//! The fields of a kubeconfig file that are looked at. Everything else in it is left out.

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct File {
    pub(super) current_context: Option<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) contexts: Vec<Named<FileContext>>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) clusters: Vec<Named<FileCluster>>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) users: Vec<Named<FileUser>>,
}

#[derive(Deserialize)]
pub(super) struct Named<T> {
    pub(super) name: String,
    #[serde(alias = "context", alias = "cluster", alias = "user")]
    pub(super) content: Option<T>,
}

#[derive(Deserialize)]
pub(super) struct FileContext {
    pub(super) cluster: Option<String>,
    pub(super) user: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct FileCluster {
    pub(super) server: Option<String>,
    pub(super) certificate_authority_data: Option<String>,
    pub(super) certificate_authority: Option<String>,
    pub(super) insecure_skip_tls_verify: Option<bool>,
    pub(super) proxy_url: Option<String>,
    pub(super) tls_server_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct FileUser {
    pub(super) client_certificate_data: Option<String>,
    pub(super) client_key_data: Option<String>,
    pub(super) token: Option<String>,
    pub(super) client_certificate: Option<String>,
    pub(super) client_key: Option<String>,
    #[serde(rename = "tokenFile")]
    pub(super) token_file: Option<String>,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) exec: Option<IgnoredAny>,
    pub(super) auth_provider: Option<IgnoredAny>,
    #[serde(rename = "as")]
    pub(super) act_as: Option<String>,
    #[serde(rename = "as-uid")]
    pub(super) act_as_uid: Option<String>,
    #[serde(rename = "as-groups")]
    pub(super) act_as_groups: Option<IgnoredAny>,
    #[serde(rename = "as-user-extra")]
    pub(super) act_as_extra: Option<IgnoredAny>,
}

impl File {
    /// Errors are texts without the lines they are about, because those may hold a secret.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let options = serde_saphyr::options! { with_snippet: false };
        serde_saphyr::from_str_with_options(text, options).map_err(|error| match error.location() {
            Some(at) => format!(
                "line {} column {} does not fit a kubeconfig",
                at.line(),
                at.column()
            ),
            None => "it does not have the shape of a kubeconfig".to_owned(),
        })
    }
}

/// A kubeconfig of one context with what was checked. Its scalars are in JSON's notation, which is
/// YAML too, so that no text can be taken for a number or a date.
pub(super) fn render(cluster: &FileCluster, user: &FileUser) -> String {
    let fields = |pairs: &[(&str, &Option<String>)]| -> String {
        pairs
            .iter()
            .filter_map(|(name, value)| {
                Some((name, value.as_ref().filter(|value| !value.is_empty())?))
            })
            .map(|(name, value)| {
                format!("    {name}: {}\n", serde_json::Value::from(value.as_str()))
            })
            .collect()
    };
    let cluster = fields(&[
        ("server", &cluster.server),
        (
            "certificate-authority-data",
            &cluster.certificate_authority_data,
        ),
        ("tls-server-name", &cluster.tls_server_name),
    ]);
    let user = fields(&[
        ("client-certificate-data", &user.client_certificate_data),
        ("client-key-data", &user.client_key_data),
        ("token", &user.token),
    ]);
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: member\n\
         contexts:\n- name: member\n  context:\n    cluster: member\n    user: member\n\
         clusters:\n- name: member\n  cluster:\n{cluster}\
         users:\n- name: member\n  user:\n{user}"
    )
}

fn null_is_empty<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
