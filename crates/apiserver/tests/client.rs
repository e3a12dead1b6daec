//! kube-rs against a server of our own: what the hub, the controllers and the kubelet rely on.

#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{AsyncBufReadExt as _, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{
    DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams, PropagationPolicy,
    WatchEvent, WatchParams,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::{WatchStreamExt as _, reflector, watcher};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tidegate_apiserver::{Config, Follow, LogError, LogRequest, LogSource, LogStream, Run, Server};

const PATIENCE: Duration = Duration::from_secs(20);

async fn client(server: &Server) -> Client {
    let kubeconfig = Kubeconfig::from_yaml(server.admin_kubeconfig()).unwrap();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .unwrap();
    Client::try_from(config).unwrap()
}

async fn start() -> (Server, Client) {
    let server = Server::start(Config::in_memory("test")).await.unwrap();
    let client = client(&server).await;
    (server, client)
}

fn config_map(name: &str, value: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}, "data": {"v": value}})).unwrap()
}

fn pod(name: &str) -> Pod {
    serde_json::from_value(
        json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}]}}),
    )
    .unwrap()
}

fn code(error: kube::Error) -> u16 {
    match error {
        kube::Error::Api(status) => status.code,
        other => panic!("not an API error: {other}"),
    }
}

/// Waits until a condition on the cluster holds.
async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let poll = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, poll)
        .await
        .unwrap_or_else(|_| panic!("{what} did not happen"));
}

#[tokio::test]
async fn a_reflector_follows_everything() {
    let (_server, client) = start().await;
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    api.create(&PostParams::default(), &config_map("before", "1"))
        .await
        .unwrap();
    for strategy in [
        watcher::Config::default(),
        watcher::Config::default().streaming_lists(),
    ] {
        let (reader, writer) = reflector::store();
        let stream = reflector(writer, watcher(api.clone(), strategy)).applied_objects();
        let follow = tokio::spawn(stream.for_each(|_| async {}));
        tokio::time::timeout(PATIENCE, reader.wait_until_ready())
            .await
            .unwrap()
            .unwrap();
        assert!(reader.find(|c| c.name_any() == "before").is_some());
        api.create(&PostParams::default(), &config_map("after", "1"))
            .await
            .unwrap();
        let patch = json!({"data": {"v": "2"}});
        api.patch("after", &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .unwrap();
        let seen = |v: &str| {
            reader.find(|c| c.name_any() == "after" && c.data.as_ref().is_some_and(|d| d["v"] == v))
        };
        until("the change", || async { seen("2").is_some() }).await;
        api.delete("after", &DeleteParams::default()).await.unwrap();
        until("the deletion", || async { seen("2").is_none() }).await;
        follow.abort();
    }
}

#[tokio::test]
async fn replaying_a_watch_gives_the_list() {
    let (_server, client) = start().await;
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let from = api
        .list(&ListParams::default())
        .await
        .unwrap()
        .metadata
        .resource_version
        .unwrap();
    for round in 0..4 {
        for n in 0..5 {
            let name = format!("c{n}");
            match (round + n) % 3 {
                0 => drop(
                    api.create(&PostParams::default(), &config_map(&name, "0"))
                        .await,
                ),
                1 => drop(api.delete(&name, &DeleteParams::default()).await),
                _ => drop(
                    api.patch(
                        &name,
                        &PatchParams::default(),
                        &Patch::Merge(json!({"data": {"v": round.to_string()}})),
                    )
                    .await,
                ),
            }
        }
    }
    let list = api.list(&ListParams::default()).await.unwrap();
    let versions = |items: &[ConfigMap]| -> BTreeMap<String, String> {
        items
            .iter()
            .map(|c| (c.name_any(), c.resource_version().unwrap()))
            .collect()
    };
    let wanted = versions(&list.items);
    let mut watch = api
        .watch(&WatchParams::default(), &from)
        .await
        .unwrap()
        .boxed();
    let mut replayed: BTreeMap<String, String> = BTreeMap::new();
    let replay = async {
        let mut last = 0_u64;
        while replayed != wanted {
            let event = watch.try_next().await.unwrap().expect("the watch goes on");
            let (WatchEvent::Added(c) | WatchEvent::Modified(c) | WatchEvent::Deleted(c)) = &event
            else {
                continue;
            };
            let version: u64 = c.resource_version().unwrap().parse().unwrap();
            assert!(version > last, "events come in order");
            last = version;
            match event {
                WatchEvent::Deleted(c) => replayed.remove(&c.name_any()),
                WatchEvent::Added(c) | WatchEvent::Modified(c) => {
                    replayed.insert(c.name_any(), c.resource_version().unwrap())
                }
                WatchEvent::Bookmark(_) | WatchEvent::Error(_) => None,
            };
        }
    };
    tokio::time::timeout(PATIENCE, replay)
        .await
        .expect("the replay reaches the list");
}

#[tokio::test]
async fn apply_conflicts_and_lost_races_are_409() {
    let (_server, client) = start().await;
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let wish = |v: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"v": v}});
    api.patch("a", &PatchParams::apply("one"), &Patch::Apply(wish("1")))
        .await
        .unwrap();
    let refused = api
        .patch("a", &PatchParams::apply("two"), &Patch::Apply(wish("2")))
        .await
        .unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("conflict with \"one\" using v1: .data.v"),
        "{refused}"
    );
    let old = api.get("a").await.unwrap();
    let forced = api
        .patch(
            "a",
            &PatchParams::apply("two").force(),
            &Patch::Apply(wish("2")),
        )
        .await
        .unwrap();
    let managers: Vec<_> = forced
        .managed_fields()
        .iter()
        .filter_map(|m| m.manager.clone())
        .collect();
    assert_eq!(managers, ["two"]);
    assert_eq!(
        code(
            api.replace("a", &PostParams::default(), &old)
                .await
                .unwrap_err()
        ),
        409
    );
    assert_eq!(
        code(
            api.create(&PostParams::default(), &config_map("a", "1"))
                .await
                .unwrap_err()
        ),
        409
    );
}

