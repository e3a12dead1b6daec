//! Nothing that serves requests depends on the hub, and what cannot be seen is not taken for gone.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use tidegate_testbed::{Daemon, Result, Rig, SHOP, SOON, get, wait_for};

const TIDEGATE: &str = env!("CARGO_BIN_EXE_tidegate");

#[test]
fn a_killed_hub_changes_nothing_and_a_new_one_takes_its_gateway_back() {
    Rig::run(TIDEGATE, async |rig| {
        rig.start_shop(&[("az1", 2), ("az2", 2)]).await?;
        let gateway = rig.gateway()?;
        let load = rig.load(150)?;
        load.until_share("az1", 0.5).await?;

        rig.server_mut().kill()?;
        load.next(500).await?.none_failed()?;

        // The cluster dies with all its pods, and nobody is there to say so but the gateway's own eyes.
        rig.pocket_mut("az1").kill()?;
        load.until_all_from("az2").await?;
        rig.pocket_mut("az1").restart().await?;
        load.next(300).await?.none_failed()?;

        rig.server_mut().restart().await?;
        ensure!(
            rig.gateway()? == gateway,
            "the hub did not take its gateway back"
        );
        rig.route_shop("other", "other.example.com", &[]).await?;
        rig.until_served_by("az2", "other.example.com", &[]).await?;
        load.until_share("az1", 0.5).await?;
        load.stop().await?.none_failed()?;

        rig.server_mut().terminate().await?;
        ensure!(
            !gateway.is_alive(),
            "the gateway outlives a hub that was told to end"
        );
        Ok(())
    });
}

#[test]
fn a_cluster_that_died_gets_its_share_back_without_failures() {
    Rig::run(TIDEGATE, async |rig| {
        rig.start_shop(&[("az1", 2), ("az2", 2)]).await?;
        let load = rig.load(150)?;
        load.until_share("az1", 0.5).await?;
        rig.pocket_mut("az1").kill()?;
        load.until_all_from("az2").await?;
        rig.pocket_mut("az1").restart().await?;
        load.until_share("az1", 0.5).await?;
        load.next(500).await?.none_failed()?;
        load.stop().await?.none_failed()
    });
}

#[test]
fn a_gateway_that_is_killed_is_started_again() {
    Rig::run(TIDEGATE, async |rig| {
        rig.start_shop(&[("az1", 1)]).await?;
        let first = rig.gateway()?;
        first.signal(rustix::process::Signal::KILL);
        let second = wait_for("another gateway", SOON, async || rig.gateway()).await?;
        ensure!(first != second, "a killed gateway runs");
        rig.until_served_by("az1", SHOP, &[]).await
    });
}

#[test]
fn a_hub_that_has_lost_its_store_does_not_take_the_routes_away() {
    Rig::run(TIDEGATE, async |rig| {
        rig.start_shop(&[("az1", 1)]).await?;
        let gateway = rig.gateway()?;
        rig.server_mut().kill()?;
        let store = rig.server().dir().join("store.redb");
        let kept = fs::read(&store)?;
        for lost in [true, false] {
            match lost {
                true => fs::remove_file(&store)?,
                false => fs::write(&store, "")?,
            }
            let refused = rig
                .server_mut()
                .restart()
                .await
                .err()
                .context("it started")?;
            ensure!(format!("{refused:#}").contains("store.redb"), "{refused:#}");
            ensure!(gateway.is_alive(), "the gateway was ended");
            rig.until_served_by("az1", SHOP, &[]).await?;
        }
        fs::write(&store, kept)?;
        rig.server_mut().restart().await?;
        ensure!(rig.gateway()? == gateway, "another gateway was started");
        rig.until_served_by("az1", SHOP, &[]).await
    });
}

