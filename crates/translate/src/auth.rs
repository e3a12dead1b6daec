//! Users of basic authentication: the Secrets that annotations name.
//!
//! Whatever is missing or cannot be read closes the routes (503). Nothing of a Secret but names of users is ever
//! told.

use crate::annotation::{PasswordSpec, UsersForm};
use crate::diagnostic::{Sink, quote};
use crate::{Reason, TlsSecret};

use crate::ingress::Mine;
use crate::tls::AUTHORITIES;
use k8s_openapi::api::core::v1::Secret;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use tidegate_model::{BasicAuth, PasswordHash};

/// A Secret of type `Opaque`. `Debug` shows the names of its keys only.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthSecret {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    data: BTreeMap<String, Vec<u8>>,
    /// Certificates, where it holds those of authorities: `kubectl create secret generic` makes it of this type.
    tls: Option<TlsSecret>,
}

/// The Secrets by namespace and name.
pub(crate) struct AuthSecrets<'a>(HashMap<(&'a str, &'a str), &'a AuthSecret>);

/// Users that can be served, and one of those who cannot, with the reason and how many more there are.
#[derive(Debug)]
struct Users {
    good: BTreeMap<String, PasswordHash>,
    bad: Option<(String, &'static str, usize)>,
}

impl AuthSecret {
    /// Takes the data of a Secret.
    pub fn read(secret: &Secret) -> Self {
        let data = secret.data.iter().flatten();
        Self {
            namespace: secret.metadata.namespace.clone().unwrap_or_default(),
            name: secret.metadata.name.clone().unwrap_or_default(),
            data: data
                .map(|(key, bytes)| (key.clone(), bytes.0.clone()))
                .collect(),
            tls: secret
                .data
                .as_ref()
                .is_some_and(|data| data.contains_key(AUTHORITIES))
                .then(|| TlsSecret::read(secret)),
        }
    }

    /// The certificates in it.
    pub(crate) fn tls(&self) -> Option<&TlsSecret> {
        self.tls.as_ref()
    }

    /// The users in it. Of several lines for one name the first counts, as in nginx.
    fn users(&self, form: UsersForm) -> Result<Users, String> {
        let mut users = Users {
            good: BTreeMap::new(),
            bad: None,
        };
        match form {
            UsersForm::Map => {
                for (name, bytes) in &self.data {
                    let text = str::from_utf8(bytes).unwrap_or_default();
                    users.add(name, text.trim_ascii_end());
                }
            }
            UsersForm::File => {
                let bytes = self.data.get("auth").ok_or("data[auth] is missing")?;
                let text = str::from_utf8(bytes).map_err(|_| "data[auth] is not UTF-8")?;
                let lines = text.lines().map(str::trim);
                for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
                    let (name, rest) = line.split_once(':').unwrap_or((line, ""));
                    // What stands behind another colon is a comment.
                    users.add(name, rest.split(':').next().unwrap_or_default());
                }
            }
        }
        Ok(users)
    }
}

impl Users {
    fn add(&mut self, name: &str, text: &str) {
        match PasswordHash::new(text) {
            Ok(hash) => {
                self.good.entry(name.to_owned()).or_insert(hash);
            }
            Err(error) => match &mut self.bad {
                Some((_, _, more)) => *more += 1,
                None => self.bad = Some((name.to_owned(), error.reason, 0)),
            },
        }
    }
}

impl<'a> AuthSecrets<'a> {
    pub(crate) fn new(secrets: &'a [Arc<AuthSecret>]) -> Self {
        let named = secrets
            .iter()
            .map(|s| ((&*s.namespace, &*s.name), s.as_ref()));
        Self(named.collect())
    }

    /// Puts the users whom the annotations of `mine` mean into its filters, or closes its routes.
    pub(crate) fn apply(&self, mine: &mut Mine<'_>, diagnostics: &mut Sink) {
        let Some(spec) = mine.annotations.password.take() else {
            return;
        };
        match self.resolve(&spec, mine, diagnostics) {
            Ok(basic) => mine.annotations.filters.basic_auth = Some(basic),
            Err((reason, why)) => {
                mine.annotations.closed = true;
                let field = format!("metadata.annotations[{}]", spec.secret.1);
                let text = format!(
                    "{why}, so the routes of this Ingress answer 503 rather than being open"
                );
                diagnostics.error(&mine.object, field, reason, text);
            }
        }
    }

    fn resolve(
        &self,
        spec: &PasswordSpec,
        mine: &Mine<'_>,
        diagnostics: &mut Sink,
    ) -> Result<BasicAuth, (Reason, String)> {
        let (name, key) = &spec.secret;
        let namespace = mine.object.namespace.as_str();
        let secret = self.0.get(&(namespace, name.as_str())).ok_or_else(|| {
            let name = quote(name);
            let text = format!(
                "there is no Secret {name} of type Opaque in namespace {namespace} on the hub"
            );
            (Reason::SecretNotFound, text)
        })?;
        let unusable = |why: String| {
            let text = format!("Secret {name} cannot be used: {why}");
            (Reason::Unprotected, text)
        };
        let users = secret.users(spec.form).map_err(unusable)?;
        if let Some((user, why, more)) = &users.bad {
            let more = match more {
                0 => String::new(),
                more => format!(", and {more} more"),
            };
            let text = format!(
                "Secret {name}: user {}{more} cannot log in: {why}",
                quote(user)
            );
            let field = format!("metadata.annotations[{key}]");
            diagnostics.error(&mine.object, field, Reason::InvalidValue, text);
        }
        let basic = BasicAuth {
            realm: spec.realm.clone(),
            users: users.good,
        };
        match basic.validate() {
            Ok(()) => Ok(basic),
            Err((_, why)) => Err(unusable(why)),
        }
    }
}

impl fmt::Debug for AuthSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthSecret")
            .field("namespace", &self.namespace)
            .field("name", &self.name)
            .field("keys", &self.data.keys().collect::<Vec<_>>())
            .finish()
    }
}