#[tokio::test]
async fn a_version_before_the_history_is_410() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        data_dir: Some(dir.path().to_owned()),
        ..Config::in_memory("test")
    };
    let server = Server::start(config.clone()).await.unwrap();
    let api: Api<ConfigMap> = Api::default_namespaced(client(&server).await);
    let made = api
        .create(&PostParams::default(), &config_map("kept", "1"))
        .await
        .unwrap();
    let (uid, version) = (made.uid(), made.resource_version().unwrap());
    api.create(&PostParams::default(), &config_map("later", "1"))
        .await
        .unwrap();
    let locked = Server::start(config.clone()).await.unwrap_err();
    assert!(
        locked.to_string().contains("in use by another process"),
        "{locked}"
    );
    server.shutdown().await;

    let server = Server::start(config).await.unwrap();
    let api: Api<ConfigMap> = Api::default_namespaced(client(&server).await);
    let again = api.get("kept").await.unwrap();
    assert_eq!(
        (again.uid(), again.resource_version()),
        (uid, Some(version.clone())),
        "a restart keeps everything"
    );
    let mut events = api
        .watch(&WatchParams::default(), &version)
        .await
        .unwrap()
        .boxed();
    match events.try_next().await.unwrap() {
        Some(WatchEvent::Error(error)) => assert_eq!(error.code, 410),
        other => panic!("expected an error event, not {other:?}"),
    }
    assert!(events.try_next().await.unwrap().is_none(), "the watch ends");
    let newer = api
        .create(&PostParams::default(), &config_map("new", "1"))
        .await
        .unwrap();
    assert!(
        newer.resource_version().unwrap().parse::<u64>().unwrap() > version.parse::<u64>().unwrap()
    );
    server.shutdown().await;
}

#[tokio::test]
async fn a_reflector_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        data_dir: Some(dir.path().to_owned()),
        ..Config::in_memory("test")
    };
    let server = Server::start(config.clone()).await.unwrap();
    let api: Api<ConfigMap> = Api::default_namespaced(client(&server).await);
    api.create(&PostParams::default(), &config_map("old", "1"))
        .await
        .unwrap();
    let (reader, writer) = reflector::store();
    let stream =
        reflector(writer, watcher(api.clone(), watcher::Config::default())).default_backoff();
    let follow = tokio::spawn(stream.for_each(|_| async {}));
    until("the first list", || async {
        reader.find(|c| c.name_any() == "old").is_some()
    })
    .await;
    let address = server.local_addr();
    server.shutdown().await;

    let server = Server::start(Config {
        listen: address,
        ..config
    })
    .await
    .unwrap();
    // Its version is behind the new server's history by the time the reflector comes back.
    api.create(&PostParams::default(), &config_map("new", "1"))
        .await
        .unwrap();
    api.delete("old", &DeleteParams::default()).await.unwrap();
    until("the new state", || async {
        reader.find(|c| c.name_any() == "new").is_some()
            && reader.find(|c| c.name_any() == "old").is_none()
    })
    .await;
    follow.abort();
    server.shutdown().await;
}

