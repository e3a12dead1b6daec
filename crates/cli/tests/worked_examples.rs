//! The two worked examples of the system that Tidegate takes as its model, done as its documents do them:
//! with kubectl, against a hub and two clusters, while requests come in.

use anyhow::ensure;
use tidegate_testbed::{Load, Outcome, Result, Rig, SHOP, Target};

const TIDEGATE: &str = env!("CARGO_BIN_EXE_tidegate");

/// Requests a second: a debug build on two busy cores serves several times as many.
const RATE: u32 = 250;

/// What a share is measured over.
const MEASURED: u64 = 2500;

/// az1 serves, whatever else there is, while it has a pod.
const PINNED: [(&str, &str); 2] = [
    ("mse.ingress.kubernetes.io/service-subset", "primary"),
    (
        "mse.ingress.kubernetes.io/subset-labels",
        "topology.istio.io/cluster az1",
    ),
];

#[test]
fn active_active_follows_the_replicas() {
    Rig::run(TIDEGATE, async |rig| {
        rig.start_shop(&[("az1", 3), ("az2", 3)]).await?;
        let load = rig.load(RATE)?;

        load.until_share("az1", 0.5).await?;
        share_is(&load.next(MEASURED).await?, "az1", 0.5)?;

        scale(rig, "az2", 1).await?;
        load.until_share("az1", 0.75).await?;
        share_is(&load.next(MEASURED).await?, "az1", 0.75)?;

        scale(rig, "az2", 3).await?;
        load.until_share("az1", 0.5).await?;
        scale(rig, "az1", 0).await?;
        load.until_all_from("az2").await?;

        load.stop().await?.none_failed()
    });
}

#[test]
fn active_standby_by_pinning_to_a_cluster() {
    Rig::run(TIDEGATE, async |rig| {
        rig.start_shop(&[("az1", 3), ("az2", 3)]).await?;
        rig.route_shop("shop", SHOP, &PINNED).await?;
        let canary = [
            ("nginx.ingress.kubernetes.io/canary", "true"),
            ("nginx.ingress.kubernetes.io/canary-by-header", "x-dc"),
            (
                "nginx.ingress.kubernetes.io/canary-by-header-value",
                "standby",
            ),
            ("mse.ingress.kubernetes.io/service-subset", "standby"),
            (
                "mse.ingress.kubernetes.io/subset-labels",
                "topology.istio.io/cluster az2",
            ),
        ];
        rig.route_shop("shop-standby", SHOP, &canary).await?;
        rig.until_served_by("az2", SHOP, &[("x-dc", "standby")])
            .await?;

        let load = rig.load(RATE)?;
        load.until_all_from("az1").await?;
        let address = rig.gateway_address()?;
        let test = Load::start(
            Target::new(address, SHOP)
                .header("x-dc", "standby")
                .rate(25),
        )?;
        let other = Load::start(
            Target::new(address, SHOP)
                .header("x-dc", "primary")
                .rate(25),
        )?;
        load.next(1000).await?.all_from("az1")?;
        other.stop().await?.all_from("az1")?;

        scale(rig, "az1", 0).await?;
        load.until_all_from("az2").await?;
        load.next(1000).await?.all_from("az2")?;

        scale(rig, "az1", 3).await?;
        load.until_all_from("az1").await?;
        load.next(1000).await?.all_from("az1")?;

        test.stop().await?.all_from("az2")?;
        load.stop().await?.none_failed()
    });
}

async fn scale(rig: &Rig, cluster: &str, replicas: u32) -> Result {
    let kubectl = rig.member(cluster);
    kubectl
        .run(&format!(
            "-n shop scale deployment shop --replicas {replicas}"
        ))
        .await?;
    kubectl
        .run("-n shop rollout status deployment shop --timeout 40s")
        .await?;
    Ok(())
}

/// Within two percentage points, and nothing failed.
fn share_is(outcome: &Outcome, cluster: &str, expected: f64) -> Result {
    outcome.none_failed()?;
    let share = outcome.share(cluster);
    ensure!(
        (share - expected).abs() <= 0.02,
        "{cluster} has {share:.4} and not {expected}: {outcome}"
    );
    Ok(())
}
