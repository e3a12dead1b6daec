//! IngressClasses and GatewayConfigs that were deleted while something still needs them.
//!
//! Deleting one takes away what Ingresses are served by, and with it every route, at once and everywhere. So what it said
//! last holds on, also over a restart, until nothing asks for it any more. Whoever uses it is told.

use k8s_openapi::api::networking::v1::IngressClass;
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tidegate_api::GatewayConfig;
use tidegate_translate::{ClassUse, Ingresses, Kind, ObjectRef, WorldView};

/// Version of the stored form. A newer one is not read.
const FORMAT: u32 = 1;

/// What was seen last of each of these objects.
pub(crate) struct Remembered {
    path: PathBuf,
    kept: Kept,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Kept {
    format: u32,
    classes: BTreeMap<String, Arc<IngressClass>>,
    configs: BTreeMap<String, Arc<GatewayConfig>>,
}

impl Remembered {
    /// As it was written to `folder`; nothing when that cannot be read, which is logged.
    pub(crate) fn load(folder: &Path) -> Self {
        let path = folder.join("classes.json");
        let kept = match std::fs::read(&path) {
            Ok(bytes) => match serde_json::from_slice::<Kept>(&bytes) {
                Ok(kept) if kept.format <= FORMAT => kept,
                Ok(kept) => {
                    tracing::warn!(path = %path.display(), format = kept.format, "kept classes are of a newer release and not used");
                    Kept::default()
                }
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "kept classes are damaged and not used");
                    Kept::default()
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kept::default(),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "kept classes cannot be read");
                Kept::default()
            }
        };
        Self { path, kept }
    }

    /// Puts what is missing and needed back into a world, and keeps what is there. `world` must hold all objects.
    pub(crate) fn complete(&mut self, world: &mut WorldView) {
        let mut next = Kept {
            format: FORMAT,
            classes: by_name(&world.ingress_classes),
            configs: by_name(&world.gateway_configs),
        };
        // Mostly nothing is missing, and there may be thousands of Ingresses.
        let uses = LazyCell::new(|| uses(&world.ingresses));
        // Those without a class went by the default one, unless there is another now.
        let no_default = !next
            .classes
            .values()
            .any(|class| tidegate_translate::is_default(class));
        let unreadable: BTreeSet<ObjectRef> = world
            .unreadable
            .iter()
            .map(|bad| bad.object.clone())
            .collect();
        let mut gone = BTreeSet::new();
        for (name, class) in &self.kept.classes {
            if next.classes.contains_key(name) {
                continue;
            }
            let is_default = no_default && tidegate_translate::is_default(class);
            if uses.contains(&ClassUse::Named(name.as_str()))
                || (is_default && uses.contains(&ClassUse::Default))
            {
                world.ingress_classes.push(Arc::clone(class));
                gone.insert(ObjectRef::cluster_scoped(Kind::IngressClass, name));
                next.classes.insert(name.clone(), Arc::clone(class));
            }
        }
        let wanted: BTreeSet<&str> = next
            .classes
            .values()
            .filter_map(|class| class.spec.as_ref()?.parameters.as_ref())
            .map(|parameters| parameters.name.as_str())
            .collect();
        for (name, config) in &self.kept.configs {
            if wanted.contains(name.as_str()) && !next.configs.contains_key(name) {
                world.gateway_configs.push(Arc::clone(config));
                gone.insert(ObjectRef::cluster_scoped(Kind::GatewayConfig, name));
                next.configs.insert(name.clone(), Arc::clone(config));
            }
        }
        // One that is there but cannot be read is reported as that.
        world.deleted.extend(gone.difference(&unreadable).cloned());
        self.keep(next);
    }

    fn keep(&mut self, next: Kept) {
        if same(&self.kept.classes, &next.classes) && same(&self.kept.configs, &next.configs) {
            return;
        }
        self.kept = next;
        if let Err(error) = self.save() {
            tracing::warn!(path = %self.path.display(), %error, "classes cannot be kept on disk");
        }
    }

    fn save(&self) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let bytes = serde_json::to_vec(&self.kept).map_err(io::Error::other)?;
        tidegate_runtime::atomic_file::write(&self.path, &bytes, 0o600)
    }
}

fn uses(ingresses: &Ingresses) -> BTreeSet<ClassUse<'_>> {
    ingresses
        .iter()
        .map(|ingress| ClassUse::of(ingress))
        .collect()
}

fn by_name<K: Resource + DeserializeOwned>(objects: &[Arc<K>]) -> BTreeMap<String, Arc<K>> {
    let named = objects
        .iter()
        .map(|object| (object.name_any(), Arc::clone(object)));
    named.collect()
}

fn same<K>(a: &BTreeMap<String, Arc<K>>, b: &BTreeMap<String, Arc<K>>) -> bool {
    let pairs = a.iter().zip(b);
    a.len() == b.len()
        && pairs
            .into_iter()
            .all(|((name, x), (other, y))| name == other && Arc::ptr_eq(x, y))
}