#[tokio::test]
async fn a_bound_pod_waits_for_its_kubelet() {
    let (_server, client) = start().await;
    let api: Api<Pod> = Api::default_namespaced(client.clone());
    api.create(&PostParams::default(), &pod("p")).await.unwrap();
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}});
    let bind = || {
        http::Request::post("/api/v1/namespaces/default/pods/p/binding")
            .body(serde_json::to_vec(&binding).unwrap())
            .unwrap()
    };
    client.request::<serde_json::Value>(bind()).await.unwrap();
    assert_eq!(
        code(
            client
                .request::<serde_json::Value>(bind())
                .await
                .unwrap_err()
        ),
        409,
        "bound once"
    );
    assert_eq!(
        api.get("p")
            .await
            .unwrap()
            .spec
            .unwrap()
            .node_name
            .as_deref(),
        Some("n")
    );

    api.delete("p", &DeleteParams::default().grace_period(7))
        .await
        .unwrap();
    let leaving = api.get("p").await.unwrap();
    assert!(leaving.metadata.deletion_timestamp.is_some());
    assert_eq!(leaving.metadata.deletion_grace_period_seconds, Some(7));
    api.delete("p", &DeleteParams::default().grace_period(0))
        .await
        .unwrap();
    assert_eq!(code(api.get("p").await.unwrap_err()), 404);

    api.create(&PostParams::default(), &pod("unbound"))
        .await
        .unwrap();
    api.delete("unbound", &DeleteParams::default())
        .await
        .unwrap();
    assert_eq!(
        code(api.get("unbound").await.unwrap_err()),
        404,
        "nobody runs it: gone at once"
    );
}

#[tokio::test]
async fn owners_take_their_dependents_along() {
    let (_server, client) = start().await;
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let family = async |name: &str| {
        let owner = api
            .create(&PostParams::default(), &config_map(name, "1"))
            .await
            .unwrap();
        let child = format!("{name}-child");
        let mut dependent = config_map(&child, "1");
        dependent.metadata.owner_references = Some(vec![OwnerReference {
            api_version: "v1".to_owned(),
            kind: "ConfigMap".to_owned(),
            name: name.to_owned(),
            uid: owner.uid().unwrap(),
            block_owner_deletion: Some(true),
            controller: None,
        }]);
        api.create(&PostParams::default(), &dependent)
            .await
            .unwrap();
        child
    };
    let delete = async |name: &str, policy| {
        let params = DeleteParams {
            propagation_policy: Some(policy),
            ..DeleteParams::default()
        };
        api.delete(name, &params).await.unwrap();
    };
    let gone = async |name: &str| api.get_opt(name).await.unwrap().is_none();

    let child = family("background").await;
    delete("background", PropagationPolicy::Background).await;
    until("the child's end", || gone(&child)).await;

    let child = family("foreground").await;
    let hold = json!({"metadata": {"finalizers": ["example.com/hold"]}});
    api.patch(&child, &PatchParams::default(), &Patch::Merge(&hold))
        .await
        .unwrap();
    delete("foreground", PropagationPolicy::Foreground).await;
    until("the child's mark", async || {
        api.get(&child)
            .await
            .unwrap()
            .metadata
            .deletion_timestamp
            .is_some()
    })
    .await;
    assert!(
        api.get("foreground")
            .await
            .unwrap()
            .metadata
            .deletion_timestamp
            .is_some(),
        "it waits for the child"
    );
    let release = json!({"metadata": {"finalizers": null}});
    api.patch(&child, &PatchParams::default(), &Patch::Merge(&release))
        .await
        .unwrap();
    until("the owner's end", || gone("foreground")).await;

    let child = family("orphan").await;
    delete("orphan", PropagationPolicy::Orphan).await;
    until("the owner's end", || gone("orphan")).await;
    assert!(api.get(&child).await.unwrap().owner_references().is_empty());

    let all = api
        .delete_collection(&DeleteParams::default(), &ListParams::default())
        .await;
    assert!(all.is_ok());
    assert_eq!(
        api.list(&ListParams::default()).await.unwrap().items.len(),
        0
    );
}

