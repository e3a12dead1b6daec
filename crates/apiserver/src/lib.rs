//! A small Kubernetes-compatible API server over an embedded store.