#[test]
fn a_gateway_that_was_started_by_hand_is_taken_by_the_next_hub() {
    Rig::run(TIDEGATE, async |rig| {
        rig.start_shop(&[("az1", 1)]).await?;
        let first = rig.gateway()?;
        let command = first.command_line();
        rig.server_mut().kill()?;
        first.signal(rustix::process::Signal::KILL);
        wait_for("the end of the gateway", SOON, async || {
            ensure!(!first.is_alive(), "it runs");
            Ok(())
        })
        .await?;

        // As the hub had started it: what `ps` showed, typed again.
        let args: Vec<&str> = command.split(' ').skip(1).collect();
        let mut by_hand = rig.spawn("by-hand", &args)?;
        by_hand.ready(SOON).await?;
        rig.until_served_by("az1", SHOP, &[]).await?;
        rig.server_mut().restart().await?;
        ensure!(
            rig.gateway()? == by_hand.id(),
            "the hub started another gateway"
        );
        rig.route_shop("other", "other.example.com", &[]).await?;
        rig.until_served_by("az1", "other.example.com", &[]).await
    });
}

#[test]
fn a_gateway_alone_serves_from_the_last_snapshot_that_is_good() {
    Rig::run(TIDEGATE, async |rig| {
        rig.start_shop(&[("az1", 1), ("az2", 1)]).await?;
        // A second generation, so that there is a previous one. It has the shop too.
        rig.route_shop("other", "other.example.com", &[]).await?;
        rig.until_served_by("az2", "other.example.com", &[]).await?;
        let saved = snapshot_file(rig.server().dir())?;
        wait_for("the second generation on disk", SOON, async || {
            let text = fs::read_to_string(&saved)?;
            ensure!(
                text.contains("other.example.com"),
                "{} has no other.example.com",
                saved.display()
            );
            Ok(())
        })
        .await?;
        let gateway = rig.gateway()?;
        rig.server_mut().kill()?;
        gateway.signal(rustix::process::Signal::KILL);
        wait_for("the end of the gateway", SOON, async || {
            ensure!(!gateway.is_alive(), "it runs");
            Ok(())
        })
        .await?;

        let good = fs::read(&saved)?;
        let store = saved.parent().context("a file is in a folder")?.to_owned();
        alone(rig, "whole", &store, None, Serves::Both).await?;
        for (name, content, named) in [
            ("empty", Vec::new(), "empty"),
            ("truncated", good[..good.len() / 2].to_vec(), "truncated"),
            ("damaged", damaged(&good), "damaged"),
            ("newer", newer(&good)?, "format 999"),
        ] {
            alone(rig, name, &store, Some((&content, named)), Serves::Shop).await?;
        }
        Ok(())
    });
}

#[test]
fn a_member_whose_api_is_cut_keeps_its_endpoints() {
    Rig::run(TIDEGATE, async |rig| {
        rig.start_shop(&[("az1", 2), ("az2", 2)]).await?;
        let load = rig.load(150)?;
        load.until_share("az1", 0.5).await?;

        // Its API and controllers stand still; its pods are processes of their own and go on.
        rig.pocket("az1").suspend();
        reachable(rig, "az1", "False").await?;
        told(rig, "az1", "Warning", "its endpoints stay in use").await?;
        load.next(500).await?.none_failed()?;
        load.until_share("az1", 0.5).await?;

        // A hub that never saw the member answer still knows what it had.
        rig.server_mut().kill()?;
        rig.server_mut().restart().await?;
        rig.route_shop("other", "other.example.com", &[]).await?;
        rig.until_served_by("az1", "other.example.com", &[]).await?;
        load.until_share("az1", 0.5).await?;

        rig.pocket("az1").resume();
        reachable(rig, "az1", "True").await?;
        told(rig, "az1", "Normal", "answers").await?;
        load.stop().await?.none_failed()
    });
}

/// Waits for an Event about the Cluster.
async fn told(rig: &Rig, cluster: &str, type_: &str, part: &str) -> Result {
    wait_for(&format!("an Event of type {type_}"), SOON, async || {
        let events = rig.hub().json("get events -n default").await?;
        let all = events["items"].as_array().into_iter().flatten();
        let is = |event: &serde_json::Value| {
            event["involvedObject"]["kind"] == "Cluster"
                && event["involvedObject"]["name"] == cluster
                && event["type"] == type_
                && event["message"]
                    .as_str()
                    .is_some_and(|text| text.contains(part))
        };
        ensure!(
            all.clone().filter(|event| is(event)).count() == 1,
            "{events}"
        );
        Ok(())
    })
    .await
}

