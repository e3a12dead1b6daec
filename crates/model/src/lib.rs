//! Plain values shared by hub and data plane: clusters, routes, backends, endpoints, snapshots.
