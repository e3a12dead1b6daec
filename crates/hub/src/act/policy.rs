//! The status of FailoverPolicies.

use super::Write;
use crate::decide::Decided;
use crate::observe::HubObjects;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use serde_json::json;
use tidegate_api::condition::{self, accepted};
use tidegate_translate::{Kind, ObjectRef, PolicyVerdict};

pub(crate) fn writes(decided: &Decided, objects: &HubObjects) -> Vec<Write> {
    let mut writes = Vec::new();
    for policy in objects.failover_policies.readable() {
        let metadata = &policy.metadata;
        let object = ObjectRef::of(Kind::FailoverPolicy, metadata);
        let Some(verdict) = decided.translation.policies.get(&object) else {
            continue;
        };
        let (status, reason, message) = match verdict {
            PolicyVerdict::Accepted { ignored } if ignored.is_empty() => (
                "True",
                accepted::ACCEPTED,
                "everything has effect".to_owned(),
            ),
            PolicyVerdict::Accepted { ignored } => {
                ("True", accepted::PARTLY_INVALID, ignored.join("; "))
            }
            PolicyVerdict::TargetNotFound(text) => {
                ("False", accepted::TARGET_NOT_FOUND, text.clone())
            }
            PolicyVerdict::Conflicted(text) => ("False", accepted::CONFLICTED, text.clone()),
        };
        let mut conditions = policy.status.clone().unwrap_or_default().conditions;
        let news = condition::set(
            &mut conditions,
            Condition {
                type_: condition::ACCEPTED.to_owned(),
                status: status.to_owned(),
                reason: reason.to_owned(),
                message,
                observed_generation: metadata.generation,
                last_transition_time: Time(Timestamp::now()),
            },
        );
        if news {
            let patch = json!({ "status": { "conditions": conditions, "observedGeneration": metadata.generation } });
            writes.push(Write::Status { object, patch });
        }
    }
    writes
}
