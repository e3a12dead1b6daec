//! Questions about the asking user: who am I, may I.

use super::auth::Identity;
use super::reply::{self, Reply};
use super::request::ResourcePath;
use crate::object;
use crate::status::{ApiResult, Status};
use http::Method;
use serde_json::{Value, json};

const AUTHORIZATION: &str = "authorization.k8s.io";
const AUTHENTICATION: &str = "authentication.k8s.io";

/// Review kinds with their resources: (group, kind, plural, namespaced).
pub(crate) const REVIEWS: [(&str, &str, &str, bool); 5] = [
    (
        AUTHENTICATION,
        "SelfSubjectReview",
        "selfsubjectreviews",
        false,
    ),
    (
        AUTHORIZATION,
        "LocalSubjectAccessReview",
        "localsubjectaccessreviews",
        true,
    ),
    (
        AUTHORIZATION,
        "SelfSubjectAccessReview",
        "selfsubjectaccessreviews",
        false,
    ),
    (
        AUTHORIZATION,
        "SelfSubjectRulesReview",
        "selfsubjectrulesreviews",
        false,
    ),
    (
        AUTHORIZATION,
        "SubjectAccessReview",
        "subjectaccessreviews",
        false,
    ),
];

/// Whether a path names a review.
pub(super) fn is_review(path: &ResourcePath) -> bool {
    path.version == "v1"
        && REVIEWS
            .iter()
            .any(|(group, _, plural, _)| path.group == *group && path.resource == *plural)
}

/// Answers a review; only members of `system:masters` get this far.
pub(super) fn answer(
    identity: &Identity,
    path: &ResourcePath,
    method: &Method,
    mut body: Value,
) -> ApiResult<Reply> {
    if method != Method::POST || path.name.is_some() {
        return Err(Status::method_not_allowed());
    }
    if !body.is_object() {
        return Err(Status::bad_request("the body must be a JSON object"));
    }
    let masters = |groups: &[&str]| groups.contains(&super::auth::MASTERS);
    let verdict = |allowed: bool| {
        let reason = if allowed {
            "member of system:masters"
        } else {
            "only members of system:masters have rights"
        };
        json!({"allowed": allowed, "reason": reason})
    };
    body["status"] = match path.resource.as_str() {
        "selfsubjectreviews" => {
            json!({"userInfo": {"username": identity.name(), "groups": identity.groups()}})
        }
        "selfsubjectaccessreviews" => verdict(identity.is_master()),
        "selfsubjectrulesreviews" => json!({
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            "incomplete": false,
        }),
        _ => verdict(masters(&object::strings(body.pointer("/spec/groups")))),
    };
    Ok(reply::json(201, &body))
}
