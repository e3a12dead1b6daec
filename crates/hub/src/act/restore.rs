//! Putting back what must be there, when somebody has deleted it.

use super::install::{CLASS, CONFIG, apply, class, config};
use crate::client::chain;
use k8s_openapi::api::networking::v1::IngressClass;
use kube::{Api, Client};
use serde_json::{Value, json};
use tidegate_api::GatewayConfig;
use tidegate_translate::{DEFAULT_CLASS, Kind, ObjectRef, WorldView, is_default};

/// The default objects that were deleted while Ingresses are served by them, as they were last.
pub(crate) struct Defaults {
    class: Option<Value>,
    config: Option<Value>,
}

impl Defaults {
    /// Those of a world that are missing.
    pub(crate) fn missing(world: &WorldView) -> Option<Self> {
        let deleted = |kind, name: &str| {
            let object = ObjectRef::cluster_scoped(kind, name);
            world.deleted.contains(&object)
        };
        let class = world.ingress_classes.iter().find(|class| {
            class.metadata.name.as_deref() == Some(CLASS) && deleted(Kind::IngressClass, CLASS)
        });
        let config = world.gateway_configs.iter().find(|config| {
            config.metadata.name.as_deref() == Some(CONFIG) && deleted(Kind::GatewayConfig, CONFIG)
        });
        if class.is_none() && config.is_none() {
            return None;
        }
        Some(Self {
            class: class.map(|class| class_as_it_was(class, world)),
            config: config.map(|config| self::config(&json!(config.spec))),
        })
    }

    /// Makes them again. A failure is logged; the next look at the world tries once more.
    pub(crate) async fn restore(self, client: Client) {
        if let Some(config) = self.config {
            let api: Api<GatewayConfig> = Api::all(client.clone());
            report("GatewayConfig", CONFIG, apply(&api, CONFIG, &config).await);
        }
        if let Some(class) = self.class {
            let api: Api<IngressClass> = Api::all(client);
            report("IngressClass", CLASS, apply(&api, CLASS, &class).await);
        }
    }
}

/// It is the default one again only if no other is: a new object would win over one that is older.
fn class_as_it_was(deleted: &IngressClass, world: &WorldView) -> Value {
    let mut annotations = deleted.metadata.annotations.clone().unwrap_or_default();
    let other =
        |class: &IngressClass| class.metadata.name != deleted.metadata.name && is_default(class);
    if world.ingress_classes.iter().any(|class| other(class)) {
        annotations.remove(DEFAULT_CLASS);
    }
    class(&json!(annotations), &json!(deleted.spec))
}

fn report(kind: &str, name: &str, result: kube::Result<()>) {
    match result {
        Ok(()) => tracing::warn!(
            kind,
            name,
            "was deleted while Ingresses are served by it, and is put back as it was"
        ),
        Err(error) => {
            tracing::warn!(kind, name, error = %chain(&error), "was deleted and cannot be put back yet")
        }
    }
}
