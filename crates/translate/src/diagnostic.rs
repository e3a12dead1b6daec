//! What is wrong with which field of which object.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// The kinds of objects that people write on the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs)] // The variants are the kinds' own names.
pub enum Kind {
    Cluster,
    GatewayConfig,
    IngressClass,
    Ingress,
    FailoverPolicy,
}

/// An object on the hub.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectRef {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; empty for cluster-scoped kinds.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// How much a diagnostic matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Severity {
    /// Something asked for does not happen.
    Error,
    /// Something has no effect, or may not be what was meant.
    Warning,
    /// Worth knowing; nothing is wrong.
    Note,
}

/// Why there is a diagnostic: the reasons of Events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// The object cannot be read as its kind.
    Unreadable,
    /// A host that cannot be served.
    InvalidHost,
    /// A path that cannot be served.
    InvalidPath,
    /// A backend that is not written as it must be.
    InvalidBackend,
    /// A value out of its range or form.
    InvalidValue,
    /// An annotation whose value cannot be used; the annotation alone is ignored.
    InvalidAnnotation,
    /// A known annotation that has no effect yet, or none here.
    NoEffect,
    /// Something Tidegate will not do.
    Refused,
    /// Something else protects the routes and does not work yet: they answer 503.
    Unprotected,
    /// No attached cluster has the Service.
    ServiceNotFound,
    /// The Service has no such port.
    PortNotFound,
    /// There is no Secret of a name. What it was to protect answers 503.
    SecretNotFound,
    /// There is no ConfigMap of a name.
    ConfigMapNotFound,
    /// A certificate that is missing, cannot be used, or is for other hosts.
    BadCertificate,
    /// An older object has it already.
    Conflict,
    /// A canary without the Ingress it is a canary of.
    CanaryWithoutMain,
    /// No IngressClass of this name.
    UnknownClass,
    /// A parameters object that does not exist or is of a kind that cannot be used.
    UnknownParameters,
    /// A cluster that is not in the fleet or not attached.
    UnknownCluster,
    /// No Service or Ingress of the target's name.
    TargetNotFound,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Diagnostic {
    /// The object a person has to look at.
    pub object: ObjectRef,
    /// The field, as `spec.rules[0].http.paths[1].path`; empty for the whole object.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// Why.
    pub reason: Reason,
    /// A sentence: what is wrong, what happens instead, what to do.
    pub message: String,
    /// How much it matters.
    pub severity: Severity,
}

/// Collects diagnostics of one pass.
#[derive(Default)]
pub(crate) struct Sink(Vec<Diagnostic>);

impl ObjectRef {
    /// A cluster-scoped object.
    pub fn cluster_scoped(kind: Kind, name: impl Into<String>) -> Self {
        Self::new(kind, String::new(), name)
    }

    /// The object that has this metadata; one without a name cannot come from an API server.
    pub fn of(kind: Kind, metadata: &ObjectMeta) -> Self {
        Self::new(
            kind,
            metadata.namespace.clone().unwrap_or_default(),
            metadata.name.clone().unwrap_or_default(),
        )
    }

    /// An object in a namespace.
    pub fn new(kind: Kind, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            kind,
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl Reason {
    /// The reason as it stands in Events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "Unreadable",
            Self::InvalidHost => "InvalidHost",
            Self::InvalidPath => "InvalidPath",
            Self::InvalidBackend => "InvalidBackend",
            Self::InvalidValue => "InvalidValue",
            Self::InvalidAnnotation => "InvalidAnnotation",
            Self::NoEffect => "NoEffect",
            Self::Refused => "Refused",
            Self::Unprotected => "Unprotected",
            Self::ServiceNotFound => "ServiceNotFound",
            Self::PortNotFound => "PortNotFound",
            Self::SecretNotFound => "SecretNotFound",
            Self::ConfigMapNotFound => "ConfigMapNotFound",
            Self::BadCertificate => "BadCertificate",
            Self::Conflict => "Conflict",
            Self::CanaryWithoutMain => "CanaryWithoutMain",
            Self::UnknownClass => "UnknownClass",
            Self::UnknownParameters => "UnknownParameters",
            Self::UnknownCluster => "UnknownCluster",
            Self::TargetNotFound => "TargetNotFound",
        }
    }
}

impl Sink {
    pub(crate) fn error(
        &mut self,
        object: &ObjectRef,
        field: impl Into<String>,
        reason: Reason,
        message: String,
    ) {
        self.push(object, field.into(), reason, message, Severity::Error);
    }

    pub(crate) fn warning(
        &mut self,
        object: &ObjectRef,
        field: impl Into<String>,
        reason: Reason,
        message: String,
    ) {
        self.push(object, field.into(), reason, message, Severity::Warning);
    }

    pub(crate) fn note(
        &mut self,
        object: &ObjectRef,
        field: impl Into<String>,
        reason: Reason,
        message: String,
    ) {
        self.push(object, field.into(), reason, message, Severity::Note);
    }

    fn push(
        &mut self,
        object: &ObjectRef,
        field: String,
        reason: Reason,
        message: String,
        severity: Severity,
    ) {
        self.0.push(Diagnostic {
            object: object.clone(),
            field,
            reason,
            message,
            severity,
        });
    }

    pub(crate) fn of<'a>(&'a self, object: &'a ObjectRef) -> impl Iterator<Item = &'a Diagnostic> {
        self.0.iter().filter(move |d| d.object == *object)
    }

    pub(crate) fn finish(mut self) -> Vec<Arc<Diagnostic>> {
        self.0.sort();
        self.0.dedup();
        self.0.into_iter().map(Arc::new).collect()
    }
}

/// A user's text for a message: quoted, and cut where it is too long to be read.
pub(crate) fn quote(text: &str) -> String {
    const LIMIT: usize = 100;
    match text.char_indices().nth(LIMIT) {
        Some((cut, _)) => format!("{:?} (cut)", &text[..cut]),
        None => format!("{text:?}"),
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{:?} {}", self.kind, self.name)
        } else {
            write!(f, "{:?} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            write!(f, "{}: {}", self.object, self.message)
        } else {
            write!(f, "{}: {}: {}", self.object, self.field, self.message)
        }
    }
}
