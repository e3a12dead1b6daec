//! How long a change of an EndpointSlice in a member cluster takes to the gateway's table.
//!
//! `propagation TIDEGATE CHANGES` starts a hub and one member, changes a slice of a Service without pods again
//! and again, and prints a JSON list of milliseconds: from sending the change to the member's API until the
//! gateway's `/status` shows it. Used by `cargo xtask bench propagation`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tidegate_testbed::{Connection, Result, Rig, SOON, wait_for};

/// A change that takes longer is not slow but lost.
const LOST_AFTER: Duration = Duration::from_secs(10);

/// Changes come one at a time, so that each is measured by itself.
const PAUSE: Duration = Duration::from_millis(20);

const BACKEND: &str = "shop/static:80";

fn main() -> Result {
    let mut args = std::env::args().skip(1);
    let usage = "usage: propagation TIDEGATE CHANGES";
    let binary = args.next().context(usage)?;
    let changes: u32 = args.next().context(usage)?.parse().context(usage)?;
    Rig::run(&binary, async |rig| {
        let millis = measure(rig, changes).await?;
        println!("{}", serde_json::to_string(&millis)?);
        Ok(())
    });
    Ok(())
}

async fn measure(rig: &mut Rig, changes: u32) -> Result<Vec<f64>> {
    rig.start_fleet(&["az1"]).await?;
    prepare(rig).await?;
    let slices: Api<EndpointSlice> = Api::namespaced(rig.pocket("az1").client().await?, "shop");
    let mut status = Status::connect(rig.server().address("gateway-admin")?).await?;
    wait_for("the first endpoint in the gateway", SOON, async || {
        let mut status = Status::connect(rig.server().address("gateway-admin")?).await?;
        let seen = status.endpoints().await?;
        ensure!(seen == 1, "the gateway has {seen} endpoints");
        Ok(())
    })
    .await?;
    let mut millis = Vec::new();
    for change in 0..changes {
        let wanted = if change % 2 == 0 { 2 } else { 1 };
        let patch = Patch::Merge(json!({ "endpoints": endpoints(wanted) }));
        let sent = Instant::now();
        slices
            .patch("static-1", &PatchParams::default(), &patch)
            .await?;
        while status.endpoints().await? != wanted {
            ensure!(
                sent.elapsed() < LOST_AFTER,
                "change {change} did not arrive within {} s",
                LOST_AFTER.as_secs()
            );
        }
        millis.push(sent.elapsed().as_secs_f64() * 1e3);
        tokio::time::sleep(PAUSE).await;
    }
    Ok(millis)
}

/// A Service whose slice nobody but this program writes, and the route to it.
async fn prepare(rig: &Rig) -> Result {
    let namespace =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "shop" } });
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": "static", "namespace": "shop" },
        "spec": { "ports": [{ "name": "http", "port": 80, "protocol": "TCP" }] },
    });
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "static-1",
            "namespace": "shop",
            "labels": { "kubernetes.io/service-name": "static" },
        },
        "addressType": "IPv4",
        "ports": [{ "name": "http", "port": 9, "protocol": "TCP" }],
        "endpoints": endpoints(1),
    });
    let backend = json!({ "service": { "name": "static", "port": { "number": 80 } } });
    let ingress = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": { "name": "static", "namespace": "shop" },
        "spec": { "rules": [{
            "host": "static.example.com",
            "http": { "paths": [{ "path": "/", "pathType": "Prefix", "backend": backend }] },
        }] },
    });
    rig.member("az1")
        .apply(&documents(&[&namespace, &service, &slice]), &[])
        .await?;
    rig.hub()
        .apply(&documents(&[&namespace, &ingress]), &[])
        .await?;
    Ok(())
}

fn documents(objects: &[&Value]) -> String {
    let texts: Vec<String> = objects.iter().map(ToString::to_string).collect();
    texts.join("\n---\n")
}

/// Nothing listens there: only the table counts.
fn endpoints(count: usize) -> Vec<Value> {
    (1..=count)
        .map(|host| json!({ "addresses": [format!("127.66.0.{host}")], "conditions": { "ready": true } }))
        .collect()
}

/// The gateway's `/status`, on one connection.
struct Status {
    connection: Connection,
    host: String,
}

impl Status {
    async fn connect(address: SocketAddr) -> Result<Self> {
        Ok(Self {
            connection: Connection::open(address).await?,
            host: address.to_string(),
        })
    }

    /// How many endpoints the backend has in az1.
    async fn endpoints(&mut self) -> Result<usize> {
        let status = self.connection.get(&self.host, "/status").await?.json();
        let count = &status["backends"][BACKEND]["clusters"]["az1"]["endpoints"];
        Ok(usize::try_from(count.as_u64().unwrap_or_default())?)
    }
}
