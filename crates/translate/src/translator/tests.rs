//! Whatever came before, the outcome is that of one translation of all Ingresses together.
#![allow(clippy::unwrap_used)] // A failed unwrap is a failed test.

use super::*;
use crate::{AuthSecret, Freshness, MemberView, TlsSecret};
use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_model::{Generation, Snapshot};

fn read<K: serde::de::DeserializeOwned>(object: Value) -> Arc<K> {
    Arc::new(serde_json::from_value(object).unwrap())
}

/// Without parts: what [`Translator`] must come to.
fn together(world: &WorldView) -> Translation {
    let mut diagnostics = diagnostic::Sink::default();
    let context = Context::new(world, &mut diagnostics);
    let all: Vec<_> = world.ingresses.iter().cloned().collect();
    let part = context.translate(&all);
    let policies = context.policies.finish(&diagnostics);
    let mut diagnostics = diagnostics.finish();
    diagnostics.extend(part.diagnostics);
    diagnostics.sort();
    diagnostics.dedup();
    Translation {
        snapshot: Snapshot {
            settings: context.classes.settings,
            hosts: part.hosts.into(),
            backends: part.backends.into(),
            tls: part.tls.into(),
            certificates: part.certificates.into(),
            authorities: part.authorities.into(),
            handshakes: part.handshakes.into(),
            passthrough: part.passthrough.into(),
            ..Snapshot::empty(Generation(0))
        },
        diagnostics,
        ingresses: part.ingresses.into(),
        policies,
    }
}

fn base() -> WorldView {
    let cluster = json!({
        "metadata": { "name": "az1" },
        "spec": { "connection": { "kubeconfigSecretRef": { "namespace": "x", "name": "x" } } },
    });
    let class = json!({
        "metadata": { "name": "tidegate" }, "spec": { "controller": "tidegate.io/ingress" },
    });
    let view = MemberView {
        freshness: Freshness::Known,
        services: Vec::new(),
        slices: Vec::new(),
    };
    WorldView {
        clusters: vec![read(cluster)],
        ingress_classes: vec![read(class)],
        members: [("az1".to_owned().try_into().unwrap(), view)].into(),
        ..WorldView::default()
    }
}

