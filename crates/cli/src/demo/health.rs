//! What the gateway thinks of the clusters, asked ten times a second.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{CLUSTERS, sample};
use crate::process::http_get::get;

const POLL: Duration = Duration::from_millis(100);

/// All pods are up and known to the gateway by then, or the demo gives up.
const ALL_SERVE_WITHIN: Duration = Duration::from_secs(30);

/// The gateway's judgement of a cluster, from its page `/status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
struct Judgement {
    /// `serving`, `suspect`, `ejected` or `empty`.
    verdict: String,
    endpoints: u32,
    endpoints_available: u32,
}

#[derive(Debug, Default, Deserialize)]
struct Status {
    clusters: BTreeMap<String, Judgement>,
}

#[derive(Debug, Default)]
struct Seen {
    clusters: BTreeMap<String, Judgement>,
    /// Sentences nobody has taken yet.
    news: Vec<String>,
    /// Why the page could not be read last time.
    trouble: Option<String>,
}

/// Watches the gateway's judgement until it is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

impl Watch {
    /// Follows the gateway that keeps its data in `gateway_dir`. A gateway that was started again has
    /// another admin address there.
    pub(crate) fn start(gateway_dir: &Path) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let task = tokio::spawn(follow(gateway_dir.join("admin.addr"), Arc::clone(&seen)));
        Self { seen, task }
    }

    /// Waits until the gateway sees all pods of the shop in all clusters serving.
    ///
    /// # Errors
    /// When it takes longer than 30 seconds.
    pub(crate) async fn until_all_serve(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + ALL_SERVE_WITHIN;
        let all_serve = |name: &&str| {
            let seen = self.seen();
            seen.clusters.get(*name).is_some_and(|judgement| {
                judgement.endpoints == sample::REPLICAS
                    && judgement.endpoints_available == sample::REPLICAS
            })
        };
        while !CLUSTERS.iter().all(all_serve) {
            if Instant::now() > deadline {
                let trouble = self.seen().trouble.clone();
                let judgements: Vec<String> = CLUSTERS
                    .iter()
                    .map(|name| format!("{name}: {}", self.of(name)))
                    .collect();
                bail!(
                    "not all pods serve after {} s ({}{})",
                    ALL_SERVE_WITHIN.as_secs(),
                    judgements.join(", "),
                    trouble
                        .map(|trouble| format!("; {trouble}"))
                        .unwrap_or_default()
                );
            }
            tokio::time::sleep(POLL).await;
        }
        self.seen().news.clear();
        Ok(())
    }

    /// What changed since this was last called.
    pub(crate) fn changes(&self) -> Vec<String> {
        std::mem::take(&mut self.seen().news)
    }

    /// A cluster's health in a few words.
    pub(crate) fn of(&self, cluster: &str) -> String {
        match self.seen().clusters.get(cluster) {
            Some(judgement) => judgement.in_words(),
            None => "unknown to the gateway".to_owned(),
        }
    }

    /// Plain values: usable whatever panicked while it held them.
    fn seen(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Judgement {
    fn in_words(&self) -> String {
        format!(
            "{}/{} endpoints, {}",
            self.endpoints_available, self.endpoints, self.verdict
        )
    }
}

impl Seen {
    fn take(&mut self, result: anyhow::Result<Status>) {
        match result {
            Ok(status) => {
                for (name, judgement) in &status.clusters {
                    if self.clusters.get(name) != Some(judgement) {
                        self.news
                            .push(format!("the gateway sees {name}: {}", judgement.in_words()));
                    }
                }
                self.clusters = status.clusters;
                self.trouble = None;
            }
            Err(error) => self.trouble = Some(crate::process::one_line(&error)),
        }
    }
}

async fn follow(address: PathBuf, seen: Arc<Mutex<Seen>>) {
    loop {
        let status = ask(&address).await;
        lock(&seen).take(status);
        tokio::time::sleep(POLL).await;
    }
}

async fn ask(address: &Path) -> anyhow::Result<Status> {
    let text = std::fs::read_to_string(address)
        .with_context(|| format!("reading {}", address.display()))?;
    let admin: SocketAddr = text
        .trim()
        .parse()
        .with_context(|| format!("{} holds no address", address.display()))?;
    let (status, body) = get(admin, "gateway", "/status").await?;
    anyhow::ensure!(
        status.is_success(),
        "the gateway's /status answers {status}"
    );
    serde_json::from_slice(&body).context("reading the gateway's /status")
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_are_told_once() {
        let status = |verdict: &str, available: u32| {
            let page = serde_json::json!({ "generation": 3, "clusters": { "az1": {
                "verdict": verdict, "endpoints": 3, "endpoints_available": available, "requests": 9,
            } } });
            Ok(serde_json::from_value(page).expect("a status"))
        };
        let mut seen = Seen::default();
        seen.take(status("serving", 3));
        seen.take(status("serving", 3));
        seen.take(Err(anyhow::anyhow!("no answer")));
        seen.take(status("suspect", 0));
        assert_eq!(
            seen.news,
            [
                "the gateway sees az1: 3/3 endpoints, serving",
                "the gateway sees az1: 0/3 endpoints, suspect"
            ]
        );
    }
}
