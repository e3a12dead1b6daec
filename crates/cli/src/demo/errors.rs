//! The fault in which every pod answers 503: told to each pod of the shop by itself.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use anyhow::Context;
use futures::FutureExt;
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};

use super::sample;
use crate::process::http_get::get;

/// What pods answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// 503, whatever is asked.
    Errors,
    /// What they should.
    Normal,
}

/// Switches every pod of the shop in the cluster of `kubeconfig`; how many there are.
///
/// # Errors
/// When the cluster cannot be asked, or a pod does not obey.
pub(crate) async fn set(kubeconfig: &Path, mode: Mode) -> anyhow::Result<usize> {
    let client = sample::client(kubeconfig).await?;
    let pods = Api::<Pod>::namespaced(client, sample::NAME)
        .list(&ListParams::default().labels(&format!("app={}", sample::NAME)))
        .await
        .context("listing the pods of the shop")?;
    let addresses: Vec<SocketAddr> = pods.iter().filter_map(address).collect();
    let orders = addresses.iter().map(|pod| order(*pod, mode).boxed());
    try_join_all(orders).await?;
    Ok(addresses.len())
}

fn address(pod: &Pod) -> Option<SocketAddr> {
    let ip: IpAddr = pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()?;
    Some(SocketAddr::new(ip, sample::POD_PORT))
}

async fn order(pod: SocketAddr, mode: Mode) -> anyhow::Result<()> {
    let path = match mode {
        Mode::Errors => "/-/fault?mode=errors",
        Mode::Normal => "/-/fault?mode=none",
    };
    let (status, _) = get(pod, &pod.to_string(), path).await?;
    anyhow::ensure!(
        status.is_success(),
        "the pod at {pod} answered {status} to {path}"
    );
    Ok(())
}
