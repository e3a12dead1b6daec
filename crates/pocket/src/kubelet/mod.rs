//! The process kubelet: an ordinary client of the Kubernetes API that runs the pods of its node as processes.
//!
//! ```text
//!  watch of the node's pods -> one worker for each pod -> processes, probes, status writes
//!                              (containers as values in `container`, status as a function in `status`)
//! ```

mod addresses;
mod ask;
mod container;
mod env;
mod launch;
pub(crate) mod logs;
mod node;
mod probe;
mod process;
mod spawner;
mod status;
mod worker;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cidr::PodCidr;
use crate::config::ProcessShim;
use crate::control::cache::{Cache, Change, observe};
use crate::events::Recorder;
use crate::images::ImageTable;
use addresses::Addresses;
use logs::Logs;
use worker::Worker;

const TRIM_EVERY: Duration = Duration::from_secs(10);

/// What every pod's worker uses.
pub(crate) struct Kubelet {
    pub(crate) client: Client,
    /// Of the node and the cluster.
    pub(crate) name: String,
    pub(crate) cidr: PodCidr,
    pub(crate) images: ImageTable,
    pub(crate) shim: ProcessShim,
    pub(crate) logs: Logs,
    pub(crate) recorder: Recorder,
    /// Ends the workers, and with them the processes, in good order.
    pub(crate) cancel: CancellationToken,
}

/// The workers by pod uid. The value tells the newest state of the pod, or that it is gone.
type Workers = Mutex<HashMap<String, watch::Sender<Option<Arc<Pod>>>>>;

/// Registers the node, so that pods can be placed on it.
pub(crate) async fn register(
    client: &Client,
    name: &str,
    cidr: PodCidr,
) -> Result<k8s_openapi::api::core::v1::Node, kube::Error> {
    node::register(client, name, cidr).await
}

/// Runs the pods of `node` until the kubelet is cancelled and every process has ended.
pub(crate) async fn run(kubelet: Kubelet, node: k8s_openapi::api::core::v1::Node) {
    let kubelet = Arc::new(kubelet);
    let cache = Cache::new();
    let addresses = Addresses::new(kubelet.cidr);
    let workers = Workers::default();
    let running = TaskTracker::new();
    let config = watcher::Config::default().fields(&format!("spec.nodeName={}", kubelet.name));
    let watching = observe(
        Api::all(kubelet.client.clone()),
        config,
        Arc::clone(&cache),
        kubelet.cancel.clone(),
        |change| changed(&kubelet, &cache, &addresses, &workers, &running, &change),
    );
    tokio::join!(
        Box::pin(watching),
        Box::pin(node::stay_alive(
            kubelet.client.clone(),
            node,
            kubelet.cancel.clone()
        )),
        trim(&kubelet),
    );
    running.close();
    running.wait().await;
}

async fn trim(kubelet: &Kubelet) {
    loop {
        tokio::select! {
            () = kubelet.cancel.cancelled() => return,
            () = tokio::time::sleep(TRIM_EVERY) => kubelet.logs.trim(),
        }
    }
}

fn changed(
    kubelet: &Arc<Kubelet>,
    cache: &Cache<Pod>,
    addresses: &Addresses,
    workers: &Workers,
    running: &TaskTracker,
    change: &Change<Pod>,
) {
    let mut workers = workers.lock().unwrap_or_else(PoisonError::into_inner);
    let uid = |pod: &Arc<Pod>| pod.uid().unwrap_or_default();
    let new = change.new.as_ref().map(|pod| (uid(pod), pod));
    // A pod of the same name may be another one.
    if let Some(gone) = change
        .old
        .as_ref()
        .map(uid)
        .filter(|old| new.as_ref().is_none_or(|(new, _)| new != old))
        && let Some(orders) = workers.remove(&gone)
    {
        orders.send_replace(None);
        // The worker may have ended with the pod's deletion already; then the logs are nobody else's to remove.
        kubelet.logs.forget(&gone);
    }
    let Some((uid, pod)) = new else { return };
    if let Some(orders) = workers.get(&uid) {
        orders.send_replace(Some(Arc::clone(pod)));
        return;
    }
    let (orders, told) = watch::channel(Some(Arc::clone(pod)));
    let address = addresses.take(&uid, pod, &cache.list());
    let worker = Worker::new(Arc::clone(kubelet), Arc::clone(pod), told, address);
    running.spawn(worker.run());
    workers.insert(uid, orders);
}
