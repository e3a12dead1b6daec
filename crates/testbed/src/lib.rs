//! Fault rig for tests: real processes, pocket clusters, load with open-loop latency.
