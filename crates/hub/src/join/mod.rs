//! Checks a member cluster and registers it on the hub.
//!
//! ```text
//! kubeconfig text ─ MemberKubeconfig::parse ─> join ─┬─ member:  /version, rights, uid of kube-system
//!                   (strict, no I/O)                 └─ hub:     conflicts? then Namespace, Secret, Cluster
//! ```
//!
//! Nothing is written before every check has passed. All writes are server-side applies, so joining
//! again is harmless: it renews the kubeconfig, the region and the zone, and leaves every other field
//! of the Cluster, such as `traffic`, as it is.

mod error;
mod hub;
mod member;
mod rights;

pub use crate::client::ClientError;
pub use crate::kubeconfig::{KUBECONFIG_LIMIT, KubeconfigError, MemberKubeconfig};
pub use error::{JoinError, Unreachable};
pub use rights::{Right, grant_yaml};

use kube::Client;
use std::time::Duration;

/// How long the member may take to answer the first question.
pub const REACH_DEADLINE: Duration = Duration::from_secs(5);

/// How long every further question to the member or the hub may take.
const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// What to register.
#[derive(Clone, Debug)]
pub struct JoinRequest {
    /// Name of the Cluster on the hub: an RFC 1123 label.
    pub name: String,
    /// How to reach the member.
    pub kubeconfig: MemberKubeconfig,
    /// Where the member is. `None` leaves it unsaid.
    pub region: Option<String>,
    /// The availability zone. `None` leaves it unsaid.
    pub zone: Option<String>,
    /// Let the name stand for this cluster from now on, even if it stood for another one.
    pub replace: bool,
}

/// What was found and done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinReport {
    /// Name of the Cluster on the hub.
    pub name: String,
    /// URL of the member's API server.
    pub server: String,
    /// Version of the member's API server, as `v1.36.0`.
    pub version: String,
    /// Identity of the member: the UID of its namespace kube-system.
    pub uid: String,
    /// How many namespaces the member has.
    pub namespaces: usize,
    /// Whether the Cluster was there before.
    pub outcome: Outcome,
}

/// What a join did to the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The Cluster is new.
    Joined,
    /// The Cluster was there; its kubeconfig and location were renewed.
    Renewed,
    /// The Cluster stood for another cluster before.
    Replaced,
}

/// Checks the member, then registers it on the hub that `hub` speaks to.
///
/// # Errors
/// [`JoinError`]; its [`JoinError::hint`] says what to do. Errors up to [`JoinError::Hub`] come before
/// anything is written; after that one, joining again completes what was begun.
pub async fn join(hub: &Client, request: &JoinRequest) -> Result<JoinReport, JoinError> {
    hub::check_request(request)?;
    let client = crate::client::connect(&request.kubeconfig)
        .await
        .map_err(JoinError::Client)?;
    let member = member::inspect(&client, request.kubeconfig.server()).await?;
    let outcome = hub::register(hub, request, &member.uid).await?;
    Ok(JoinReport {
        name: request.name.clone(),
        server: request.kubeconfig.server().to_owned(),
        version: member.version,
        uid: member.uid,
        namespaces: member.namespaces,
        outcome,
    })
}