/// What happens between two translations.
#[derive(Clone, Debug)]
enum Step {
    Put(usize, Value),
    Delete(usize),
    Service(&'static str, Option<u16>),
    Endpoint(&'static str, Option<u8>),
    Secret(&'static str, bool),
    Headers(&'static str, Option<u8>),
    Freshness(bool),
    Policy(Option<Value>),
    Nothing,
}

fn any_step() -> impl Strategy<Value = Step> {
    let service = || prop::sample::select(&["a", "b", "c"][..]);
    let policy = prop_oneof![
        (service(), 0_u8..100).prop_map(|(name, percent)| json!({
            "metadata": { "name": "p", "namespace": "shop" },
            "spec": { "targetRef": { "kind": "Service", "name": name }, "spillBelowPercent": percent },
        })),
        (0_usize..6, 0_u8..100).prop_map(|(which, percent)| json!({
            "metadata": { "name": "p", "namespace": "shop" },
            "spec": { "targetRef": { "kind": "Ingress", "name": format!("i{which}") }, "spillBelowPercent": percent },
        })),
    ];
    prop_oneof![
        6 => (0_usize..6, any_ingress()).prop_map(|(which, ingress)| Step::Put(which, ingress)),
        2 => (0_usize..6).prop_map(Step::Delete),
        2 => (service(), prop::option::of(80_u16..82)).prop_map(|(name, port)| Step::Service(name, port)),
        2 => (service(), prop::option::of(1_u8..4)).prop_map(|(name, host)| Step::Endpoint(name, host)),
        1 => (service(), any::<bool>()).prop_map(|(name, there)| Step::Secret(name, there)),
        2 => (service(), prop::option::of(0_u8..3)).prop_map(|(name, value)| Step::Headers(name, value)),
        1 => any::<bool>().prop_map(Step::Freshness),
        1 => prop::option::of(policy).prop_map(Step::Policy),
        1 => Just(Step::Nothing),
    ]
}

fn any_ingress() -> impl Strategy<Value = Value> {
    let host = || {
        prop::sample::select(
            &[
                "a.example.com",
                "b.example.com",
                "www.a.example.com",
                "*.example.com",
                "",
            ][..],
        )
    };
    let service = || prop::sample::select(&["a", "b", "c"][..]);
    let path = (prop::sample::select(&["/", "/x"][..]), service()).prop_map(|(path, name)| {
        json!({ "path": path, "pathType": "Prefix", "backend": { "service": { "name": name, "port": { "number": 80 } } } })
    });
    let rule = (host(), prop::collection::vec(path, 1..3))
        .prop_map(|(host, paths)| json!({ "host": host, "http": { "paths": paths } }));
    let default = prop::option::weighted(0.2, service()).prop_map(|name| {
        name.map(|name| json!({ "service": { "name": name, "port": { "number": 80 } } }))
    });
    let tls = prop::option::weighted(0.3, (host(), service())).prop_map(|tls| {
        tls.map(|(host, secret)| json!([{ "hosts": [host], "secretName": secret }]))
    });
    let annotations = prop::sample::select(vec![
        json!({}),
        json!({ "tidegate.io/canary": "true", "tidegate.io/canary-weight": "20" }),
        json!({ "tidegate.io/canary": "true", "tidegate.io/canary-by-header": "x-new" }),
        json!({ "tidegate.io/default-backend": "c" }),
        json!({ "tidegate.io/app-root": "/x" }),
        json!({ "tidegate.io/affinity": "cookie" }),
        json!({ "tidegate.io/auth-type": "basic", "tidegate.io/auth-secret": "a" }),
        json!({ "tidegate.io/domain-whitelist-source-range": "10.0.0.0/8" }),
        json!({ "tidegate.io/load-balance": "ewma" }),
        json!({ "tidegate.io/server-alias": "b.example.com, www.a.example.com" }),
        json!({ "tidegate.io/from-to-www-redirect": "true" }),
        json!({ "tidegate.io/destination": "50% a.shop.svc.cluster.local:80\n50% b.shop.svc.cluster.local:80" }),
        json!({ "tidegate.io/auth-type": "unknown" }),
        json!({ "tidegate.io/custom-headers": "a" }),
        json!({ "tidegate.io/auth-url": "http://a.shop.svc/", "tidegate.io/auth-proxy-set-headers": "b" }),
        json!({ "tidegate.io/auth-tls-secret": "a", "tidegate.io/auth-tls-verify-client": "optional" }),
        json!({ "tidegate.io/auth-tls-secret": "b" }),
        json!({ "tidegate.io/tls-min-protocol-version": "TLSv1.3" }),
        json!({ "tidegate.io/ssl-passthrough": "true" }),
        json!({ "tidegate.io/backend-protocol": "HTTPS", "tidegate.io/proxy-ssl-secret": "c", "tidegate.io/proxy-ssl-verify": "on" }),
        json!({ "tidegate.io/enable-cors": "perhaps" }),
    ]);
    let age = 1_u8..4;
    (prop::collection::vec(rule, 0..3), default, tls, annotations, age).prop_map(
        |(rules, default, tls, annotations, age)| {
            json!({
                "metadata": {
                    "namespace": "shop", "annotations": annotations,
                    "creationTimestamp": format!("2026-01-0{age}T00:00:00Z"),
                },
                "spec": {
                    "ingressClassName": "tidegate", "rules": rules, "defaultBackend": default, "tls": tls,
                },
            })
        },
    )
}

fn take(world: &mut WorldView, step: Step) {
    let name = |which: usize| format!("i{which}");
    let member = world.members.values_mut().next().unwrap();
    match step {
        Step::Put(which, mut ingress) => {
            ingress["metadata"]["name"] = name(which).into();
            let ingress: Arc<Ingress> = read(ingress);
            let name = crate::name_of(&ingress.metadata);
            world.ingresses.insert(name, ingress);
        }
        Step::Delete(which) => {
            let name = Arc::new(("shop".to_owned(), name(which)));
            world.ingresses.remove(&name);
        }
        Step::Service(name, port) => {
            member
                .services
                .retain(|s| s.metadata.name.as_deref() != Some(name));
            member.services.extend(port.map(|port| {
                read(json!({
                    "metadata": { "name": name, "namespace": "shop" }, "spec": { "ports": [{ "port": port }] },
                }))
            }));
        }
        Step::Endpoint(name, host) => {
            member
                .slices
                .retain(|s| s.metadata.name.as_deref() != Some(name));
            member.slices.extend(host.map(|host| {
                read(json!({
                    "metadata": {
                        "name": name, "namespace": "shop", "labels": { "kubernetes.io/service-name": name },
                    },
                    "addressType": "IPv4",
                    "ports": [{ "port": 8080 }],
                    "endpoints": [{ "addresses": [format!("127.0.0.{host}")] }],
                }))
            }));
        }
        Step::Secret(name, there) => {
            world.tls_secrets.retain(|s| s.name != name);
            world.auth_secrets.retain(|s| s.name != name);
            if there {
                let certificate = tidegate_model::Certificate {
                    chain: name.to_owned(),
                    key: tidegate_model::PrivateKey("key".to_owned()),
                };
                world.tls_secrets.push(Arc::new(TlsSecret {
                    namespace: "shop".to_owned(),
                    name: name.to_owned(),
                    names: vec!["a.example.com".to_owned()],
                    certificate: Some(certificate.into()),
                    problem: None,
                    authorities: Some(Ok(tidegate_model::Authorities(name.to_owned()).into())),
                }));
                let secret = json!({
                    "metadata": { "name": name, "namespace": "shop" },
                    "data": { "auth": "YW5uYTp7UExBSU59b3Blbg==" },
                });
                let secret = serde_json::from_value(secret).unwrap();
                world.auth_secrets.push(Arc::new(AuthSecret::read(&secret)));
            }
        }
        Step::Headers(name, value) => {
            let place = Arc::new(("shop".to_owned(), name.to_owned()));
            world.config_maps.remove(&place);
            if let Some(value) = value {
                let map = json!({ "metadata": {}, "data": { "X-Value": value.to_string() } });
                world.config_maps.insert(place, read(map));
            }
        }
        Step::Freshness(known) => {
            member.freshness = match known {
                true => Freshness::Known,
                false => Freshness::Never,
            };
        }
        Step::Policy(policy) => {
            world.failover_policies = policy.into_iter().map(read).collect();
        }
        Step::Nothing => {}
    }
}

proptest! {
    #[test]
    fn what_changed_is_translated_again_and_nothing_else_is_lost(
        steps in prop::collection::vec(prop::collection::vec(any_step(), 1..4), 1..12),
    ) {
        let mut world = base();
        let mut translator = Translator::default();
        for together_at_once in steps {
            for step in together_at_once {
                take(&mut world, step);
            }
            prop_assert_eq!(translator.translate(&world), together(&world));
        }
    }
}

/// What did not change is not only equal but the same, so that whoever compares need not look.
#[test]
fn the_rest_is_shared_with_the_translation_before() {
    let ingress = |name: &str, path: &str| {
        read(json!({
            "metadata": { "name": name, "namespace": "shop" },
            "spec": { "ingressClassName": "tidegate", "rules": [{
                "host": format!("{name}.example.com"),
                "http": { "paths": [{
                    "path": path, "pathType": "Prefix",
                    "backend": { "service": { "name": "a", "port": { "number": 80 } } },
                }] },
            }] },
        }))
    };
    let mut world = base();
    take(&mut world, Step::Service("a", Some(80)));
    world.ingresses = [ingress("one", "/"), ingress("two", "/")]
        .into_iter()
        .collect();
    let mut translator = Translator::default();
    let before = translator.translate(&world).snapshot;
    let changed: Arc<Ingress> = ingress("two", "/changed");
    world
        .ingresses
        .insert(crate::name_of(&changed.metadata), changed);
    let after = translator.translate(&world).snapshot;
    let same = |name: &str| {
        let host = HostPattern::parse(&format!("{name}.example.com")).unwrap();
        tidegate_model::SharedPart::is(&before.hosts[&host], &after.hosts[&host])
    };
    assert!(same("one") && !same("two"));
    let [old, new] = [&before, &after].map(|snapshot| snapshot.backends.values().next().unwrap());
    assert!(tidegate_model::SharedPart::is(old, new));
}
