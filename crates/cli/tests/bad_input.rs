//! Mistakes stay with whoever made them: other routes go on, and the object says which field and why.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tidegate_testbed::{Result, Rig, SHOP, SOON, wait_for};

const TIDEGATE: &str = env!("CARGO_BIN_EXE_tidegate");

#[test]
fn an_invalid_ingress_disturbs_no_other_and_says_what_is_wrong() {
    Rig::run(TIDEGATE, async |rig| {
        rig.start_shop(&[("az1", 1)]).await?;
        let load = rig.load(100)?;

        apply(
            rig,
            "bad-path",
            "path.example.com",
            "/a?b",
            "shop",
            &json!({}),
        )
        .await?;
        problem(
            rig,
            "bad-path",
            "spec.rules[0].http.paths[0].path",
            "InvalidPath",
        )
        .await?;

        let notes = json!({ "nginx.ingress.kubernetes.io/canary": "perhaps" });
        apply(
            rig,
            "bad-annotation",
            "annotation.example.com",
            "/",
            "shop",
            &notes,
        )
        .await?;
        let field = "metadata.annotations[nginx.ingress.kubernetes.io/canary]";
        problem(rig, "bad-annotation", field, "InvalidAnnotation").await?;
        // The annotation alone is ignored.
        rig.until_served_by("az1", "annotation.example.com", &[])
            .await?;

        apply(
            rig,
            "no-service",
            "service.example.com",
            "/",
            "warehouse",
            &json!({}),
        )
        .await?;
        let field = "spec.rules[0].http.paths[0].backend.service.name";
        problem(rig, "no-service", field, "ServiceNotFound").await?;
        let answer = rig.ask("service.example.com", "/", &[]).await?;
        ensure!(
            answer.status == 503,
            "an unknown Service is answered {}",
            answer.status
        );

        // The same host and path as the shop's own Ingress, which is older.
        apply(rig, "thief", SHOP, "/", "warehouse", &json!({})).await?;
        problem(rig, "thief", "spec.rules[0].http.paths[0].path", "Conflict").await?;
        rig.until_served_by("az1", SHOP, &[]).await?;
        let shop = rig.hub().json("-n shop get ingress shop").await?;
        ensure!(
            problems(&shop).is_empty(),
            "the older Ingress is blamed: {shop}"
        );

        for name in ["bad-path", "bad-annotation", "no-service", "thief"] {
            rig.hub()
                .run(&format!("-n shop delete ingress {name}"))
                .await?;
        }
        load.next(100).await?;
        load.stop().await?.all_from("az1")
    });
}

#[test]
fn the_api_refuses_what_no_ingress_can_mean() {
    Rig::run(TIDEGATE, async |rig| {
        rig.start_server().await?;
        rig.hub().run("create namespace shop").await?;
        for (path, field) in [("no/slash", "path"), ("/a//b", "path")] {
            let applied = apply(rig, "bad", SHOP, path, "shop", &json!({})).await;
            let error = applied
                .err()
                .with_context(|| format!("{path:?} was taken"))?;
            let text = format!("{error:#}");
            ensure!(
                text.contains(&format!("spec.rules[0].http.paths[0].{field}")),
                "{path:?}: {text}"
            );
        }
        Ok(())
    });
}

