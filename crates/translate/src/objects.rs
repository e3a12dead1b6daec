//! Objects by name, in a form whose comparison with the one before costs what differs.

use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::fmt;
use std::sync::Arc;
use tidegate_model::{SharedMap, differences};

/// Namespace and name; cheap to copy.
pub type ObjectName = Arc<(String, String)>;

/// Objects of one kind by namespace and name. A copy shares everything with the original.
pub struct Objects<K>(SharedMap<ObjectName, Held<K>>);

/// The Ingresses of a world.
pub type Ingresses = Objects<Ingress>;

/// An object that equals itself alone: one that was read anew is another one, whatever it says.
struct Held<K>(Arc<K>);

/// A name under which there is another object now, or none: the object before, and the one now.
pub type Replaced<'a, K> = (&'a ObjectName, Option<&'a Arc<K>>, Option<&'a Arc<K>>);

impl<K> Objects<K> {
    /// None.
    pub fn new() -> Self {
        Self(SharedMap::new())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<K>> {
        self.0.values().map(|held| &held.0)
    }

    /// The one of a name.
    pub fn get(&self, name: &ObjectName) -> Option<&Arc<K>> {
        self.0.get(name).map(|held| &held.0)
    }

    /// Puts an object in the place of the one of its name.
    pub fn insert(&mut self, name: ObjectName, object: Arc<K>) {
        self.0.insert(name, Held(object));
    }

    /// Takes the object of a name away.
    pub fn remove(&mut self, name: &ObjectName) {
        self.0.remove(name);
    }

    /// What is different from `before`, at a cost that grows with that alone.
    pub fn since<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = Replaced<'a, K>> {
        let all = differences(Some(&before.0), &self.0).into_iter();
        all.map(|(name, now)| (name, before.get(name), now.map(|held| &held.0)))
    }
}

/// The name of an object.
pub fn name_of(metadata: &ObjectMeta) -> ObjectName {
    let namespace = metadata.namespace.clone().unwrap_or_default();
    let name = metadata.name.clone().unwrap_or_default();
    Arc::new((namespace, name))
}

impl FromIterator<Arc<Ingress>> for Ingresses {
    /// Of several of one name the last counts.
    fn from_iter<I: IntoIterator<Item = Arc<Ingress>>>(all: I) -> Self {
        let mut ingresses = Self::new();
        for ingress in all {
            ingresses.insert(name_of(&ingress.metadata), ingress);
        }
        ingresses
    }
}

impl<K> Clone for Objects<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K> Default for Objects<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: fmt::Debug> fmt::Debug for Objects<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<K> Clone for Held<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K> PartialEq for Held<K> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
