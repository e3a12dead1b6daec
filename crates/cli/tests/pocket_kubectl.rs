//! A pocket cluster is a Kubernetes to kubectl and to kube-rs, as far as people use it here.

use anyhow::{Context, ensure};
use futures::TryStreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::runtime::{WatchStreamExt, reflector, watcher};
use serde_json::json;
use tidegate_testbed::{Kubectl, Result, Rig, SHOP, SOON, get, wait_for};

const TIDEGATE: &str = env!("CARGO_BIN_EXE_tidegate");

#[test]
fn a_deployment_lives_its_life() {
    Rig::run(TIDEGATE, async |rig| {
        rig.start_pocket("az1").await?;
        let kubectl = rig.member("az1");
        kubectl.run("create namespace shop").await?;
        kubectl
            .run(
                "-n shop create deployment web --image tidegate.io/echo:1 --replicas 2 --port 8080",
            )
            .await?;
        kubectl
            .run("-n shop rollout status deployment web --timeout 40s")
            .await?;

        let table = kubectl.run("get pods -A").await?;
        header_is(
            &table,
            &["NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "AGE"],
        )?;
        let web = rows(&table, "web-");
        ensure!(web.len() == 2, "two pods are expected:\n{table}");
        for row in &web {
            ensure!(
                row[0] == "shop" && row[2] == "1/1" && row[3] == "Running",
                "{row:?}"
            );
        }
        let wide = kubectl.run("-n shop get pods -o wide").await?;
        header_is(
            &wide,
            &["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE"],
        )?;
        for row in rows(&wide, "web-") {
            ensure!(row[5].starts_with("127.") && row[6] == "az1", "{row:?}");
        }
        let nodes = kubectl.run("get nodes").await?;
        ensure!(nodes.contains("Ready"), "{nodes}");
        ensure!(
            kubectl
                .run("-n shop get deployment web")
                .await?
                .contains("2/2"),
            "not 2/2 ready"
        );

        kubectl
            .run("-n shop expose deployment web --port 80 --target-port 8080")
            .await?;
        endpoints(kubectl, 2).await?;

        // What a pod prints is kept, and what is asked of it is printed.
        let answer = ask_a_pod(kubectl).await?;
        ensure!(answer == "az1", "the pod says that it is in {answer}");
        let logs = kubectl.run("-n shop logs deployment/web").await?;
        ensure!(
            logs.contains("echo is listening on"),
            "the log of a pod is {logs:?}"
        );

        kubectl
            .run("-n shop scale deployment web --replicas 4")
            .await?;
        kubectl
            .run("-n shop rollout status deployment web --timeout 40s")
            .await?;
        endpoints(kubectl, 4).await?;
        kubectl
            .run("-n shop scale deployment web --replicas 1")
            .await?;
        endpoints(kubectl, 1).await?;

        let before = pods(kubectl).await?;
        kubectl
            .run("-n shop set env deployment/web COLOUR=blue")
            .await?;
        kubectl
            .run("-n shop rollout status deployment web --timeout 40s")
            .await?;
        wait_for("the pods of the old template to go", SOON, async || {
            let now = pods(kubectl).await?;
            ensure!(
                now.len() == 1 && now[0] != before[0],
                "before {before:?}, now {now:?}"
            );
            Ok(())
        })
        .await?;
        let sets = kubectl.json("-n shop get replicasets").await?;
        ensure!(
            sets["items"].as_array().map(Vec::len) == Some(2),
            "a new template has its own ReplicaSet: {sets}"
        );

        kubectl.run("-n shop delete deployment web").await?;
        wait_for("the end of what the Deployment owned", SOON, async || {
            let left = kubectl.run("-n shop get replicasets,pods -o name").await?;
            ensure!(left.is_empty(), "{left}");
            Ok(())
        })
        .await?;
        endpoints(kubectl, 0).await?;
        kubectl.run("delete namespace shop --timeout 40s").await?;
        let gone = kubectl.refused("get namespace shop").await?;
        ensure!(gone.contains("NotFound"), "{gone}");
        Ok(())
    });
}

#[test]
fn server_side_apply_keeps_owners_apart() {
    Rig::run(TIDEGATE, async |rig| {
        rig.start_pocket("az1").await?;
        let kubectl = rig.member("az1");
        let config = |color: &str| {
            json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": { "name": "palette" }, "data": { "color": color },
            })
            .to_string()
        };
        kubectl
            .apply(
                &config("blue"),
                &["--server-side", "--field-manager", "one"],
            )
            .await?;
        let same = kubectl
            .apply(
                &config("blue"),
                &["--server-side", "--field-manager", "two"],
            )
            .await?;
        ensure!(same.contains("serverside-applied"), "{same}");
        let other = kubectl
            .apply(&config("red"), &["--server-side", "--field-manager", "two"])
            .await;
        let conflict = format!(
            "{:#}",
            other.err().context("another manager's field was taken")?
        );
        ensure!(
            conflict.contains("conflict") && conflict.contains(".data.color"),
            "{conflict}"
        );
        let forced = [
            "--server-side",
            "--field-manager",
            "two",
            "--force-conflicts",
        ];
        kubectl.apply(&config("red"), &forced).await?;
        let color = kubectl
            .run("get configmap palette -o jsonpath={.data.color}")
            .await?;
        ensure!(color == "red", "{color}");

        // Client-side apply of the same kind of object works as well, twice.
        let plain = config("green").replace("palette", "plain");
        kubectl.apply(&plain, &[]).await?;
        let again = kubectl.apply(&plain, &[]).await?;
        ensure!(again.contains("unchanged"), "{again}");
        kubectl.run("label configmap plain team=a").await?;
        let chosen = kubectl.run("get configmaps -l team=a -o name").await?;
        ensure!(chosen.trim() == "configmap/plain", "{chosen}");
        Ok(())
    });
}

