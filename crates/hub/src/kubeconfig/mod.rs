//! Kubeconfigs of members, read strictly.
//!
//! A kubeconfig is somebody else's file that the hub acts upon. It may name a server, its CA and an
//! identity, all inline, and nothing that would run a program, read a file of this machine, go through
//! a proxy or trust anybody. Only the current context counts; what others in the file say is not looked at.

mod file;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use file::{File, FileCluster, FileContext, FileUser, Named};
use std::fmt;

/// The longest kubeconfig that is read, in bytes.
pub const KUBECONFIG_LIMIT: usize = 1 << 20;

const FLATTEN: &str = "the hub reads no files for a kubeconfig; embed it with `kubectl config view --raw --flatten --minify`";
const NO_PROGRAMS: &str = "the hub runs no programs for a kubeconfig; use a client certificate or the token of a ServiceAccount";
const NO_IMPERSONATION: &str = "the hub does not act as somebody else; use that identity itself";
const NO_BASIC: &str = "basic authentication is not supported; use a client certificate or a token";

/// A kubeconfig that may be used, reduced to its current context.
#[derive(Clone)]
pub struct MemberKubeconfig {
    context: String,
    server: String,
    reduced: String,
}

/// Why a kubeconfig is refused. No variant carries a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KubeconfigError {
    /// It is too long to be one.
    #[error("the kubeconfig is {bytes} bytes long; at most {KUBECONFIG_LIMIT} are read")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// It is not YAML of the right shape.
    #[error("the kubeconfig is not valid YAML: {0}")]
    Unreadable(String),
    /// The context to use cannot be told.
    #[error(
        "kubeconfig field current-context {problem}; contexts in the file: {}. Choose one with `kubectl config use-context NAME`",
        list(contexts)
    )]
    Context {
        /// What is wrong with it.
        problem: String,
        /// The names the file has.
        contexts: Vec<String>,
    },
    /// A field that is needed is not there.
    #[error("kubeconfig field {field} is missing: {hint}")]
    Missing {
        /// Its path, such as `clusters[0].cluster.server`.
        field: String,
        /// What to do.
        hint: String,
    },
    /// A field is there that must not be, or says what it must not.
    #[error("kubeconfig field {field} is refused: {hint}")]
    Refused {
        /// Its path, such as `users[0].user.exec`.
        field: String,
        /// Why, and what to do.
        hint: String,
    },
}

impl MemberKubeconfig {
    /// Reads a kubeconfig and checks every field of its current context.
    ///
    /// # Errors
    /// [`KubeconfigError`] with the path of the first field that is wrong.
    pub fn parse(text: &str) -> Result<Self, KubeconfigError> {
        if text.len() > KUBECONFIG_LIMIT {
            return Err(KubeconfigError::TooLarge { bytes: text.len() });
        }
        let file = File::read(text).map_err(KubeconfigError::Unreadable)?;
        let (at, context) = current_context(&file)?;
        let cluster_name = wanted(&context.cluster, &format!("contexts[{at}].context.cluster"))?;
        let user_name = wanted(&context.user, &format!("contexts[{at}].context.user"))?;
        let (at, cluster) = entry("clusters", &file.clusters, cluster_name)?;
        check_cluster(&format!("clusters[{at}].cluster"), cluster)?;
        let (at, user) = entry("users", &file.users, user_name)?;
        check_user(&format!("users[{at}].user"), user)?;
        Ok(Self {
            context: file.current_context.clone().unwrap_or_default(),
            server: cluster.server.clone().unwrap_or_default(),
            reduced: file::render(cluster, user),
        })
    }

    /// The name of the context in the file it came from.
    pub fn context(&self) -> &str {
        &self.context
    }

    /// URL of the API server.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The checked fields alone, as a kubeconfig of its own. Holds the credentials.
    pub fn reduced(&self) -> &str {
        &self.reduced
    }
}

/// Without the credentials.
impl fmt::Debug for MemberKubeconfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemberKubeconfig")
            .field("context", &self.context)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

fn current_context(file: &File) -> Result<(usize, &FileContext), KubeconfigError> {
    let error = |problem: String| KubeconfigError::Context {
        problem,
        contexts: file.contexts.iter().map(|c| c.name.clone()).collect(),
    };
    let current = file.current_context.as_deref().unwrap_or_default();
    if current.is_empty() {
        return Err(error("is missing".to_owned()));
    }
    let mut found = file
        .contexts
        .iter()
        .enumerate()
        .filter(|(_, c)| c.name == current);
    let (at, named) = found
        .next()
        .ok_or_else(|| error(format!("names {current:?}, which does not exist")))?;
    if found.next().is_some() {
        return Err(error(format!(
            "names {current:?}, which exists more than once"
        )));
    }
    match &named.content {
        Some(context) => Ok((at, context)),
        None => Err(missing(
            &format!("contexts[{at}].context"),
            "the current context must have a cluster and a user",
        )),
    }
}

/// The one entry of a list with that name, and its index.
fn entry<'a, T>(
    list: &str,
    entries: &'a [Named<T>],
    name: &str,
) -> Result<(usize, &'a T), KubeconfigError> {
    let mut found = entries.iter().enumerate().filter(|(_, e)| e.name == name);
    let Some((at, named)) = found.next() else {
        return Err(missing(
            list,
            &format!("the current context refers to {name:?}, which is not in the list"),
        ));
    };
    if let Some((second, _)) = found.next() {
        return Err(refused(
            &format!("{list}[{second}].name"),
            &format!("{name:?} exists more than once"),
        ));
    }
    let item = list.trim_end_matches('s');
    match &named.content {
        Some(content) => Ok((at, content)),
        None => Err(missing(
            &format!("{list}[{at}].{item}"),
            "it must not be empty",
        )),
    }
}