#[test]
fn a_kubeconfig_that_cannot_be_used_is_refused_with_its_field() {
    Rig::run(TIDEGATE, async |rig| {
        rig.start_server().await?;
        rig.start_pocket("az1").await?;
        let good = fs::read_to_string(rig.pocket("az1").kubeconfig())?;

        let exec = edited(&good, |file| {
            file["users"][0]["user"] = json!({
                "exec": { "apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/true" },
            });
        })?;
        refused(rig, "exec", &exec, "users[0].user.exec").await?;

        let file = edited(&good, |file| {
            let cluster = &mut file["clusters"][0]["cluster"];
            cluster["certificate-authority"] = json!("/etc/ssl/ca.pem");
            cluster
                .as_object_mut()
                .map(|c| c.remove("certificate-authority-data"));
        })?;
        refused(
            rig,
            "file",
            &file,
            "clusters[0].cluster.certificate-authority",
        )
        .await?;

        let insecure = edited(&good, |file| {
            let cluster = &mut file["clusters"][0]["cluster"];
            cluster["insecure-skip-tls-verify"] = json!(true);
            cluster
                .as_object_mut()
                .map(|c| c.remove("certificate-authority-data"));
        })?;
        refused(
            rig,
            "insecure",
            &insecure,
            "clusters[0].cluster.insecure-skip-tls-verify",
        )
        .await?;

        let unreachable = edited(&good, |file| {
            // Port 1 of an address that nothing else uses: refused at once.
            file["clusters"][0]["cluster"]["server"] = json!("https://127.255.255.1:1");
        })?;
        refused(rig, "unreachable", &unreachable, "https://127.255.255.1:1").await?;

        refused(
            rig,
            "garbage",
            "\u{0}\u{1}: [not, a kubeconfig",
            "kubeconfig",
        )
        .await?;
        refused(rig, "empty", "", "kubeconfig").await?;
        let missing = rig.path("nowhere.yaml");
        let ended = rig.join("missing", &missing).await?;
        ensure!(
            ended.refusal()?.contains("nowhere.yaml"),
            "{}",
            ended.stderr
        );

        let clusters = rig.hub().json("get clusters").await?;
        ensure!(
            clusters["items"] == json!([]),
            "a refused cluster was registered: {clusters}"
        );
        rig.join("az1", &rig.pocket("az1").kubeconfig())
            .await?
            .success()?;
        Ok(())
    });
}

/// Applies an Ingress with one rule.
async fn apply(
    rig: &Rig,
    name: &str,
    host: &str,
    path: &str,
    service: &str,
    annotations: &Value,
) -> Result {
    let backend = json!({ "service": { "name": service, "port": { "number": 80 } } });
    let path = json!({ "path": path, "pathType": "Prefix", "backend": backend });
    let ingress = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": { "name": name, "namespace": "shop", "annotations": annotations },
        "spec": { "rules": [{ "host": host, "http": { "paths": [path] } }] },
    });
    rig.hub().apply(&ingress.to_string(), &[]).await?;
    Ok(())
}

/// Waits until both the Ingress's status annotation and an Event for it name the field and the reason.
async fn problem(rig: &Rig, name: &str, field: &str, reason: &str) -> Result {
    let what = format!("the Ingress {name} to carry {reason} for {field}");
    wait_for(&what, SOON, async || {
        let ingress = rig
            .hub()
            .json(&format!("-n shop get ingress {name}"))
            .await?;
        let listed = problems(&ingress)
            .iter()
            .any(|p| p["field"] == field && p["reason"] == reason);
        ensure!(
            listed,
            "its annotations are {}",
            ingress["metadata"]["annotations"]
        );
        let selector = format!("involvedObject.kind=Ingress,involvedObject.name={name}");
        let events = rig
            .hub()
            .json(&format!("-n shop get events --field-selector {selector}"))
            .await?;
        let items = events["items"].as_array().context("events are no list")?;
        let says = |event: &Value| {
            let message = event["message"].as_str().unwrap_or_default();
            event["reason"] == reason
                && message.starts_with(field)
                && message.len() > field.len() + 10
        };
        ensure!(items.iter().any(says), "its Events are {events}");
        Ok(())
    })
    .await
}

fn problems(ingress: &Value) -> Vec<Value> {
    let text = ingress["metadata"]["annotations"]["tidegate.io/status"]
        .as_str()
        .unwrap_or("{}");
    let status: Value = serde_json::from_str(text).unwrap_or_default();
    status["problems"].as_array().cloned().unwrap_or_default()
}

/// Joining with this kubeconfig fails, and the last line says `named`.
async fn refused(rig: &Rig, name: &str, kubeconfig: &str, named: &str) -> Result {
    let path: PathBuf = rig.path(&format!("{name}.kubeconfig"));
    fs::write(&path, kubeconfig)?;
    let ended = rig.join(name, &path).await?;
    let said = ended
        .refusal()
        .with_context(|| format!("joining with {name}"))?;
    ensure!(
        ended.stderr.contains(named),
        "joining with {name}: {named} is not named: {}",
        ended.stderr
    );
    ensure!(!said.is_empty(), "joining with {name} says nothing");
    Ok(())
}

fn edited(kubeconfig: &str, edit: impl FnOnce(&mut Value)) -> Result<String> {
    let file: kube::config::Kubeconfig = kube::config::Kubeconfig::from_yaml(kubeconfig)?;
    let mut file = serde_json::to_value(file)?;
    edit(&mut file);
    // JSON is YAML.
    Ok(file.to_string())
}
