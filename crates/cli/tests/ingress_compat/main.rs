//! What other controllers' own suites ask of an Ingress, asked of this one.
//!
//! Each case is named after the upstream case that it corresponds to and stands in `testdata/ingress-compat`. Its objects go
//! through the translator into a gateway in this process; its requests through real sockets to servers that tell what
//! reached them. `docs/ingress-compat.md` lists the cases: `cargo xtask docs` writes it anew.
#![allow(missing_docs, clippy::unwrap_used)] // A failed unwrap is a failed test.

mod case;
mod check;
mod echo;
mod report;
mod world;

use anyhow::{Context, Result, ensure};
use case::{Case, suites};
use echo::Echo;
use std::sync::Arc;
use tidegate_gateway::{Gateway, GatewayConfig};
use tidegate_model::{Generation, Snapshot};
use tidegate_translate::translate;
use tokio_util::sync::CancellationToken;

/// The Services there are, each with so many endpoints.
const SERVICES: [(&str, usize); 4] = [("echo", 2), ("echo-canary", 1), ("errors", 1), ("auth", 1)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cases_come_out_as_they_should() {
    let mut servers = Vec::new();
    for (service, count) in SERVICES {
        for _ in 0..count {
            servers.push(Echo::start(service).await.unwrap());
        }
    }
    let stop = CancellationToken::new();
    let config = GatewayConfig {
        name: "compat".to_owned(),
        http_listen: vec!["127.0.0.1:0".parse().unwrap()],
        https_listen: Vec::new(),
        workers: 1,
        data_dir: None,
        feed: None,
        file: None,
        admin_listen: None,
        snapshot: Some(Snapshot::empty(Generation(1))),
    };
    let gateway = Gateway::start(config, stop.clone()).await.unwrap();
    let mut generation = Generation(1);
    let mut wrong = Vec::new();
    for suite in suites() {
        for case in &suite.cases {
            generation = generation.next();
            if let Err(error) = run(case, &servers, &gateway, generation).await {
                wrong.push(format!("{}: {}: {error:#}", suite.name, case.upstream));
            }
        }
    }
    gateway.shutdown().await;
    assert!(
        wrong.is_empty(),
        "{} cases:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

async fn run(
    case: &Case,
    servers: &[Echo],
    gateway: &Gateway,
    generation: Generation,
) -> Result<()> {
    case.outcome()?;
    if let Some(test) = &case.elsewhere {
        return case::is_there(test);
    }
    let world = world::of(case, servers)?;
    let translation = translate(&world);
    let mut snapshot = translation.snapshot;
    snapshot.generation = generation;
    let applied = gateway.shared().apply(&Arc::new(snapshot));
    applied.map_err(|why| anyhow::anyhow!("the snapshot cannot be served: {why}"))?;
    let told: Vec<&str> = translation
        .diagnostics
        .iter()
        .map(|d| d.message.as_str())
        .collect();
    for wanted in &case.told {
        ensure!(
            told.iter().any(|message| message.contains(wanted.as_str())),
            "nobody is told {wanted:?}, but {told:?}"
        );
    }
    for (at, request) in case.requests.iter().enumerate() {
        let context = || format!("request {at}, {} {}", request.method, request.url);
        check::check(request, gateway.http_addresses()[0])
            .await
            .with_context(context)?;
    }
    Ok(())
}
