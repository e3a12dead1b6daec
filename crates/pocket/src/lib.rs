//! A pocket cluster: API server, workload controllers and a process kubelet on one machine.