async fn reachable(rig: &Rig, cluster: &str, wanted: &str) -> Result {
    let what = format!("the Cluster {cluster} to be Reachable={wanted}");
    wait_for(&what, SOON, async || {
        let path = r#"jsonpath={.status.conditions[?(@.type=="Reachable")].status}"#;
        let status = rig
            .hub()
            .args(&["get", "cluster", cluster, "-o", path])
            .await?;
        ensure!(status == wanted, "it is {status}");
        Ok(())
    })
    .await
}

/// What a gateway that starts from disk is expected to serve.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Serves {
    /// The newest snapshot.
    Both,
    /// The one before: without the second Ingress.
    Shop,
}

/// Starts a gateway from a copy of `store`, in which the newest snapshot is replaced by some content, and
/// nobody at the feed's address; checks what it serves and that it names what it refused.
async fn alone(
    rig: &Rig,
    name: &str,
    store: &Path,
    replaced: Option<(&[u8], &str)>,
    serves: Serves,
) -> Result {
    let dir = rig.path(&format!("alone-{name}"));
    fs::create_dir(&dir)?;
    for entry in fs::read_dir(store)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), dir.join(entry.file_name()))?;
        }
    }
    if let Some((content, _)) = replaced {
        fs::write(dir.join("snapshot.json"), content)?;
    }
    let feed = format!("unix:{}", rig.path("nobody.sock").display());
    let args = ["gateway", "--feed", &feed, "--http-listen", "127.0.0.1:0"];
    let mut gateway = rig
        .start_daemon(&format!("alone-{name}"), &args, &dir)
        .await?;
    serves_alone(&gateway, replaced.map(|(_, named)| named), serves)
        .await
        .with_context(|| format!("the gateway with the {name} snapshot"))?;
    gateway.terminate().await?;
    Ok(())
}

async fn serves_alone(gateway: &Daemon, named: Option<&str>, serves: Serves) -> Result {
    let address = gateway.address("http")?;
    for _ in 0..10 {
        get(address, SHOP, "/").await?.cluster()?;
    }
    let other = get(address, "other.example.com", "/").await?;
    let expected = if serves == Serves::Both { 200 } else { 404 };
    ensure!(
        other.status == expected,
        "other.example.com is answered {}",
        other.status
    );
    if let Some(named) = named {
        ensure!(
            gateway.log().contains(named),
            "its log does not say {named:?}"
        );
        ensure!(
            gateway.log().contains("snapshot.json"),
            "its log does not name the file"
        );
    }
    Ok(())
}

/// Where the gateway of the hub in `dir` keeps its newest snapshot.
fn snapshot_file(dir: &Path) -> Result<PathBuf> {
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if entry.file_name() == "snapshot.json" {
                return Ok(entry.path());
            }
        }
    }
    anyhow::bail!("there is no snapshot.json in {}", dir.display())
}

/// Another byte in the middle.
fn damaged(good: &[u8]) -> Vec<u8> {
    let mut bytes = good.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bytes
}

/// As a later release would write it: a higher format, and whole.
fn newer(good: &[u8]) -> Result<Vec<u8>> {
    let text = std::str::from_utf8(good)?;
    let mut lines = text.splitn(3, '\n');
    let (magic, head, body) = (lines.next(), lines.next(), lines.next());
    let (magic, head) = magic
        .zip(head)
        .context("a snapshot file has two lines before its content")?;
    let body = body.context("a snapshot file has content")?;
    let length = head
        .split(' ')
        .nth(1)
        .context("the second line has a length")?;
    let head = format!("{magic}\nformat=999 {length} ");
    let hash = blake3::Hasher::new()
        .update(head.as_bytes())
        .update(body.as_bytes())
        .finalize()
        .to_hex();
    Ok(format!("{head}blake3={hash}\n{body}").into_bytes())
}
