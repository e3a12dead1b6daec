//! The hub: observes members, decides, publishes to gateways, writes status.