#[tokio::test]
async fn a_namespace_goes_with_its_content() {
    let (_server, client) = start().await;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let named = |name: &str| {
        serde_json::from_value::<Namespace>(json!({"metadata": {"name": name}})).unwrap()
    };
    namespaces
        .create(&PostParams::default(), &named("shop"))
        .await
        .unwrap();
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), "shop");
    let mut held = config_map("held", "1");
    held.metadata.finalizers = Some(vec!["example.com/hold".to_owned()]);
    api.create(&PostParams::default(), &held).await.unwrap();
    namespaces
        .delete("shop", &DeleteParams::default())
        .await
        .unwrap();
    let refused = api
        .create(&PostParams::default(), &config_map("late", "1"))
        .await
        .unwrap_err();
    assert_eq!(code(refused), 403, "nothing new in a namespace that goes");
    until("the mark", async || {
        api.get("held")
            .await
            .unwrap()
            .metadata
            .deletion_timestamp
            .is_some()
    })
    .await;
    let release = json!({"metadata": {"finalizers": null}});
    api.patch("held", &PatchParams::default(), &Patch::Merge(&release))
        .await
        .unwrap();
    until("the end", async || {
        namespaces.get_opt("shop").await.unwrap().is_none()
    })
    .await;
    let missing: Api<ConfigMap> = Api::namespaced(client, "shop");
    assert_eq!(
        code(
            missing
                .create(&PostParams::default(), &config_map("a", "1"))
                .await
                .unwrap_err()
        ),
        404
    );
}

/// Answers with what it was asked.
struct Echo;

impl LogSource for Echo {
    fn open(&self, request: LogRequest) -> BoxFuture<'static, Result<LogStream, LogError>> {
        Box::pin(async move {
            if request.run == Run::Previous {
                return Err(LogError::NotAvailable(
                    "previous terminated container \"c\" not found".to_owned(),
                ));
            }
            let LogRequest {
                namespace,
                pod,
                container,
                tail_lines,
                ..
            } = &request;
            let first = Ok(Bytes::from(format!(
                "{namespace}/{pod}/{container} {tail_lines:?}\n"
            )));
            let first = futures::stream::iter([first]);
            Ok(match request.follow {
                Follow::No => first.boxed(),
                Follow::Yes => first.chain(futures::stream::pending()).boxed(),
            })
        })
    }
}

#[tokio::test]
async fn logs_come_from_the_embedding_program() {
    let config = Config {
        logs: Some(Arc::new(Echo)),
        ..Config::in_memory("test")
    };
    let server = Server::start(config).await.unwrap();
    let api: Api<Pod> = Api::default_namespaced(client(&server).await);
    api.create(&PostParams::default(), &pod("p")).await.unwrap();
    let tail = LogParams {
        tail_lines: Some(3),
        ..LogParams::default()
    };
    assert_eq!(api.logs("p", &tail).await.unwrap(), "default/p/c Some(3)\n");
    let previous = LogParams {
        previous: true,
        ..LogParams::default()
    };
    assert_eq!(code(api.logs("p", &previous).await.unwrap_err()), 400);
    let stranger = LogParams {
        container: Some("x".to_owned()),
        ..LogParams::default()
    };
    assert_eq!(code(api.logs("p", &stranger).await.unwrap_err()), 400);
    assert_eq!(code(api.logs("nobody", &tail).await.unwrap_err()), 404);

    let follow = LogParams {
        follow: true,
        ..LogParams::default()
    };
    let mut lines = api.log_stream("p", &follow).await.unwrap().lines();
    let first = tokio::time::timeout(PATIENCE, lines.try_next())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(first.as_deref(), Some("default/p/c None"));
    // Shutting down ends the follower.
    server.shutdown().await;
    let end = tokio::time::timeout(PATIENCE, lines.next()).await.unwrap();
    assert!(!matches!(end, Some(Ok(_))));
}
