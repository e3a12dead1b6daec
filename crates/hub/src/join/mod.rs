//! Checks a member cluster and registers it on the hub.
