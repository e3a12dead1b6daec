//! What keeps a cluster from joining, and what to do about it.

use super::rights::{self, Right};
use crate::client::{ClientError, chain};
use std::error::Error;
use std::fmt;
use std::io;

/// Why a cluster did not join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// Its name cannot be a name.
    #[error("{name:?} cannot be the name of a cluster")]
    Name {
        /// What was given.
        name: String,
    },
    /// A region or zone cannot be stored.
    #[error("--{option} {value:?} is not between 1 and 63 characters long")]
    Location {
        /// `region` or `zone`.
        option: &'static str,
        /// What was given.
        value: String,
    },
    /// Its kubeconfig cannot be used.
    #[error(transparent)]
    Client(ClientError),
    /// Its API server does not answer as one.
    #[error("the API server {server} {why}")]
    Unreachable {
        /// Its URL.
        server: String,
        /// In which way.
        why: Unreachable,
    },
    /// The kubeconfig's identity may not do what the hub needs.
    #[error("{} may not {}", user.as_deref().unwrap_or("the kubeconfig's identity"), list(missing))]
    Rights {
        /// Who the member says the identity is.
        user: Option<String>,
        /// What it may not do.
        missing: Vec<Right>,
    },
    /// The member answered the first question and not another one.
    #[error("the member did not answer while {doing}: {why}")]
    Member {
        /// What was asked.
        doing: &'static str,
        /// Its answer.
        why: String,
    },
    /// The name stands for another cluster.
    #[error(
        "the hub has a Cluster {name} already, and it is another cluster (uid {known}, not {found})"
    )]
    OtherCluster {
        /// The name.
        name: String,
        /// Identity on the hub.
        known: String,
        /// Identity of the member.
        found: String,
    },
    /// The cluster is the hub.
    #[error("this is the hub itself (uid {uid}), which has no workloads to send requests to")]
    TheHub {
        /// Identity of the hub.
        uid: String,
    },
    /// The cluster has another name.
    #[error("this cluster (uid {uid}) is a member already, as Cluster {name}")]
    OtherName {
        /// Its name on the hub.
        name: String,
        /// Identity of the member.
        uid: String,
    },
    /// The hub does not know Clusters.
    #[error("the hub's API does not know the kind Cluster of fleet.tidegate.io")]
    NotAHub,
    /// The hub did not do what it was asked.
    #[error("the hub failed while {doing}: {why}")]
    Hub {
        /// What was asked.
        doing: String,
        /// Its answer.
        why: String,
    },
}

impl JoinError {
    /// What to do next, in one or several lines.
    pub fn hint(&self) -> String {
        match self {
            Self::Name { .. } => "use 1 to 63 lower-case letters, digits and '-', with a letter or digit at both ends".to_owned(),
            Self::Location { option, .. } => format!("give a shorter --{option}, such as eu-central-a"),
            Self::Client(_) => "`kubectl config view --raw --flatten --minify` prints a self-contained kubeconfig; \
                `kubectl create token` makes a token for a ServiceAccount"
                .to_owned(),
            Self::Unreachable { why, .. } => why.hint().to_owned(),
            Self::Rights { user, .. } => {
                format!("grant the rights on the member with kubectl apply, then join again:\n\n{}", rights::grant_yaml(user.as_deref()))
            }
            Self::Member { .. } => "look at the member's API server, then join again".to_owned(),
            Self::OtherCluster { name, .. } => {
                format!("join under another name, or with --replace if {name} is to be this cluster from now on")
            }
            Self::OtherName { name, .. } => {
                format!("join as {name} to renew it, or first remove that one: kubectl delete cluster.fleet.tidegate.io {name}")
            }
            Self::TheHub { .. } => "give --kubeconfig the kubeconfig of the member cluster, not that of the hub".to_owned(),
            Self::NotAHub => "check that --hub-kubeconfig is the admin.kubeconfig of a `tidegate server`".to_owned(),
            Self::Hub { .. } => "check that the hub runs and that its kubeconfig may create Namespaces, Secrets and Clusters, \
                then join again"
                .to_owned(),
        }
    }
}