#[test]
fn a_restart_keeps_everything() {
    Rig::run(TIDEGATE, async |rig| {
        rig.start_pocket("az1").await?;
        rig.deploy_shop("az1", 2).await?;
        let uid = "-n shop get deployment shop -o jsonpath={.metadata.uid}";
        let before = rig.member("az1").run(uid).await?;

        rig.pocket_mut("az1").kill()?;
        rig.pocket_mut("az1").restart().await?;
        let kubectl = rig.member("az1");
        ensure!(
            kubectl.run(uid).await? == before,
            "the Deployment is another one"
        );
        wait_for("the pods to run again", SOON, async || {
            let ready = kubectl
                .run("-n shop get deployment shop -o jsonpath={.status.readyReplicas}")
                .await?;
            ensure!(ready == "2", "{ready} are ready");
            ask_a_pod(kubectl).await
        })
        .await?;

        rig.pocket_mut("az1").terminate().await?;
        rig.nothing_runs_in(rig.pocket("az1").dir()).await?;
        rig.pocket_mut("az1").restart().await?;
        ensure!(
            rig.member("az1").run(uid).await? == before,
            "the Deployment is another one"
        );
        Ok(())
    });
}

#[test]
fn a_reflector_sees_what_happens() {
    Rig::run(TIDEGATE, async |rig| {
        rig.start_pocket("az1").await?;
        let client = rig.pocket("az1").client().await?;
        let (store, writer) = reflector::store();
        let deployments: Api<Deployment> = Api::all(client.clone());
        let changes = watcher(deployments, watcher::Config::default())
            .default_backoff()
            .reflect(writer);
        let follow = tokio::spawn(changes.try_for_each(|_| async { Ok(()) }));
        rig.deploy_shop("az1", 1).await?;
        let replicas = async |wanted: Option<i32>| {
            wait_for(
                &format!("{wanted:?} replicas in the reflector"),
                SOON,
                async || {
                    let found = store
                        .state()
                        .first()
                        .and_then(|d| d.status.as_ref()?.ready_replicas);
                    ensure!(
                        found == wanted && store.len() == 1,
                        "{found:?} in {} Deployments",
                        store.len()
                    );
                    Ok(())
                },
            )
            .await
        };
        replicas(Some(1)).await?;
        rig.member("az1")
            .run("-n shop scale deployment shop --replicas 3")
            .await?;
        replicas(Some(3)).await?;

        // A process that dies is started again, in the same pod.
        let pods: Api<Pod> = Api::namespaced(client, "shop");
        ensure!(
            pods.list(&Default::default()).await?.items.len() == 3,
            "three pods are expected"
        );

        rig.member("az1")
            .run("-n shop delete deployment shop")
            .await?;
        wait_for("an empty reflector", SOON, async || {
            ensure!(store.is_empty(), "{} Deployments", store.len());
            Ok(())
        })
        .await?;
        ensure!(!follow.is_finished(), "the watch ended: {:?}", follow.await);
        follow.abort();
        Ok(())
    });
}

