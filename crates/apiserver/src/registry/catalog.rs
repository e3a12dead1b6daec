//! Finding a kind by its path, and replacing the custom ones as CRDs come and go.

use super::{Kind, Rules, Scope, StatusMode, api_version, builtin};
use crate::crd;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

/// Groups by name, each with its versions, each with its kinds.
pub(crate) type Groups = BTreeMap<String, Vec<(String, Vec<Arc<Kind>>)>>;

/// The kinds of each CRD, by the CRD's name.
type Customs = BTreeMap<String, Vec<Arc<Kind>>>;

/// All served kinds at one moment.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    kinds: HashMap<(String, String, String), Arc<Kind>>,
    /// In discovery order: group, then version with the preferred one first.
    groups: Groups,
    /// The first served version of each stored resource.
    by_storage: HashMap<Arc<str>, Arc<Kind>>,
}

impl Catalog {
    /// The kind served at a path.
    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Kind>> {
        self.kinds
            .get(&(group.to_owned(), version.to_owned(), plural.to_owned()))
    }

    /// Groups with their versions, each with its kinds.
    pub(crate) fn groups(&self) -> &Groups {
        &self.groups
    }

    /// The kinds of one group version.
    pub(crate) fn kinds_of(&self, group: &str, version: &str) -> Option<&[Arc<Kind>]> {
        self.groups
            .get(group)?
            .iter()
            .find(|(v, _)| v == version)
            .map(|(_, kinds)| kinds.as_slice())
    }

    /// A served version of a stored resource.
    pub(crate) fn by_storage(&self, storage: &str) -> Option<&Arc<Kind>> {
        self.by_storage.get(storage)
    }

    fn build(customs: &Customs, builtins: &[Arc<Kind>]) -> Self {
        let mut catalog = Catalog::default();
        for kind in builtins.iter().chain(customs.values().flatten()) {
            let path = (
                kind.group.clone(),
                kind.version.clone(),
                kind.plural.clone(),
            );
            catalog.kinds.insert(path, Arc::clone(kind));
            let stored = kind.api_version() == kind.storage_api_version;
            if stored || !catalog.by_storage.contains_key(&kind.storage) {
                catalog
                    .by_storage
                    .insert(Arc::clone(&kind.storage), Arc::clone(kind));
            }
            let versions = catalog.groups.entry(kind.group.clone()).or_default();
            match versions.iter_mut().find(|(v, _)| *v == kind.version) {
                Some((_, kinds)) => kinds.push(Arc::clone(kind)),
                None => versions.push((kind.version.clone(), vec![Arc::clone(kind)])),
            }
        }
        for versions in catalog.groups.values_mut() {
            versions.sort_by(|(a, _), (b, _)| crd::version_order(a, b));
        }
        catalog
    }
}

/// The current catalog.
#[derive(Debug)]
pub(crate) struct Registry {
    builtins: Vec<Arc<Kind>>,
    current: RwLock<(Customs, Arc<Catalog>)>,
}

impl Registry {
    /// Only the built-in kinds.
    pub(crate) fn new() -> Self {
        let builtins: Vec<Arc<Kind>> = builtin::ALL
            .iter()
            .map(|b| Arc::new(from_builtin(b)))
            .collect();
        let customs = BTreeMap::new();
        let catalog = Arc::new(Catalog::build(&customs, &builtins));
        Registry {
            builtins,
            current: RwLock::new((customs, catalog)),
        }
    }

    /// The catalog as it is now.
    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(
            &self
                .current
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .1,
        )
    }

    /// Serves what an established CRD says, or stops serving it.
    pub(crate) fn set_crd(&self, name: &str, crd: Option<&Value>) {
        let kinds = crd.map(crd::kinds).unwrap_or_default();
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if kinds.is_empty() {
            current.0.remove(name);
        } else {
            current.0.insert(name.to_owned(), kinds);
        }
        current.1 = Arc::new(Catalog::build(&current.0, &self.builtins));
    }
}

fn from_builtin(b: &'static builtin::Builtin) -> Kind {
    let storage_group = b.stored_as.map_or(b.group, |(group, _)| group);
    let storage_version = b.stored_as.map_or(b.version, |(_, version)| version);
    let storage = if storage_group.is_empty() {
        b.plural.to_owned()
    } else {
        format!("{}.{storage_group}", b.plural)
    };
    Kind {
        group: b.group.to_owned(),
        version: b.version.to_owned(),
        kind: b.kind.to_owned(),
        list_kind: format!("{}List", b.kind),
        plural: b.plural.to_owned(),
        singular: b.kind.to_lowercase(),
        short_names: b.short.iter().map(|s| (*s).to_owned()).collect(),
        categories: b.categories.iter().map(|s| (*s).to_owned()).collect(),
        scope: if b.cluster_scoped() {
            Scope::Cluster
        } else {
            Scope::Namespaced
        },
        status: if b.has_status() {
            StatusMode::Subresource
        } else {
            StatusMode::Inline
        },
        scale: b.scale(),
        storage: Arc::from(storage),
        storage_api_version: api_version(storage_group, storage_version),
        rules: Rules::Builtin(b),
    }
}
