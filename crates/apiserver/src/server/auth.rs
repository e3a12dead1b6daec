//! Who is asking, from the client certificate; and what they may do.
//!
//! There are no roles yet: members of `system:masters` may do everything, everyone else with a
//! certificate nothing, and clients without one may only ask for health and version.

use crate::status::{ApiResult, Status};
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// The group that may do everything.
pub(crate) const MASTERS: &str = "system:masters";

/// The user behind a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Identity {
    Anonymous,
    User { name: String, groups: Vec<String> },
}

impl Identity {
    /// Common name and organisations of a verified certificate.
    pub(crate) fn from_certificates(certificates: Option<&[CertificateDer<'_>]>) -> Identity {
        let Some(first) = certificates.and_then(<[_]>::first) else {
            return Identity::Anonymous;
        };
        let Ok((_, cert)) = X509Certificate::from_der(first) else {
            return Identity::Anonymous;
        };
        let subject = cert.subject();
        let Some(name) = subject
            .iter_common_name()
            .next()
            .and_then(|a| a.as_str().ok())
        else {
            return Identity::Anonymous;
        };
        let mut groups: Vec<String> = subject
            .iter_organization()
            .filter_map(|a| a.as_str().ok())
            .map(str::to_owned)
            .collect();
        groups.push("system:authenticated".to_owned());
        Identity::User {
            name: name.to_owned(),
            groups,
        }
    }

    /// The user's name as Kubernetes shows it.
    pub(crate) fn name(&self) -> &str {
        match self {
            Identity::Anonymous => "system:anonymous",
            Identity::User { name, .. } => name,
        }
    }

    /// The user's groups.
    pub(crate) fn groups(&self) -> Vec<&str> {
        match self {
            Identity::Anonymous => vec!["system:unauthenticated"],
            Identity::User { groups, .. } => groups.iter().map(String::as_str).collect(),
        }
    }

    /// Whether the user may do everything.
    pub(crate) fn is_master(&self) -> bool {
        self.groups().contains(&MASTERS)
    }

    /// Lets a request for a path through, or says why not.
    pub(crate) fn authorize(&self, path: &str) -> ApiResult<()> {
        let open = |p: &str| {
            path.strip_prefix(p)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if self.is_master()
            || ["/livez", "/readyz", "/healthz", "/version"]
                .into_iter()
                .any(open)
        {
            return Ok(());
        }
        match self {
            Identity::Anonymous => Err(Status::unauthorized()),
            Identity::User { name, .. } => Err(Status::new(
                403,
                "Forbidden",
                format!(
                    "forbidden: User {name:?} cannot access path {path:?}: only members of {MASTERS} may"
                ),
            )),
        }
    }
}
