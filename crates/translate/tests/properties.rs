//! Laws that hold for any world: no panic, a servable snapshot, and no Ingress that disturbs another.
#![allow(clippy::unwrap_used)] // A failed unwrap is a failed test.

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;
use tidegate_api::{Cluster, FailoverPolicy, GatewayConfig};
use tidegate_model::{Action, HostPattern, Route};
use tidegate_translate::{
    Freshness, MemberView, ObjectRef, Reason, TlsSecret, Translation, WorldView, translate,
};

fn read<K: serde::de::DeserializeOwned>(object: Value) -> Arc<K> {
    Arc::new(serde_json::from_value(object).unwrap())
}

fn member(address: &str, freshness: Freshness) -> MemberView {
    let services = ["web", "errors"].map(|name| {
        read::<Service>(json!({
            "metadata": { "name": name, "namespace": "shop" },
            "spec": { "ports": [{ "name": "http", "port": 80 }] },
        }))
    });
    let slice = read::<EndpointSlice>(json!({
        "metadata": { "name": "web-1", "namespace": "shop", "labels": { "kubernetes.io/service-name": "web" } },
        "addressType": "IPv4",
        "ports": [{ "name": "http", "port": 8080 }],
        "endpoints": [{ "addresses": [address] }],
    }));
    MemberView {
        freshness,
        services: services.to_vec(),
        slices: vec![slice],
    }
}

fn base() -> WorldView {
    let cluster = |name: &str| {
        read::<Cluster>(json!({
            "metadata": { "name": name },
            "spec": { "connection": { "kubeconfigSecretRef": { "namespace": "x", "name": "x" } } },
        }))
    };
    WorldView {
        clusters: vec![cluster("az1"), cluster("az2")],
        ingress_classes: vec![read::<IngressClass>(json!({
            "metadata": { "name": "tidegate" },
            "spec": { "controller": "tidegate.io/ingress" },
        }))],
        members: [("az1", "127.1.0.1"), ("az2", "127.2.0.1")]
            .map(|(name, address)| {
                (
                    name.to_owned().try_into().unwrap(),
                    member(address, Freshness::Known),
                )
            })
            .into(),
        tls_secrets: vec![Arc::new(TlsSecret {
            namespace: "shop".to_owned(),
            name: "good".to_owned(),
            names: vec!["*.example.com".to_owned()],
            certificate: Some(
                tidegate_model::Certificate {
                    chain: "chain".to_owned(),
                    key: tidegate_model::PrivateKey("key".to_owned()),
                }
                .into(),
            ),
            problem: None,
            authorities: Some(Ok(tidegate_model::Authorities("pem".to_owned()).into())),
        })],
        ..WorldView::default()
    }
}

/// An Ingress with nearly anything in it, younger the larger `created`.
fn any_ingress(name: &'static str, created: u32) -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        Just("shop.example.com".to_owned()),
        Just("*.example.com".to_owned()),
        Just(String::new()),
        "\\PC{0,12}",
    ];
    let path = prop_oneof![
        Just("/".to_owned()),
        Just("/a".to_owned()),
        "/[a-z./%]{0,8}",
        "\\PC{0,8}"
    ];
    let kind = prop_oneof![
        Just("Prefix"),
        Just("Exact"),
        Just("ImplementationSpecific"),
        Just("Other")
    ];
    let service = prop_oneof![
        Just("web".to_owned()),
        Just("errors".to_owned()),
        "\\PC{0,6}"
    ];
    let port = prop_oneof![
        Just(json!({ "number": 80 })),
        Just(json!({ "name": "http" })),
        any::<i32>().prop_map(|n| json!({ "number": n })),
        "\\PC{0,6}".prop_map(|n| json!({ "name": n })),
        Just(json!({})),
    ];
    let rule = (text, prop::collection::vec((path, kind, service.clone(), port.clone()), 0..4)).prop_map(|(host, paths)| {
        let paths: Vec<Value> = paths
            .into_iter()
            .map(|(path, kind, service, port)| json!({ "path": path, "pathType": kind, "backend": { "service": { "name": service, "port": port } } }))
            .collect();
        json!({ "host": host, "http": { "paths": paths } })
    });
    let default = prop::option::of(
        (service, port)
            .prop_map(|(name, port)| json!({ "service": { "name": name, "port": port } })),
    );
    let tls = (
        prop::collection::vec("(shop|\\*)\\.example\\.com|\\PC{0,6}", 0..3),
        prop::option::of("(good)?|\\PC{0,6}"),
    );
    let tls = tls.prop_map(|(hosts, name)| json!({ "hosts": hosts, "secretName": name }));
    let tls = prop::collection::vec(tls, 0..3);
    (prop::collection::vec(rule, 0..3), default, any_annotations(), tls).prop_map(move |(rules, default, annotations, tls)| {
        json!({
            "metadata": {
                "name": name, "namespace": "shop", "annotations": annotations,
                "creationTimestamp": format!("2026-01-{:02}T00:00:00Z", created + 1),
            },
            "spec": { "ingressClassName": "tidegate", "rules": rules, "defaultBackend": default, "tls": tls },
        })
    })
}

