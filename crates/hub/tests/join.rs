//! Joining, with API servers in memory as the hub and the members.

#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client};
use std::time::Duration;
use tidegate_api::{Cluster, SYSTEM_NAMESPACE};
use tidegate_apiserver::{Config, Server};
use tidegate_hub::join::{JoinError, JoinRequest, MemberKubeconfig, Outcome, Unreachable, join};

const PATIENCE: Duration = Duration::from_secs(20);

async fn server(name: &str) -> (Server, Client) {
    let server = Server::start(Config::in_memory(name)).await.unwrap();
    let client = tidegate_hub::Hub::client(server.admin_kubeconfig())
        .await
        .unwrap();
    (server, client)
}

/// An API server that knows Tidegate's kinds.
async fn hub() -> (Server, Client) {
    let (server, client) = server("hub").await;
    let crds = Api::all(client.clone());
    for crd in tidegate_api::crds() {
        let name = crd.metadata.name.clone().unwrap();
        crds.create(&PostParams::default(), &crd).await.unwrap();
        let established = await_condition(crds.clone(), &name, conditions::is_crd_established());
        tokio::time::timeout(PATIENCE, established)
            .await
            .unwrap()
            .unwrap();
    }
    (server, client)
}

fn request(name: &str, server: &Server) -> JoinRequest {
    JoinRequest {
        name: name.to_owned(),
        kubeconfig: MemberKubeconfig::parse(server.admin_kubeconfig()).unwrap(),
        region: Some("local".to_owned()),
        zone: Some("local-a".to_owned()),
        replace: false,
    }
}

#[tokio::test]
async fn a_member_is_registered_and_its_secret_leads_to_it() {
    let (_hub, hub) = hub().await;
    let (member, client) = server("az1").await;
    let report = join(&hub, &request("az1", &member)).await.unwrap();
    let system = Api::<Namespace>::all(client)
        .get("kube-system")
        .await
        .unwrap();
    assert_eq!(Some(&report.uid), system.metadata.uid.as_ref());
    assert_eq!(report.outcome, Outcome::Joined);
    assert_eq!(report.namespaces, 4);
    assert!(report.version.starts_with('v'), "{}", report.version);

    let cluster = Api::<Cluster>::all(hub.clone()).get("az1").await.unwrap();
    assert_eq!(cluster.spec.uid.as_deref(), Some(report.uid.as_str()));
    assert_eq!(cluster.spec.location.region.as_deref(), Some("local"));
    assert_eq!(cluster.spec.location.zone.as_deref(), Some("local-a"));
    let reference = cluster.spec.connection.kubeconfig_secret_ref;
    assert_eq!(
        (reference.namespace.as_str(), reference.name.as_str()),
        (SYSTEM_NAMESPACE, "cluster-az1")
    );
    let secret = Api::<Secret>::namespaced(hub, &reference.namespace)
        .get(&reference.name)
        .await
        .unwrap();
    assert_eq!(secret.type_.as_deref(), Some("Opaque"));
    let kubeconfig =
        String::from_utf8(secret.data.unwrap().remove(&reference.key).unwrap().0).unwrap();
    let again = tidegate_hub::Hub::client(&kubeconfig).await.unwrap();
    let system = Api::<Namespace>::all(again)
        .get("kube-system")
        .await
        .unwrap();
    assert_eq!(system.metadata.uid, Some(report.uid));
}

