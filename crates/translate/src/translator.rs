//! Translating again what changed, and nothing else.
//!
//! Ingresses that have hosts in common, directly or through others, form a part. Parts never affect one another, so
//! the translation of a world is the union of those of its parts. A part is translated again when one of its
//! Ingresses changed, or a Service or a ConfigMap that it looked up; all of them are when anything else did. The outcome is the same
//! as if all were new.

mod known;
mod union;

use crate::part::{Asked, Context, Part};
use crate::{Reason, Translation, WorldView, diagnostic, touch};
use k8s_openapi::api::networking::v1::Ingress;
use known::{Address, Known, News, address};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use tidegate_model::HostPattern;
use union::Union;

/// Compiles worlds, each at a cost that grows with its difference from the one before.
///
/// What remains of the whole is a look at the address of every object, and a copy of the maps of a [`Translation`].
/// Objects are told apart by where they are: one that changed must come in another [`Arc`].
#[derive(Default)]
pub struct Translator {
    known: Known,
    placed: HashMap<Address, Placed>,
    by_host: HashMap<HostPattern, HashSet<Address>>,
    parts: HashMap<PartId, Numbered>,
    by_asked: HashMap<Asked, HashSet<PartId>>,
    last: PartId,
    union: Union,
}

/// Counted from 1.
type PartId = u64;

/// An Ingress, and where it belongs.
struct Placed {
    ingress: Arc<Ingress>,
    hosts: BTreeSet<HostPattern>,
    /// `None` until it is translated.
    part: Option<PartId>,
}

/// A part in the union.
struct Numbered {
    part: Part,
    members: Vec<Address>,
}

impl Translator {
    /// Compiles the world.
    pub fn translate(&mut self, world: &WorldView) -> Translation {
        let mut diagnostics = diagnostic::Sink::default();
        for unreadable in &world.unreadable {
            diagnostics.error(
                &unreadable.object,
                "",
                Reason::Unreadable,
                format!(
                    "the object cannot be read and is ignored: {}",
                    unreadable.error
                ),
            );
        }
        let context = Context::new(world, &mut diagnostics);
        let news = self.known.update(world);
        let (stale, begin) = self.take_in(news);
        self.translate_again(&context, stale, begin);
        self.union.to_translation(context, diagnostics)
    }

    /// Takes note of what is new. Gives the parts that do not hold any more, and Ingresses of which at least one is in
    /// each part that has to be made.
    fn take_in(&mut self, news: News) -> (HashSet<PartId>, Vec<Address>) {
        let mut stale: HashSet<PartId> = HashSet::new();
        if news.everything {
            stale.extend(self.parts.keys());
        }
        for asked in &news.asked {
            stale.extend(self.by_asked.get(asked).into_iter().flatten());
        }
        let gone: Vec<_> = news.ingresses.gone.iter().map(address).collect();
        for at in gone {
            stale.extend(self.take_out(at));
        }
        // What is left of those parts has to be made again, and so has whatever a new Ingress joins.
        let parts = stale.iter().filter_map(|id| self.parts.get(id));
        let mut begin: Vec<Address> = parts.flat_map(|part| &part.members).copied().collect();
        for ingress in news.ingresses.new {
            begin.push(address(&ingress));
            self.place(ingress);
        }
        (stale, begin)
    }

    fn place(&mut self, ingress: Arc<Ingress>) {
        let at = address(&ingress);
        let hosts = touch::hosts(&ingress);
        for host in &hosts {
            self.by_host.entry(host.clone()).or_default().insert(at);
        }
        let placed = Placed {
            ingress,
            hosts,
            part: None,
        };
        self.placed.insert(at, placed);
    }

    /// Removes an Ingress; gives the part it was in.
    fn take_out(&mut self, at: Address) -> Option<PartId> {
        let placed = self.placed.remove(&at)?;
        for host in &placed.hosts {
            if let Some(all) = self.by_host.get_mut(host) {
                all.remove(&at);
                if all.is_empty() {
                    self.by_host.remove(host);
                }
            }
        }
        placed.part
    }

    /// Makes the parts around `begin`, in place of those that their Ingresses were in and of `stale`.
    fn translate_again(
        &mut self,
        context: &Context<'_>,
        mut stale: HashSet<PartId>,
        begin: Vec<Address>,
    ) {
        let mut seen = HashSet::new();
        let mut made = Vec::new();
        for first in begin {
            let members = self.group(first, &mut seen);
            if members.is_empty() {
                continue;
            }
            self.last += 1;
            let mut ingresses = Vec::new();
            for at in &members {
                if let Some(placed) = self.placed.get_mut(at) {
                    stale.extend(placed.part.replace(self.last));
                    ingresses.push(Arc::clone(&placed.ingress));
                }
            }
            let mut part = context.translate(&ingresses);
            self.union.share(&mut part);
            made.push((self.last, Numbered { part, members }));
        }
        for id in stale {
            self.remove(id);
        }
        for (id, numbered) in made {
            for asked in &numbered.part.asked {
                let asking = self.by_asked.entry(asked.clone()).or_default();
                asking.insert(id);
            }
            self.union.add(&numbered.part);
            self.parts.insert(id, numbered);
        }
    }

    fn remove(&mut self, id: PartId) {
        let Some(Numbered { part, .. }) = self.parts.remove(&id) else {
            return;
        };
        for asked in &part.asked {
            if let Some(asking) = self.by_asked.get_mut(asked) {
                asking.remove(&id);
                if asking.is_empty() {
                    self.by_asked.remove(asked);
                }
            }
        }
        self.union.remove(&part);
    }

    /// All Ingresses that have hosts in common with one, also through others; empty if it was seen before.
    fn group(&self, first: Address, seen: &mut HashSet<Address>) -> Vec<Address> {
        let mut group = Vec::new();
        let mut next = vec![first];
        while let Some(at) = next.pop() {
            let Some(placed) = self.placed.get(&at) else {
                continue;
            };
            if !seen.insert(at) {
                continue;
            }
            group.push(at);
            for host in &placed.hosts {
                let others = self.by_host.get(host).into_iter().flatten();
                next.extend(others.filter(|other| !seen.contains(*other)));
            }
        }
        group
    }
}

#[cfg(test)]
mod tests;
