//! What the hub must be allowed to do on a member: read, and nothing else.

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};
use std::fmt;

/// One thing to be allowed, in all namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    /// As `watch`.
    pub verb: &'static str,
    /// API group; empty for the core group.
    pub group: &'static str,
    /// As `services`.
    pub resource: &'static str,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if self.group.is_empty() {
            Ok(())
        } else {
            write!(f, ".{}", self.group)
        }
    }
}

/// Verbs by resource, in the order in which they are reported.
const NEEDED: [(&str, &str, &[&str]); 3] = [
    ("", "services", &["get", "list", "watch"]),
    (
        "discovery.k8s.io",
        "endpointslices",
        &["get", "list", "watch"],
    ),
    ("", "namespaces", &["get", "list"]),
];

fn needed() -> impl Iterator<Item = Right> {
    NEEDED.into_iter().flat_map(|(group, resource, verbs)| {
        verbs.iter().map(move |verb| Right {
            verb,
            group,
            resource,
        })
    })
}

/// The rights that the client's identity lacks.
pub(super) async fn missing(client: &Client) -> Result<Vec<Right>, kube::Error> {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let answers = needed().map(|right| {
        let reviews = reviews.clone();
        async move {
            let review = reviews
                .create(&PostParams::default(), &question(right))
                .await?;
            let allowed = review.status.is_some_and(|status| status.allowed);
            Ok::<_, kube::Error>((right, allowed))
        }
    });
    let answers = futures::future::try_join_all(answers).await?;
    Ok(answers
        .into_iter()
        .filter(|(_, allowed)| !allowed)
        .map(|(right, _)| right)
        .collect())
}

fn question(right: Right) -> SelfSubjectAccessReview {
    SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                verb: Some(right.verb.to_owned()),
                group: Some(right.group.to_owned()),
                resource: Some(right.resource.to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    }
}

/// Who the member says the client's identity is; `None` where it does not say (before Kubernetes 1.28).
pub(super) async fn whoami(client: &Client) -> Option<String> {
    let reviews: Api<SelfSubjectReview> = Api::all(client.clone());
    let review = reviews
        .create(&PostParams::default(), &SelfSubjectReview::default())
        .await
        .ok()?;
    review.status?.user_info?.username
}

/// Manifests that grant a user of a member what the hub needs, for `kubectl apply` there.
pub fn grant_yaml(user: Option<&str>) -> String {
    let rules: String = NEEDED
        .iter()
        .map(|(group, resource, verbs)| {
            format!(
                "- apiGroups: [{group:?}]\n  resources: [{resource}]\n  verbs: [{}]\n",
                verbs.join(", ")
            )
        })
        .collect();
    let account =
        user.and_then(|user| user.strip_prefix("system:serviceaccount:")?.split_once(':'));
    let subject = match (account, user) {
        (Some((namespace, name)), _) => {
            format!("- kind: ServiceAccount\n  namespace: {namespace}\n  name: {name}\n")
        }
        (None, Some(user)) => user_subject(user),
        (None, None) => user_subject("THE-KUBECONFIGS-USER"),
    };
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: tidegate-member\nrules:\n{rules}\
         ---\n\
         apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata:\n  name: tidegate-member\n\
         roleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: ClusterRole\n  name: tidegate-member\n\
         subjects:\n{subject}"
    )
}

/// A user name is any text, so it is quoted: JSON's notation is YAML too.
fn user_subject(name: &str) -> String {
    format!(
        "- apiGroup: rbac.authorization.k8s.io\n  kind: User\n  name: {}\n",
        serde_json::Value::from(name)
    )
}

#[cfg(test)]
mod tests;