#[test]
fn the_hub_shows_the_address_of_an_ingress() {
    Rig::run(TIDEGATE, async |rig| {
        rig.start_shop(&[("az1", 1)]).await?;
        let address = rig.gateway_address()?;
        wait_for("an address in kubectl get ingress", SOON, async || {
            let table = rig.hub().run("-n shop get ingress").await?;
            header_is(
                &table,
                &["NAME", "CLASS", "HOSTS", "ADDRESS", "PORTS", "AGE"],
            )?;
            let row = rows(&table, "shop")
                .pop()
                .context("the Ingress is not listed")?;
            let expected = ["shop", "tidegate", SHOP, &address.ip().to_string(), "80"];
            ensure!(row[..5] == expected, "{row:?} is not {expected:?}");
            Ok(())
        })
        .await?;
        let clusters = rig.hub().run("get clusters").await?;
        let row = rows(&clusters, "az1")
            .pop()
            .with_context(|| clusters.clone())?;
        ensure!(
            row.iter().filter(|word| **word == "True").count() == 3,
            "{clusters}"
        );
        Ok(())
    });
}

/// Waits until the Service `web` has so many ready endpoints.
async fn endpoints(kubectl: &Kubectl, wanted: usize) -> Result {
    wait_for(&format!("{wanted} endpoints"), SOON, async || {
        let path = "jsonpath={.items[*].endpoints[?(@.conditions.ready==true)].addresses[0]}";
        let selector = "kubernetes.io/service-name=web";
        let found = kubectl
            .args(&[
                "-n",
                "shop",
                "get",
                "endpointslices",
                "-l",
                selector,
                "-o",
                path,
            ])
            .await?;
        ensure!(
            found.split_whitespace().count() == wanted,
            "they are {found:?}"
        );
        Ok(())
    })
    .await
}

/// The names of all pods in `shop`.
async fn pods(kubectl: &Kubectl) -> Result<Vec<String>> {
    let names = kubectl.run("-n shop get pods -o name").await?;
    Ok(names.lines().map(str::to_owned).collect())
}

/// The cluster that a pod of `shop` says it is in, asked at its own address.
async fn ask_a_pod(kubectl: &Kubectl) -> Result<String> {
    let ip = kubectl
        .run("-n shop get pods -o jsonpath={.items[0].status.podIP}")
        .await?;
    let address = format!("{ip}:8080")
        .parse()
        .with_context(|| format!("a pod has the address {ip:?}"))?;
    get(address, "pod", "/").await?.cluster()
}

/// The first words of a table's first line.
fn header_is(table: &str, expected: &[&str]) -> Result {
    let header: Vec<&str> = table
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    ensure!(
        header.starts_with(expected),
        "the header is {header:?} and not {expected:?}"
    );
    Ok(())
}

/// The rows of a table that are about a name with this beginning, in words.
fn rows<'a>(table: &'a str, name: &str) -> Vec<Vec<&'a str>> {
    let words = table
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    words
        .filter(|row| row.iter().take(2).any(|word| word.starts_with(name)))
        .collect()
}
