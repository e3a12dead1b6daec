//! RFC 6902 (JSON patch) and RFC 7386 (merge patch).

use crate::status::{ApiResult, Status};
use serde_json::Value;

/// Most operations in one JSON patch, as kube-apiserver limits them.
const MAX_OPERATIONS: usize = 10_000;

/// Applies an RFC 6902 patch.
pub(crate) fn json_patch(current: &Value, patch: &Value) -> ApiResult<Value> {
    let operations: json_patch::Patch = serde_json::from_value(patch.clone())
        .map_err(|e| Status::bad_request(format!("error decoding patch: {e}")))?;
    if operations.0.len() > MAX_OPERATIONS {
        return Err(Status::new(
            413,
            "RequestEntityTooLarge",
            format!(
                "The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
                operations.0.len()
            ),
        ));
    }
    let mut new = current.clone();
    json_patch::patch(&mut new, &operations).map_err(|e| {
        Status::new(
            422,
            "Invalid",
            format!("the server rejected our request due to an error in our request: {e}"),
        )
    })?;
    Ok(new)
}

/// Applies an RFC 7386 patch.
pub(crate) fn merge_patch(current: &Value, patch: &Value) -> Value {
    let mut new = current.clone();
    json_patch::merge(&mut new, patch);
    new
}