/// Without the part of its requests that a canary of the same namespace may have.
fn unshared((host, mut route): (HostPattern, Route)) -> (HostPattern, Route) {
    if let Action::Split(shares) = &route.action {
        route.action = Action::Forward(shares[0].forward.clone());
    }
    (host, route)
}

/// Annotations that become filters and forms of paths.
const FILTERS: &[&str] = &[
    "affinity",
    "affinity-mode",
    "session-cookie-name",
    "session-cookie-path",
    "session-cookie-max-age",
    "load-balance",
    "upstream-hash-by",
    "warmup",
    "canary-by-header-pattern",
    "canary-by-query",
    "canary-by-cookie",
    "canary-weight",
    "canary-weight-total",
    "use-regex",
    "full-path-regex",
    "rewrite-target",
    "rewrite-path",
    "upstream-vhost",
    "ssl-redirect",
    "force-ssl-redirect",
    "permanent-redirect",
    "temporal-redirect",
    "temporal-redirect-code",
    "app-root",
    "enable-cors",
    "cors-allow-origin",
    "cors-allow-methods",
    "cors-max-age",
    "whitelist-source-range",
    "denylist-source-range",
    "limit-rps",
    "limit-rpm",
    "limit-burst-multiplier",
    "limit-whitelist",
    "limit-connections",
    "backend-protocol",
    "proxy-ssl-secret",
    "auth-tls-secret",
    "auth-tls-verify-client",
    "auth-tls-match-cn",
    "auth-tls-error-page",
    "ssl-cipher",
    "ssl-passthrough",
    "tls-min-protocol-version",
    "tls-max-protocol-version",
    "proxy-ssl-verify",
    "proxy-ssl-name",
    "proxy-ssl-protocols",
    "proxy-ssl-ciphers",
    "auth-url",
    "auth-cache-key",
    "custom-headers",
    "auth-proxy-set-headers",
    "auth-cache-duration",
    "mirror-target-service",
    "mirror-target",
    "mirror-percentage",
    "auth-signin",
    "auth-response-headers",
    "default-backend",
    "custom-http-errors",
    "limit-rate",
    "limit-rate-after",
    "rate-limit",
    "rate-limit-fallback-custom-response-code",
    "rate-limit-fallback-custom-response-body",
    "concurrency-limit",
    "concurrency-limit-fallback-redirect-url",
    "global-rate-limit",
    "global-rate-limit-window",
    "global-rate-limit-key",
    "proxy-body-size",
    "proxy-connect-timeout",
    "proxy-read-timeout",
    "proxy-next-upstream",
    "proxy-next-upstream-tries",
    "request-header-control-add",
    "request-header-control-update",
    "response-header-control-remove",
    "x-forwarded-prefix",
];

/// Values that some of them take.
const VALUES: &[&str] = &[
    "cookie",
    "ewma",
    "HTTPS",
    "optional",
    "CN=(a|b)",
    "TLSv1.3",
    "TLSv1.2",
    "good",
    "on",
    "TLSv1.2 TLSv1.3",
    "HIGH:!aRSA",
    "$host-$http_x_a",
    "http://a.shop.svc/check?u=$request_uri",
    "https://$host/auth",
    "/$1",
    "/new?a=$2",
    "10",
    "0",
    "8m",
    "off",
    "308",
    "10.0.0.0/8, ::1",
    "https://*.a.example",
    "GET, PUT",
    "x-a 1",
    "(a)(b)*",
];

fn any_annotations() -> impl Strategy<Value = std::collections::BTreeMap<String, String>> {
    let prefix = prop_oneof![
        Just("nginx.ingress.kubernetes.io/"),
        Just("mse.ingress.kubernetes.io/"),
        Just("tidegate.io/"),
        Just(""),
    ];
    let name = prop_oneof![
        Just("canary".to_owned()),
        Just("canary-by-header".to_owned()),
        Just("canary-by-header-value".to_owned()),
        Just("default-backend".to_owned()),
        Just("service-subset".to_owned()),
        Just("subset-labels".to_owned()),
        Just("auth-type".to_owned()),
        prop::sample::select(FILTERS).prop_map(str::to_owned),
        "[a-z-]{0,12}",
    ];
    let value = prop_oneof![
        Just("true".to_owned()),
        Just("x-test".to_owned()),
        Just("errors".to_owned()),
        Just("topology.istio.io/cluster az1".to_owned()),
        prop::sample::select(VALUES).prop_map(str::to_owned),
        "\\PC{0,20}",
        "(?s).{0,20}",
    ];
    prop::collection::btree_map(
        (prefix, name).prop_map(|(p, n)| format!("{p}{n}")),
        value,
        0..5,
    )
}