fn check_cluster(at: &str, cluster: &FileCluster) -> Result<(), KubeconfigError> {
    let field = |name: &str| format!("{at}.{name}");
    check_server(&field("server"), wanted(&cluster.server, &field("server"))?)?;
    if cluster.insecure_skip_tls_verify == Some(true) {
        let hint = "the server must prove who it is; put its CA into certificate-authority-data";
        return Err(refused(&field("insecure-skip-tls-verify"), hint));
    }
    if present(&cluster.certificate_authority) {
        return Err(refused(&field("certificate-authority"), FLATTEN));
    }
    if present(&cluster.proxy_url) {
        return Err(refused(
            &field("proxy-url"),
            "the hub reaches members directly; remove it",
        ));
    }
    let name = field("certificate-authority-data");
    match &cluster.certificate_authority_data {
        Some(data) if !data.is_empty() => check_pem(&name, data, "CERTIFICATE"),
        _ => Err(missing(
            &name,
            "the CA that signed the server's certificate must be embedded",
        )),
    }
}

fn check_server(field: &str, server: &str) -> Result<(), KubeconfigError> {
    // A URL may carry a password, so it is not repeated.
    let uri: http::Uri = server.parse().map_err(|error| {
        refused(
            field,
            &format!("it is not a URL ({error}); it must look like https://HOST:PORT"),
        )
    })?;
    if uri.scheme() != Some(&http::uri::Scheme::HTTPS) {
        return Err(refused(
            field,
            "it must begin with https://, so that the server proves who it is",
        ));
    }
    if uri
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'))
    {
        return Err(refused(
            field,
            "it must not contain a user name or password",
        ));
    }
    if uri.query().is_some() {
        return Err(refused(field, "it must not have a query"));
    }
    Ok(())
}

fn check_user(at: &str, user: &FileUser) -> Result<(), KubeconfigError> {
    let forbidden = [
        ("exec", user.exec.is_some(), NO_PROGRAMS),
        ("auth-provider", user.auth_provider.is_some(), NO_PROGRAMS),
        (
            "client-certificate",
            present(&user.client_certificate),
            FLATTEN,
        ),
        ("client-key", present(&user.client_key), FLATTEN),
        ("tokenFile", present(&user.token_file), FLATTEN),
        ("as", present(&user.act_as), NO_IMPERSONATION),
        ("as-uid", present(&user.act_as_uid), NO_IMPERSONATION),
        ("as-groups", user.act_as_groups.is_some(), NO_IMPERSONATION),
        (
            "as-user-extra",
            user.act_as_extra.is_some(),
            NO_IMPERSONATION,
        ),
        ("username", present(&user.username), NO_BASIC),
        ("password", present(&user.password), NO_BASIC),
    ];
    if let Some((name, _, hint)) = forbidden.iter().find(|(_, there, _)| *there) {
        return Err(refused(&format!("{at}.{name}"), hint));
    }
    let certificate = (
        format!("{at}.client-certificate-data"),
        &user.client_certificate_data,
    );
    let key = (format!("{at}.client-key-data"), &user.client_key_data);
    match (present(certificate.1), present(key.1)) {
        (true, false) => return Err(missing(&key.0, "client-certificate-data needs its key")),
        (false, true) => {
            return Err(missing(
                &certificate.0,
                "client-key-data needs its certificate",
            ));
        }
        (false, false) if !present(&user.token) => {
            return Err(missing(
                at,
                "it has no credentials: give client-certificate-data with client-key-data, or token",
            ));
        }
        _ => {}
    }
    for ((field, data), tag) in [(certificate, "CERTIFICATE"), (key, "PRIVATE KEY")] {
        if let Some(data) = data.as_deref().filter(|data| !data.is_empty()) {
            check_pem(&field, data, tag)?;
        }
    }
    match &user.token {
        Some(token) if !token.bytes().all(|byte| byte.is_ascii_graphic()) => Err(refused(
            &format!("{at}.token"),
            "it holds spaces, line ends or other bytes that no token has",
        )),
        _ => Ok(()),
    }
}

/// That data is base64 of a PEM block whose tag ends so. Whether the block is good, TLS says.
fn check_pem(field: &str, data: &str, tag: &str) -> Result<(), KubeconfigError> {
    let compact: String = data.split_ascii_whitespace().collect();
    let bytes = STANDARD
        .decode(compact)
        .map_err(|_| refused(field, "it is not base64 of a PEM file"))?;
    let text = String::from_utf8_lossy(&bytes);
    let begins = |line: &str| {
        line.starts_with("-----BEGIN ") && line.trim_end().ends_with(&format!("{tag}-----"))
    };
    if text.lines().any(begins) {
        Ok(())
    } else {
        Err(refused(field, &format!("it holds no PEM block {tag}")))
    }
}

fn present(field: &Option<String>) -> bool {
    field.as_ref().is_some_and(|text| !text.is_empty())
}

fn wanted<'a>(value: &'a Option<String>, field: &str) -> Result<&'a str, KubeconfigError> {
    value
        .as_deref()
        .filter(|text| !text.is_empty())
        .ok_or_else(|| missing(field, "the current context needs it"))
}

fn missing(field: &str, hint: &str) -> KubeconfigError {
    KubeconfigError::Missing {
        field: field.to_owned(),
        hint: hint.to_owned(),
    }
}

fn refused(field: &str, hint: &str) -> KubeconfigError {
    KubeconfigError::Refused {
        field: field.to_owned(),
        hint: hint.to_owned(),
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

#[cfg(test)]
mod tests;