#[tokio::test]
async fn the_kubeconfig_goes_with_its_cluster() {
    let (_hub, hub) = hub().await;
    let (member, _) = server("az1").await;
    join(&hub, &request("az1", &member)).await.unwrap();
    let secrets = Api::<Secret>::namespaced(hub.clone(), SYSTEM_NAMESPACE);
    let uid = secrets.get("cluster-az1").await.unwrap().metadata.uid;
    let clusters = Api::<Cluster>::all(hub);
    let delete = DeleteParams::default();
    clusters.delete("az1", &delete).await.unwrap();
    let gone = await_condition(
        secrets,
        "cluster-az1",
        conditions::is_deleted(uid.as_deref().unwrap()),
    );
    tokio::time::timeout(PATIENCE, gone).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_hub_does_not_join_itself() {
    let (server, hub) = hub().await;
    let refused = join(&hub, &request("me", &server)).await.unwrap_err();
    assert!(matches!(refused, JoinError::TheHub { .. }), "{refused}");
    let clusters = Api::<Cluster>::all(hub);
    assert!(clusters.get_opt("me").await.unwrap().is_none());
}

#[tokio::test]
async fn joining_again_renews_and_leaves_other_fields_alone() {
    let (_hub, hub) = hub().await;
    let (member, _) = server("az1").await;
    let mut request = request("az1", &member);
    join(&hub, &request).await.unwrap();
    let clusters = Api::<Cluster>::all(hub.clone());
    let drain = Patch::Merge(
        serde_json::json!({"spec": {"traffic": "Drain", "location": {"site": "OnPremises"}}}),
    );
    clusters
        .patch("az1", &PatchParams::default(), &drain)
        .await
        .unwrap();
    request.zone = Some("local-b".to_owned());
    let report = join(&hub, &request).await.unwrap();
    assert_eq!(report.outcome, Outcome::Renewed);
    let cluster = serde_json::to_value(clusters.get("az1").await.unwrap().spec).unwrap();
    assert_eq!(cluster["traffic"], "Drain");
    assert_eq!(
        cluster["location"],
        serde_json::json!({"region": "local", "zone": "local-b", "site": "OnPremises"})
    );
}

#[tokio::test]
async fn a_name_stands_for_one_cluster_until_it_is_replaced() {
    let (_hub, hub) = hub().await;
    let (first, _) = server("az1").await;
    let (second, _) = server("az1").await;
    let uid = join(&hub, &request("az1", &first)).await.unwrap().uid;
    let mut other = request("az1", &second);
    let error = join(&hub, &other).await.unwrap_err();
    assert!(
        matches!(&error, JoinError::OtherCluster { known, .. } if *known == uid),
        "{error}"
    );
    assert!(error.hint().contains("--replace"));
    let error = join(&hub, &request("az9", &first)).await.unwrap_err();
    assert!(
        matches!(&error, JoinError::OtherName { name, .. } if name == "az1"),
        "{error}"
    );

    other.replace = true;
    let report = join(&hub, &other).await.unwrap();
    assert_eq!(report.outcome, Outcome::Replaced);
    let cluster = Api::<Cluster>::all(hub).get("az1").await.unwrap();
    assert_eq!(cluster.spec.uid, Some(report.uid));
}

#[tokio::test]
async fn nothing_is_written_for_a_member_that_fails_a_check() {
    let (_hub, hub) = hub().await;
    let (member, _) = server("az1").await;
    let (stranger, _) = server("az1").await;
    // The address of one server with the CA and identity of another.
    let url = |server: &Server| format!("https://{}", server.local_addr());
    let mixed = stranger
        .admin_kubeconfig()
        .replace(&url(&stranger), &url(&member));
    let mut bad = request("az1", &member);
    bad.kubeconfig = MemberKubeconfig::parse(&mixed).unwrap();
    let error = join(&hub, &bad).await.unwrap_err();
    assert!(
        matches!(
            &error,
            JoinError::Unreachable {
                why: Unreachable::Untrusted(_),
                ..
            }
        ),
        "{error}"
    );

    let mut bad = request("az1", &member);
    bad.name = "Az_1".to_owned();
    assert!(matches!(
        join(&hub, &bad).await.unwrap_err(),
        JoinError::Name { .. }
    ));

    let mut bad = request("az1", &member);
    bad.zone = Some("z".repeat(64));
    let error = join(&hub, &bad).await.unwrap_err();
    assert!(
        matches!(error, JoinError::Location { option: "zone", .. }),
        "{error}"
    );

    let clusters = Api::<Cluster>::all(hub.clone())
        .list(&Default::default())
        .await
        .unwrap();
    assert_eq!(clusters.items.len(), 0);
    assert!(
        Api::<Namespace>::all(hub)
            .get_opt(SYSTEM_NAMESPACE)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_server_without_tidegates_kinds_is_no_hub() {
    let (_hub, hub) = server("hub").await;
    let (member, _) = server("az1").await;
    let error = join(&hub, &request("az1", &member)).await.unwrap_err();
    assert!(matches!(error, JoinError::NotAHub), "{error}");
}