fn any_policy() -> impl Strategy<Value = Value> {
    let cluster = prop_oneof![Just("az1".to_owned()), Just("az2".to_owned()), "\\PC{0,6}"];
    let tier = prop::collection::vec((cluster, prop::option::of(any::<u32>())), 0..3)
        .prop_map(|all| json!({ "clusters": all.into_iter().map(|(name, weight)| json!({ "name": name, "weight": weight })).collect::<Vec<_>>() }));
    let duration = prop_oneof![Just("0s"), Just("1s"), Just("10s"), Just("99999h")];
    (
        prop::collection::vec(tier, 0..4),
        any::<u8>(),
        duration.clone(),
        duration,
        0_u32..3,
        "\\PC{0,6}",
        prop_oneof![Just("Service"), Just("Ingress")],
    )
        .prop_map(|(tiers, percent, interval, timeout, threshold, text, kind)| {
            json!({
                "metadata": { "name": "p", "namespace": "shop" },
                "spec": {
                    "targetRef": { "kind": kind, "name": "web" }, "tiers": tiers,
                    "spillBelowPercent": percent, "panicBelowPercent": percent,
                    "healthCheck": { "type": "HTTP", "path": text, "host": text, "interval": interval, "timeout": timeout, "healthyThreshold": threshold },
                },
            })
        })
}

proptest! {
    #[test]
    fn any_world_gives_a_snapshot_that_can_be_served_whatever_the_order(
        first in any_ingress("web", 0),
        second in any_ingress("b", 1),
        third in any_ingress("c", 1),
        policy in any_policy(),
        clusters in prop::option::of(prop::collection::vec("\\PC{0,5}|az1", 0..3)),
    ) {
        let mut world = base();
        world.ingresses = [first, second, third].into_iter().map(read::<Ingress>).collect();
        world.failover_policies = vec![read::<FailoverPolicy>(policy)];
        world.gateway_configs = vec![read::<GatewayConfig>(json!({ "metadata": { "name": "default" }, "spec": { "clusters": clusters } }))];
        let translation = translate(&world);
        prop_assert_eq!(translation.snapshot.validate(), Ok(()));
        let bytes = serde_json::to_vec(&translation.snapshot).unwrap();
        prop_assert_eq!(&serde_json::from_slice::<tidegate_model::Snapshot>(&bytes).unwrap(), &translation.snapshot);
        world.clusters.reverse();
        let again = translate(&world);
        prop_assert_eq!(serde_json::to_vec(&again.snapshot).unwrap(), bytes);
        prop_assert_eq!(again, translation);
    }

    /// A younger Ingress may add routes; those of older ones and their backends stay as they are.
    #[test]
    fn an_ingress_never_changes_the_routes_of_an_older_one(old in any_ingress("old", 0), young in any_ingress("young", 1)) {
        let mut world = base();
        // Who guards a host in one namespace guards all of it: that closes, and never opens.
        let keys = young["metadata"]["annotations"].as_object();
        let guards = keys.is_some_and(|keys| keys.keys().any(|key| key.contains("/auth-tls-")));
        let old = read::<Ingress>(old);
        world.ingresses = [Arc::clone(&old)].into_iter().collect();
        let alone = translate(&world);
        world.ingresses = [old, read::<Ingress>(young)].into_iter().collect();
        let together = translate(&world);
        let kept = |translation: &Translation, object: &ObjectRef| -> Vec<(HostPattern, Route)> {
            let routes = translation.ingresses[object].iter();
            // A default backend is for what no rule matches: a younger rule may take its place.
            routes.filter(|(_, route)| !route.id.0.ends_with("#default")).cloned().map(unshared).collect()
        };
        for object in alone.ingresses.keys() {
            // A canary that had nothing to be a canary of may find it in the younger one.
            let canary = alone.diagnostics.iter().any(|d| d.object == **object && d.reason == Reason::CanaryWithoutMain);
            if !canary && !guards {
                prop_assert_eq!(kept(&alone, object), kept(&together, object));
            }
        }
        for (id, backend) in &alone.snapshot.backends {
            prop_assert_eq!(Some(backend), together.snapshot.backends.get(id));
        }
    }

    /// Whether a member answers right now never shows in what gateways get.
    #[test]
    fn freshness_never_changes_the_snapshot(ingress in any_ingress("web", 0)) {
        let mut world = base();
        world.ingresses = [read::<Ingress>(ingress)].into_iter().collect();
        let fresh = translate(&world);
        for member in world.members.values_mut() {
            member.freshness = Freshness::Stale;
        }
        prop_assert_eq!(fresh.snapshot, translate(&world).snapshot);
    }
}
