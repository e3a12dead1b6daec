//! The gateway from a file: examples of the documentation, exit codes, changes while it serves.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use tidegate_testbed::{Load, Result, Rig, SOON, Target, get, wait_for};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const TIDEGATE: &str = env!("CARGO_BIN_EXE_tidegate");

const HOST: &str = "shop.example.com";

#[test]
fn the_examples_of_the_documentation_are_good() {
    Rig::run(TIDEGATE, async |rig| {
        let pair = rcgen::generate_simple_self_signed([HOST.to_owned()])?;
        fs::write(rig.path("tls.crt"), pair.cert.pem())?;
        fs::write(rig.path("ca.crt"), pair.cert.pem())?;
        fs::write(rig.path("tls.key"), pair.signing_key.serialize_pem())?;
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        let mut examples = 0;
        for page in ["standalone.md", "zh/standalone.md"] {
            let text = fs::read_to_string(docs.join(page))?;
            for example in text.split("```yaml\n").skip(1) {
                let (example, _) = example.split_once("```").context("an open block")?;
                examples += 1;
                let ended = check(rig, example).await?;
                ensure!(ended.0 == Some(0), "{page}: {}\n{example}", ended.1);
            }
        }
        ensure!(examples == 4, "{examples} examples");
        Ok(())
    });
}

#[test]
fn a_check_names_every_line_that_is_wrong() {
    Rig::run(TIDEGATE, async |rig| {
        let config = config(&["127.0.0.1:1"])
            + "tls: { '*': a }\ncertificates:\n  a: { chain: x, key: y }\n  b: { key: y }\n";
        let (code, said) = check(rig, &config).await?;
        ensure!(code == Some(1), "{code:?}: {said}");
        ensure!(
            said.contains("gateway.yaml:10: certificates[b].chain: it is missing"),
            "{said}"
        );
        let (code, said) = check(rig, &config.replace("  b: { key: y }\n", "")).await?;
        ensure!(
            code == Some(1) && said.contains("gateway.yaml:9: certificates[a]: chain:"),
            "{said}"
        );
        Ok(())
    });
}

#[test]
fn a_change_is_taken_while_it_serves_and_a_mistake_is_not() {
    Rig::run(TIDEGATE, async |rig| {
        rig.start_pocket("az1").await?;
        rig.start_pocket("az2").await?;
        let [one, two] = [echo(rig, "az1").await?, echo(rig, "az2").await?];
        let path = rig.path("gateway.yaml");
        fs::write(&path, config(&[&one]))?;
        let file = path.display().to_string();
        let args = ["gateway", "--config", &file, "--http-listen", "127.0.0.1:0"];
        let gateway = rig.start_daemon("alone", &args, &rig.path("alone")).await?;
        let (http, admin) = (gateway.address("http")?, gateway.address("admin")?);
        let load = Load::start(Target::new(http, HOST).rate(100))?;
        load.until_all_from("az1").await?;

        // As an editor does it: another file takes its place. And the signal that people send then.
        let next = rig.path("next.yaml");
        fs::write(&next, config(&[&two]))?;
        fs::rename(&next, &path)?;
        gateway.id().signal(rustix::process::Signal::HUP);
        load.until_all_from("az2").await?;

        for bad in [Some("hosts: ["), None] {
            match bad {
                Some(text) => fs::write(&path, text)?,
                None => fs::remove_file(&path)?,
            }
            wait_for("the refusal on /status", SOON, async || {
                let status = get(admin, "gateway", "/status").await?.json();
                let refused = status["config"]["refused"].as_str().unwrap_or_default();
                ensure!(refused.contains("gateway.yaml:"), "{status}");
                Ok(())
            })
            .await?;
            let metrics = get(admin, "gateway", "/metrics").await?.text();
            ensure!(metrics.contains("gateway_config_refused 1"), "{metrics}");
            load.next(100).await?.all_from("az2")?;
        }

        fs::write(&path, config(&[&one]))?;
        load.until_all_from("az1").await?;
        load.stop().await?.none_failed()
    });
}

#[test]
fn a_repeated_sigterm_cuts_no_request() {
    Rig::run(TIDEGATE, async |rig| {
        let backend = TcpListener::bind("127.0.0.1:0").await?;
        let path = rig.path("gateway.yaml");
        fs::write(&path, config(&[&backend.local_addr()?.to_string()]))?;
        let file = path.display().to_string();
        let args = ["gateway", "--config", &file, "--http-listen", "127.0.0.1:0"];
        let mut gateway = rig.start_daemon("alone", &args, &rig.path("alone")).await?;
        let http = gateway.address("http")?;
        let answer = tokio::spawn(async move { get(http, HOST, "/slow").await });
        let mut socket = loop {
            let (mut socket, _) = backend.accept().await?;
            // A probe connects and says nothing.
            if socket
                .read(&mut [0; 1024])
                .await
                .is_ok_and(|count| count > 0)
            {
                break socket;
            }
        };
        for _ in 0..3 {
            gateway.id().signal(rustix::process::Signal::TERM);
        }
        // It has heard them when it takes no further connection.
        wait_for("the end of its listener", SOON, async || {
            ensure!(TcpStream::connect(http).await.is_err(), "it listens");
            Ok(())
        })
        .await?;
        socket
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .await?;
        let answer = answer.await??;
        ensure!(
            answer.text() == "ok",
            "{}: {}",
            answer.status,
            answer.text()
        );
        gateway.terminate().await?;
        Ok(())
    });
}

/// Everything of the host goes to these addresses.
fn config(addresses: &[&str]) -> String {
    let addresses = addresses
        .iter()
        .map(|address| format!("{{ address: \"{address}\" }}"));
    let addresses: Vec<String> = addresses.collect();
    format!(
        "hosts:\n  {HOST}:\n  - path: {{ prefix: / }}\n    action: {{ forward: {{ backend: \"shop/shop:80\" }} }}\nbackends:\n  \"shop/shop:80\": {{ clusters: {{ one: [{}] }} }}\n",
        addresses.join(", ")
    )
}

/// Exit code, and everything it said.
async fn check(rig: &Rig, config: &str) -> Result<(Option<i32>, String)> {
    let path = rig.path("gateway.yaml");
    fs::write(&path, config)?;
    let file = path.display().to_string();
    let mut checked = rig.spawn("check", &["gateway", "--config", &file, "--check"])?;
    let ended = checked.finished(SOON).await?;
    Ok((ended.status.code(), ended.stdout + &ended.stderr))
}

/// The address of a pod in a cluster that answers with the cluster's name.
async fn echo(rig: &Rig, cluster: &str) -> Result<String> {
    let kubectl = rig.member(cluster);
    kubectl
        .run("create deployment shop --image tidegate.io/echo:1 --port 8080")
        .await?;
    wait_for("a ready pod", SOON, async || {
        let pods = kubectl.json("get pods -l app=shop").await?;
        let status = &pods["items"][0]["status"];
        let ready = status["conditions"].as_array().into_iter().flatten();
        let mut ready = ready.filter(|c| c["type"] == "Ready" && c["status"] == "True");
        ensure!(ready.next().is_some(), "{status}");
        let ip = status["podIP"].as_str().context("no address")?;
        Ok(format!("{ip}:8080"))
    })
    .await
}