/// In which way an API server is out of reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// Nothing listens at the address.
    Refused,
    /// Nothing came back in time.
    TimedOut,
    /// Its certificate is not trusted by the kubeconfig's CA.
    Untrusted(String),
    /// It does not accept the kubeconfig's credentials.
    Unauthorized,
    /// It answers, but not as a Kubernetes API server.
    NotKubernetes(String),
    /// Anything else, such as a name that does not resolve.
    Other(String),
}

impl Unreachable {
    fn hint(&self) -> &'static str {
        match self {
            Self::Refused => "check the server's port and that the API server runs",
            Self::TimedOut => {
                "check the address, and that no firewall between the hub and the member drops packets"
            }
            Self::Untrusted(_) => {
                "check that certificate-authority-data is the CA of this server and that the server's certificate covers the host in its URL (or set tls-server-name)"
            }
            Self::Unauthorized => {
                "the token or client certificate is wrong, expired or of another cluster: fetch a fresh kubeconfig"
            }
            Self::NotKubernetes(_) => {
                "check that the server's URL is that of a Kubernetes API server"
            }
            Self::Other(_) => "check the server's URL in the kubeconfig",
        }
    }

    /// From what a request ended with.
    pub(super) fn from_kube(error: &kube::Error) -> Self {
        if let kube::Error::Api(status) = error {
            return match status.code {
                401 => Self::Unauthorized,
                _ => Self::NotKubernetes(format!("{} {}", status.code, status.message)),
            };
        }
        if matches!(error, kube::Error::SerdeError(_) | kube::Error::FromUtf8(_)) {
            return Self::NotKubernetes(chain(error));
        }
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = cause {
            if let Some(known) = error.downcast_ref::<io::Error>().and_then(Self::from_io) {
                return known;
            }
            if let Some(known) = error
                .downcast_ref::<rustls::Error>()
                .and_then(Self::from_tls)
            {
                return known;
            }
            cause = error.source();
        }
        Self::Other(chain(error))
    }

    fn from_io(error: &io::Error) -> Option<Self> {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Some(Self::Refused),
            io::ErrorKind::TimedOut => Some(Self::TimedOut),
            // TLS errors come wrapped, and `source` of an io::Error leaves the wrapped one out.
            _ => match error.get_ref()?.downcast_ref::<io::Error>() {
                Some(inner) => Self::from_io(inner),
                None => Self::from_tls(error.get_ref()?.downcast_ref::<rustls::Error>()?),
            },
        }
    }

    fn from_tls(error: &rustls::Error) -> Option<Self> {
        match error {
            rustls::Error::InvalidCertificate(why) => Some(Self::Untrusted(why.to_string())),
            // A server that asks for a certificate says so after the handshake.
            rustls::Error::AlertReceived(alert) if concerns_client(*alert) => {
                Some(Self::Unauthorized)
            }
            _ => None,
        }
    }
}

fn concerns_client(alert: rustls::AlertDescription) -> bool {
    use rustls::AlertDescription as Alert;
    matches!(
        alert,
        Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::CertificateRequired
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
    )
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("refuses connections"),
            Self::TimedOut => write!(
                f,
                "did not answer within {} s",
                super::REACH_DEADLINE.as_secs()
            ),
            Self::Untrusted(why) => write!(f, "is not trusted by the kubeconfig's CA: {why}"),
            Self::Unauthorized => f.write_str("does not accept the kubeconfig's credentials (401)"),
            Self::NotKubernetes(why) => {
                write!(f, "does not answer like a Kubernetes API server: {why}")
            }
            Self::Other(why) => write!(f, "cannot be reached: {why}"),
        }
    }
}

fn list(rights: &[Right]) -> String {
    let texts: Vec<String> = rights.iter().map(ToString::to_string).collect();
    texts.join(", ")
}
