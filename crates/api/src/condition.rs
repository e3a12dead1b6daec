//! Condition types and reasons, each with the sentence on when it appears.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// The object was understood and is used. Of every kind that people write.
pub const ACCEPTED: &str = "Accepted";
/// The hub has a kubeconfig for the Cluster that it may use.
pub const JOINED: &str = "Joined";
/// The Cluster's API answered the hub's last probe. `Unknown` until the first one.
pub const REACHABLE: &str = "Reachable";
/// The hub has seen the Cluster's Services and EndpointSlices and is following their changes.
pub const OBSERVED: &str = "Observed";

/// Reasons of [`ACCEPTED`].
pub mod accepted {
    /// Everything in the object has effect.
    pub const ACCEPTED: &str = "Accepted";
    /// Something in the object is ignored; the message names the fields.
    pub const PARTLY_INVALID: &str = "PartlyInvalid";
    /// Nothing of the object is used; the message names the field.
    pub const INVALID: &str = "Invalid";
    /// No Service or Ingress of the target's name is known.
    pub const TARGET_NOT_FOUND: &str = "TargetNotFound";
    /// An older object already applies to the same target.
    pub const CONFLICTED: &str = "Conflicted";
}

/// Reasons of [`JOINED`].
pub mod joined {
    /// The kubeconfig was read and may be used.
    pub const JOINED: &str = "Joined";
    /// The Secret or its key does not exist.
    pub const SECRET_NOT_FOUND: &str = "SecretNotFound";
    /// The kubeconfig is refused; the message names the field.
    pub const KUBECONFIG_REFUSED: &str = "KubeconfigRefused";
    /// The Cluster object itself cannot be read or its name cannot be used.
    pub const INVALID: &str = "Invalid";
}

/// Reasons of [`REACHABLE`].
pub mod reachable {
    /// `/readyz` answered that the API is ready.
    pub const READY: &str = "Ready";
    /// No probe has ended yet.
    pub const NOT_PROBED: &str = "NotProbed";
    /// No connection, or none that answered in time.
    pub const NO_ANSWER: &str = "NoAnswer";
    /// The API answers and says that it is not ready.
    pub const NOT_READY: &str = "NotReady";
    /// The API does not accept the kubeconfig's identity.
    pub const UNAUTHORIZED: &str = "Unauthorized";
}

/// Reasons of [`OBSERVED`].
pub mod observed {
    /// Services and EndpointSlices were listed and are watched.
    pub const SYNCED: &str = "Synced";
    /// They could not be listed or watched; what was seen last stays in use.
    pub const STALE: &str = "Stale";
    /// They were never seen: the Cluster contributes no endpoints.
    pub const NEVER: &str = "NeverSeen";
}

/// Puts `new` into `conditions`, keeping the transition time of a condition whose status is unchanged.
///
/// Returns whether anything but times changed, so that callers write only when there is news.
pub fn set(conditions: &mut Vec<Condition>, new: Condition) -> bool {
    match conditions.iter_mut().find(|c| c.type_ == new.type_) {
        Some(old) => {
            let same = old.status == new.status
                && old.reason == new.reason
                && old.message == new.message
                && old.observed_generation == new.observed_generation;
            if same {
                return false;
            }
            let since = if old.status == new.status {
                old.last_transition_time.clone()
            } else {
                new.last_transition_time.clone()
            };
            *old = Condition {
                last_transition_time: since,
                ..new
            };
        }
        None => conditions.push(new),
    }
    true
}
