//! The table of built-in kinds.

use super::{ScalePaths, networking as net, validate as check, workloads as work};
use crate::status::FieldError;
use serde_json::Value;

/// What the server knows about one built-in kind.
#[derive(Debug)]
pub(crate) struct Builtin {
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) short: &'static [&'static str],
    pub(crate) categories: &'static [&'static str],
    pub(crate) traits: &'static [Trait],
    pub(crate) names: NameRule,
    /// Group and version in the store, when another version of the kind is the stored one.
    pub(crate) stored_as: Option<(&'static str, &'static str)>,
    /// Fields for `fieldSelector`.
    pub(crate) selectable: &'static [&'static str],
    pub(crate) default: fn(&mut Value),
    pub(crate) validate: fn(&Value, Option<&Value>, &mut Vec<FieldError>),
}

/// What sets a kind apart from a plain namespaced document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trait {
    ClusterScoped,
    Status,
    Scale,
}

/// The syntax of a kind's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameRule {
    Subdomain,
    Label,
    Label1035,
    PathSegment,
}

impl Builtin {
    pub(crate) fn cluster_scoped(&self) -> bool {
        self.traits.contains(&Trait::ClusterScoped)
    }

    pub(crate) fn has_status(&self) -> bool {
        self.traits.contains(&Trait::Status)
    }

    pub(crate) fn scale(&self) -> Option<ScalePaths> {
        self.traits.contains(&Trait::Scale).then(|| ScalePaths {
            spec: "/spec/replicas".to_owned(),
            status: "/status/replicas".to_owned(),
            selector: Some("/spec/selector".to_owned()),
        })
    }
}

use Trait::{ClusterScoped, Scale, Status};

const fn plain(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
) -> Builtin {
    Builtin {
        group,
        version,
        kind,
        plural,
        short: &[],
        categories: &[],
        traits: &[],
        names: NameRule::Subdomain,
        stored_as: None,
        selectable: &[],
        default: check::no_defaults,
        validate: check::nothing,
    }
}

const EVENT_FIELDS: &[&str] = &[
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
];

