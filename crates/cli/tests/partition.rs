//! Clusters that are killed, cut off, frozen or broken, in networks of their own.
//!
//! Without the right to make network namespaces these tests do nothing and say so; where `CI` is set they fail.

use anyhow::ensure;
use tidegate_testbed::{
    Fault, Load, Result, SOON, Sites, Strategy, Target, get, request, wait_for,
};

const TIDEGATE: &str = env!("CARGO_BIN_EXE_tidegate");

#[test]
fn a_cluster_that_is_cut_off_costs_no_repeatable_request() {
    Sites::run(TIDEGATE, async |sites| {
        survives(sites, Fault::Blackhole, Strategy::Shared).await
    });
}

#[test]
fn a_primary_that_is_cut_off_costs_no_repeatable_request() {
    Sites::run(TIDEGATE, async |sites| {
        survives(sites, Fault::Blackhole, Strategy::PrimaryBackup).await
    });
}

#[test]
fn a_primary_whose_servers_freeze_costs_no_repeatable_request() {
    Sites::run(TIDEGATE, async |sites| {
        survives(sites, Fault::Hang, Strategy::PrimaryBackup).await
    });
}

#[test]
fn a_primary_whose_servers_are_killed_costs_no_repeatable_request() {
    Sites::run(TIDEGATE, async |sites| {
        survives(sites, Fault::Kill, Strategy::PrimaryBackup).await
    });
}

#[test]
fn a_primary_that_answers_errors_costs_no_repeatable_request() {
    Sites::run(TIDEGATE, async |sites| {
        survives(sites, Fault::Errors, Strategy::PrimaryBackup).await
    });
}

/// Under load `fault` hits one of two clusters: no GET fails, the traffic moves and comes back, and no POST
/// reaches a server twice.
async fn survives(sites: &mut Sites, fault: Fault, strategy: Strategy) -> Result {
    sites.add("az1", 3).await?;
    sites.add("az2", 3).await?;
    let config = sites.gateway_config(strategy);
    let (_gateway, ready) = sites.start_gateway(&config).await?;
    let http = ready.address("http")?;
    let gets = Load::start(Target::new(http, Sites::HOST).rate(200))?;
    let posts = Target::new(http, Sites::HOST).post("/order/{n}");
    let posts = Load::start(posts.rate(20))?;
    let before = gets.next(200).await?.share("az1");
    ensure!(before > 0.3, "az1 serves {before} of all");
    posts.next(10).await?.none_failed()?;

    sites.strike("az1", fault).await?;
    gets.until_all_from("az2").await?;
    gets.next(200).await?.all_from("az2")?;
    sites.heal("az1", fault).await?;
    wait_for("az1 to get its share back", SOON, async || {
        let share = gets.next(100).await?.share("az1");
        ensure!(share > before * 0.8, "az1 has {share} of {before}");
        Ok(())
    })
    .await?;

    gets.stop().await?.none_failed()?;
    let posts = posts.stop().await?;
    let arrived = sites.arrivals("POST")?;
    let twice: Vec<&String> = arrived
        .iter()
        .filter(|(_, times)| **times > 1)
        .map(|(order, _)| order)
        .collect();
    ensure!(twice.is_empty(), "sent twice: {twice:?}");
    let answered = posts.requests - posts.failed;
    ensure!(
        arrived.len() as u64 >= answered && answered > 20,
        "{} orders arrived: {posts}",
        arrived.len()
    );
    Ok(())
}

#[test]
fn a_connection_that_is_not_made_is_raced_whatever_the_method() {
    Sites::run(TIDEGATE, async |sites| {
        sites.add("az1", 1).await?;
        sites.add("az2", 1).await?;
        sites.strike("az1", Fault::Blackhole).await?;
        // Nothing but the race answers before the client gives up.
        let config = sites.gateway_config(Strategy::Shared)
            + "    health: { active: { probe: none }, passive: { consecutive_failures: 0 } }\n\
               settings: { timeouts: { connect: 60s, try_first_byte: 60s } }\n";
        let (_gateway, ready) = sites.start_gateway(&config).await?;
        let (http, admin) = (ready.address("http")?, ready.address("admin")?);
        for order in 0..8 {
            let path = format!("/order/{order}");
            for method in ["GET", "POST"] {
                let answer = request(http, Sites::HOST, method, &path, &[]).await?;
                ensure!(answer.cluster()? == "az2", "{}", answer.text());
            }
        }
        let status = get(admin, "gateway", "/status").await?.json();
        let tried = status["clusters"]["az1"]["requests"].as_u64();
        ensure!(tried > Some(3), "az1 was not tried: {status}");
        let arrived = sites.arrivals("POST")?;
        ensure!(
            arrived.len() == 8 && arrived.values().all(|times| *times == 1),
            "{arrived:?}"
        );
        Ok(())
    });
}
