//! ClusterIPs for Services, from one IPv4 range.

use crate::object;
use crate::registry::Kind;
use crate::status::{About, ApiResult, FieldError, Status};
use crate::store::Store;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::net::Ipv4Addr;

/// An IPv4 range to allocate Service addresses from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceCidr {
    base: Ipv4Addr,
    bits: u8,
}

impl ServiceCidr {
    /// A range of `2^(32-bits)` addresses that starts at `base`; `bits` from 8 to 30.
    pub fn new(base: Ipv4Addr, bits: u8) -> Option<Self> {
        (8..=30)
            .contains(&bits)
            .then_some(ServiceCidr { base, bits })
    }

    fn first(self) -> u32 {
        u32::from(self.base) & (u32::MAX << (32 - u32::from(self.bits)))
    }

    fn size(self) -> u32 {
        1u32 << (32 - u32::from(self.bits))
    }

    fn contains(self, address: Ipv4Addr) -> bool {
        u32::from(address).wrapping_sub(self.first()) < self.size()
    }
}

impl Default for ServiceCidr {
    /// 10.96.0.0/16, as kubeadm chooses.
    fn default() -> Self {
        ServiceCidr {
            base: Ipv4Addr::new(10, 96, 0, 0),
            bits: 16,
        }
    }
}

/// The allocator: what is free is read from the stored Services.
#[derive(Debug)]
pub(crate) struct ServiceIps {
    cidr: ServiceCidr,
    /// Held from choosing an address until the Service is stored.
    lock: tokio::sync::Mutex<()>,
}

impl ServiceIps {
    pub(crate) fn new(cidr: ServiceCidr) -> Self {
        ServiceIps {
            cidr,
            lock: tokio::sync::Mutex::new(()),
        }
    }

    /// Keeps two Services from choosing the same address; nothing for other kinds.
    pub(crate) async fn hold(&self, kind: &Kind) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        if kind.is("services") {
            Some(self.lock.lock().await)
        } else {
            None
        }
    }

    /// Gives a Service its address, or checks the one it asks for.
    pub(crate) fn assign(&self, store: &Store, service: &mut Value) -> ApiResult<()> {
        if object::text(service, "/spec/type") == "ExternalName" {
            return Ok(());
        }
        let wanted = object::text(service, "/spec/clusterIP").to_owned();
        let chosen = match wanted.as_str() {
            "None" => "None".to_owned(),
            "" => self.free(store)?.to_string(),
            text => {
                self.check_wanted(store, service, text)?;
                text.to_owned()
            }
        };
        let spec = object::child_mut(service, "spec");
        spec.insert("clusterIP".to_owned(), Value::from(chosen.as_str()));
        spec.insert("clusterIPs".to_owned(), json!([chosen]));
        Ok(())
    }

    /// An update that leaves the address out keeps it.
    pub(crate) fn keep(&self, store: &Store, old: &Value, new: &mut Value) -> ApiResult<()> {
        if object::text(new, "/spec/type") == "ExternalName" {
            let spec = object::child_mut(new, "spec");
            spec.shift_remove("clusterIP");
            spec.shift_remove("clusterIPs");
            return Ok(());
        }
        let before = object::text(old, "/spec/clusterIP").to_owned();
        if before.is_empty() {
            return self.assign(store, new);
        }
        let spec = object::child_mut(new, "spec");
        if spec
            .get("clusterIP")
            .and_then(Value::as_str)
            .is_none_or(str::is_empty)
        {
            spec.insert("clusterIP".to_owned(), Value::from(before.as_str()));
        }
        object::default_to(spec, "clusterIPs", json!([before]));
        Ok(())
    }

    fn used(store: &Store) -> HashSet<Ipv4Addr> {
        let state = store.read();
        state
            .list("services", None)
            .filter_map(|o| object::text(&o.value, "/spec/clusterIP").parse().ok())
            .collect()
    }

    fn free(&self, store: &Store) -> ApiResult<Ipv4Addr> {
        let used = Self::used(store);
        // Not the network's first and last address; start at a random place so that an address is
        // not reused at once.
        let usable = self.cidr.size() - 2;
        let start = crate::random::below(usable);
        (0..usable)
            .map(|i| Ipv4Addr::from(self.cidr.first() + 1 + (start + i) % usable))
            .find(|ip| !used.contains(ip))
            .ok_or_else(|| Status::internal("failed to allocate a serviceIP: range is full"))
    }

    fn check_wanted(&self, store: &Store, service: &Value, text: &str) -> ApiResult<()> {
        let value = Value::from(text);
        let refuse = |detail: &str| {
            let about = About {
                group: "",
                what: "Service",
                name: object::name(service),
            };
            Err(Status::invalid(
                about,
                &[FieldError::invalid(
                    "spec.clusterIPs",
                    &json!([value]),
                    detail,
                )],
            ))
        };
        match text.parse::<Ipv4Addr>() {
            Err(_) => refuse("must be a valid IPv4 address or \"None\""),
            Ok(ip) if !self.cidr.contains(ip) => {
                refuse("failed to allocate IP: the provided IP is not in the valid range")
            }
            Ok(ip) if Self::used(store).contains(&ip) => {
                refuse("failed to allocate IP: provided IP is already allocated")
            }
            Ok(_) => Ok(()),
        }
    }
}
