//! Tidegate's own Kubernetes kinds: one file a kind.
