//! Which pod holds which address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::Pod;

use crate::cidr::{AddressPool, PodCidr};

/// The addresses of the node's pods. Clones share.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    cidr: PodCidr,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    pool: Option<AddressPool>,
    /// Address by pod uid.
    held: BTreeMap<String, Ipv4Addr>,
}

/// An address that is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) ip: Ipv4Addr,
    uid: String,
    of: Addresses,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of.lock().held.remove(&self.uid);
    }
}

impl Addresses {
    pub(super) fn new(cidr: PodCidr) -> Self {
        Self {
            cidr,
            inner: Arc::default(),
        }
    }

    /// The address that `pod` has, else a free one; `all` are the pods of the node, whose addresses are not free
    /// even if nobody holds them yet. `None` when the network is full.
    pub(super) fn take(&self, uid: &str, pod: &Pod, all: &[Arc<Pod>]) -> Option<Held> {
        let mut inner = self.lock();
        let mut used: BTreeSet<Ipv4Addr> = inner.held.values().copied().collect();
        let before = recorded(pod).filter(|ip| self.cidr.is_pod_ip(*ip) && !used.contains(ip));
        let ip = match before {
            Some(ip) => ip,
            None => {
                used.extend(all.iter().filter_map(|pod| recorded(pod)));
                inner
                    .pool
                    .get_or_insert_with(|| AddressPool::new(self.cidr, &used))
                    .allocate(&used)?
            }
        };
        inner.held.insert(uid.to_owned(), ip);
        Some(Held {
            ip,
            uid: uid.to_owned(),
            of: self.clone(),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn recorded(pod: &Pod) -> Option<Ipv4Addr> {
    pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_keeps_its_address_and_nobody_else_gets_it() {
        let addresses = Addresses::new("127.9.0.0/24".parse().expect("cidr"));
        let pod = |ip: Option<&str>| -> Arc<Pod> {
            Arc::new(
                serde_json::from_value(json!({"metadata": {}, "status": {"podIP": ip}}))
                    .expect("pod"),
            )
        };
        let all = [pod(Some("127.9.0.7")), pod(None)];
        let fresh = addresses.take("b", &all[1], &all).expect("free");
        let kept = addresses.take("a", &all[0], &all).expect("kept");
        assert_eq!(kept.ip, Ipv4Addr::new(127, 9, 0, 7));
        assert_ne!(fresh.ip, kept.ip);
        drop(fresh);
        assert_eq!(addresses.lock().held.len(), 1);
    }
}