/// Every built-in kind. Order within a group version is the order of discovery.
pub(crate) static ALL: &[Builtin] = &[
    Builtin {
        short: &["cm"],
        validate: check::config_map,
        ..plain("", "v1", "ConfigMap", "configmaps")
    },
    Builtin {
        short: &["ep"],
        ..plain("", "v1", "Endpoints", "endpoints")
    },
    Builtin {
        short: &["ev"],
        selectable: EVENT_FIELDS,
        ..plain("", "v1", "Event", "events")
    },
    Builtin {
        short: &["ns"],
        traits: &[ClusterScoped, Status],
        names: NameRule::Label,
        selectable: &["status.phase"],
        default: work::default_namespace,
        ..plain("", "v1", "Namespace", "namespaces")
    },
    Builtin {
        short: &["no"],
        traits: &[ClusterScoped, Status],
        selectable: &["spec.unschedulable"],
        ..plain("", "v1", "Node", "nodes")
    },
    Builtin {
        short: &["pvc"],
        traits: &[Status],
        ..plain("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims")
    },
    Builtin {
        short: &["pv"],
        traits: &[ClusterScoped, Status],
        ..plain("", "v1", "PersistentVolume", "persistentvolumes")
    },
    Builtin {
        short: &["po"],
        categories: &["all"],
        traits: &[Status],
        selectable: &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        default: work::default_pod,
        validate: work::validate_pod,
        ..plain("", "v1", "Pod", "pods")
    },
    Builtin {
        default: check::default_secret,
        selectable: &["type"],
        validate: check::secret,
        ..plain("", "v1", "Secret", "secrets")
    },
    Builtin {
        short: &["sa"],
        ..plain("", "v1", "ServiceAccount", "serviceaccounts")
    },
    Builtin {
        short: &["svc"],
        categories: &["all"],
        traits: &[Status],
        names: NameRule::Label1035,
        selectable: &["spec.clusterIP", "spec.type"],
        default: net::default_service,
        validate: net::validate_service,
        ..plain("", "v1", "Service", "services")
    },
    Builtin {
        short: &["ds"],
        categories: &["all"],
        traits: &[Status],
        default: work::default_daemon_set,
        validate: work::validate_selector_workload,
        ..plain("apps", "v1", "DaemonSet", "daemonsets")
    },
    Builtin {
        short: &["deploy"],
        categories: &["all"],
        traits: &[Status, Scale],
        default: work::default_deployment,
        validate: work::validate_deployment,
        ..plain("apps", "v1", "Deployment", "deployments")
    },
    Builtin {
        short: &["rs"],
        categories: &["all"],
        traits: &[Status, Scale],
        selectable: &["status.replicas"],
        default: work::default_replica_set,
        validate: work::validate_selector_workload,
        ..plain("apps", "v1", "ReplicaSet", "replicasets")
    },
    Builtin {
        short: &["sts"],
        categories: &["all"],
        traits: &[Status, Scale],
        default: work::default_stateful_set,
        validate: work::validate_selector_workload,
        ..plain("apps", "v1", "StatefulSet", "statefulsets")
    },
    Builtin {
        short: &["hpa"],
        categories: &["all"],
        traits: &[Status],
        ..plain(
            "autoscaling",
            "v2",
            "HorizontalPodAutoscaler",
            "horizontalpodautoscalers",
        )
    },
    Builtin {
        categories: &["all"],
        traits: &[Status],
        default: work::default_job,
        ..plain("batch", "v1", "Job", "jobs")
    },
    Builtin {
        selectable: &["spec.holderIdentity"],
        ..plain("coordination.k8s.io", "v1", "Lease", "leases")
    },
    Builtin {
        validate: net::validate_endpoint_slice,
        default: net::default_endpoint_slice,
        ..plain("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")
    },
    Builtin {
        short: &["ev"],
        stored_as: Some(("", "v1")),
        selectable: EVENT_FIELDS,
        ..plain("events.k8s.io", "v1", "Event", "events")
    },
    Builtin {
        traits: &[ClusterScoped],
        ..plain("networking.k8s.io", "v1", "IngressClass", "ingressclasses")
    },
    Builtin {
        short: &["ing"],
        traits: &[Status],
        validate: net::validate_ingress,
        ..plain("networking.k8s.io", "v1", "Ingress", "ingresses")
    },
    Builtin {
        short: &["netpol"],
        ..plain(
            "networking.k8s.io",
            "v1",
            "NetworkPolicy",
            "networkpolicies",
        )
    },
    Builtin {
        short: &["pdb"],
        traits: &[Status],
        ..plain(
            "policy",
            "v1",
            "PodDisruptionBudget",
            "poddisruptionbudgets",
        )
    },
    Builtin {
        traits: &[ClusterScoped],
        names: NameRule::PathSegment,
        ..plain(
            "rbac.authorization.k8s.io",
            "v1",
            "ClusterRoleBinding",
            "clusterrolebindings",
        )
    },
    Builtin {
        traits: &[ClusterScoped],
        names: NameRule::PathSegment,
        ..plain(
            "rbac.authorization.k8s.io",
            "v1",
            "ClusterRole",
            "clusterroles",
        )
    },
    Builtin {
        names: NameRule::PathSegment,
        ..plain(
            "rbac.authorization.k8s.io",
            "v1",
            "RoleBinding",
            "rolebindings",
        )
    },
    Builtin {
        names: NameRule::PathSegment,
        ..plain("rbac.authorization.k8s.io", "v1", "Role", "roles")
    },
    Builtin {
        short: &["sc"],
        traits: &[ClusterScoped],
        ..plain("storage.k8s.io", "v1", "StorageClass", "storageclasses")
    },
    Builtin {
        short: &["crd", "crds"],
        categories: &["api-extensions"],
        traits: &[ClusterScoped, Status],
        default: crate::crd::default_definition,
        validate: crate::crd::validate_definition,
        ..plain(
            "apiextensions.k8s.io",
            "v1",
            "CustomResourceDefinition",
            "customresourcedefinitions",
        )
    },
];
