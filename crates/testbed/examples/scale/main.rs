//! What many Ingresses cost: the first decision, a change of one, memory.
//!
//! `scale TIDEGATE INGRESSES CERTIFICATES CHANGES` puts so many Ingresses, each with a host of its own, on a hub
//! with one member that has a tenth as many Services; `CERTIFICATES` of them name a TLS Secret of their own. It
//! prints one JSON object. Used by `cargo xtask bench scale`.

mod objects;

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use hyper::StatusCode;
use k8s_openapi::api::networking::v1::Ingress;
use kube::Api;
use kube::api::{Patch, PatchParams};
use objects::{NAMESPACE, Plan, host, name};
use serde_json::json;
use tidegate_testbed::{Connection, ProcessId, Result, Rig, get, wait_for};

/// What takes longer is not slow but lost.
const LOST_AFTER: Duration = Duration::from_secs(120);

fn main() -> Result {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let usage = "usage: scale TIDEGATE INGRESSES CERTIFICATES CHANGES";
    let [binary, ingresses, certificates, changes] = &args[..] else {
        anyhow::bail!(usage);
    };
    let number = |text: &str| text.parse::<usize>().context(usage);
    let plan = Plan {
        ingresses: number(ingresses)?,
        certificates: number(certificates)?,
    };
    let changes = number(changes)?;
    Rig::run(binary, async |rig| {
        println!("{}", measure(rig, plan, changes).await?);
        Ok(())
    });
    Ok(())
}

async fn measure(rig: &mut Rig, plan: Plan, changes: usize) -> Result<serde_json::Value> {
    rig.start_fleet(&["az1"]).await?;
    let empty = (rig.server().id(), rig.gateway()?);
    let (hub_empty, gateway_empty) = (pss(empty.0)?, pss(empty.1)?);
    objects::services(rig.pocket("az1").client().await?, plan).await?;
    let begun = Instant::now();
    objects::ingresses(rig.server().client().await?, plan).await?;
    let created = begun.elapsed();
    all_served(rig, plan).await?;
    let served = begun.elapsed();
    quiet(rig, plan).await?;
    let told = begun.elapsed();

    let mut millis = Vec::new();
    let ingresses: Api<Ingress> = Api::namespaced(rig.server().client().await?, NAMESPACE);
    let mut visitor = Connection::open(rig.server().address("http")?).await?;
    for change in 0..changes {
        // Spread over all, and never the same twice.
        let which = change * (plan.ingresses / changes.max(1)).max(1) % plan.ingresses;
        let patch = json!({ "metadata": { "annotations": {
            "tidegate.io/permanent-redirect": "https://www.example.com/",
        } } });
        let sent = Instant::now();
        ingresses
            .patch(&name(which), &PatchParams::default(), &Patch::Merge(patch))
            .await?;
        while visitor.get(&host(which), "/").await?.status != StatusCode::MOVED_PERMANENTLY {
            ensure!(
                sent.elapsed() < LOST_AFTER,
                "change {change} did not arrive"
            );
        }
        millis.push(sent.elapsed().as_secs_f64() * 1e3);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (hub_full, gateway_full) = (pss(rig.server().id())?, pss(rig.gateway()?)?);

    // From cold: the hub alone, the gateway serves on.
    rig.gateway()?;
    rig.server_mut().kill()?;
    rig.server_mut().restart().await?;
    let cold = first_decision(rig).await?;
    Ok(json!({
        "created_s": created.as_secs_f64(),
        "served_s": served.as_secs_f64(),
        "told_s": told.as_secs_f64(),
        "change_ms": millis,
        "cold_decide_ms": cold * 1e3,
        "hub_mb": [hub_empty, hub_full],
        "gateway_mb": [gateway_empty, gateway_full],
    }))
}

/// Until the gateway knows every host: no endpoint is there, so each answers 503 and not 404.
async fn all_served(rig: &Rig, plan: Plan) -> Result {
    let address = rig.server().address("http")?;
    wait_for("the last route", LOST_AFTER, async || {
        let mut visitor = Connection::open(address).await?;
        for which in 0..plan.ingresses {
            let status = visitor.get(&host(which), "/").await?.status;
            ensure!(
                status == StatusCode::SERVICE_UNAVAILABLE,
                "{} answers {status}",
                host(which)
            );
        }
        Ok(())
    })
    .await
}

/// Until the hub has written the status of all.
async fn quiet(rig: &Rig, plan: Plan) -> Result {
    let ingresses: Api<Ingress> = Api::namespaced(rig.server().client().await?, NAMESPACE);
    wait_for("the address of the last Ingress", LOST_AFTER, async || {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let all = ingresses.list(&kube::api::ListParams::default()).await?;
        let has_address = |ingress: &&Ingress| {
            let status = ingress.status.as_ref();
            let balancer = status.and_then(|status| status.load_balancer.as_ref());
            balancer.is_some_and(|balancer| balancer.ingress.is_some())
        };
        let told = all.items.iter().filter(has_address).count();
        ensure!(told == plan.ingresses, "{told} have an address");
        Ok(())
    })
    .await
}

/// Seconds that the first decision since the start took.
async fn first_decision(rig: &Rig) -> Result<f64> {
    let admin = rig.server().address("admin")?;
    let metrics = get(admin, &admin.to_string(), "/metrics").await?.text();
    let value = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|value| value.trim().parse::<f64>().ok())
            .with_context(|| format!("no {name} in\n{metrics}"))
    };
    // More than one may have been made by now: the mean of them is what can be told.
    Ok(value("hub_decide_seconds_sum")? / value("hub_decide_seconds_count")?)
}

/// Proportional set size in megabytes: shared pages counted once.
fn pss(process: ProcessId) -> Result<f64> {
    let path = format!("/proc/{}/smaps_rollup", process.pid());
    let rollup = std::fs::read_to_string(&path).context(path)?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    Ok(kib.context("smaps_rollup has no Pss")? / 1024.0)
}
