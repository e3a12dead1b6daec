//! Plain values shared by the hub and the data plane.
//!
//! ```text
//! Snapshot ── Settings
//!    │
//!    ├── tls:      HostPattern -> CertificateId      certificates: CertificateId -> Certificate
//!    ├── hosts:    HostPattern -> [Route]      Route ── PathMatch, FieldMatch, Filters, Action
//!    │                                                                  │ names
//!    └── backends: BackendId -> Backend  <──────────────────────────────┘
//!                                 ├── Placement (tiers of clusters, spill, panic, return)
//!                                 ├── HealthPolicy (active, passive)
//!                                 ├── Balance (algorithm, affinity, warm-up)
//!                                 └── ClusterName -> [Endpoint]
//! ```
//!
//! The hub compiles a [`Snapshot`]; gateways serve it. Nothing here knows Kubernetes, sockets or the
//! clock, so both sides can depend on it and neither on the other. Names and hosts are newtypes whose
//! constructors refuse what could not be served; a value that deserialises has passed the same checks.

mod answer;
mod auth;
mod backend;
mod balance;
mod changes;
mod cidr;
mod duration;
mod external;
mod filter;
mod host;
mod ids;
mod key;
mod limit;
mod mirror;
mod path;
mod pattern;
mod route;
mod settings;
mod shared;
mod snapshot;
mod text;
mod tls;
mod trust;

pub use answer::{AnswerRewrite, Replace};
pub use auth::{BasicAuth, InvalidPasswordHash, PasswordHash, PasswordScheme, Satisfy};
pub use backend::{
    ActiveCheck, Backend, Endpoint, HealthPolicy, PassiveCheck, Placement, Probe, Protocol, Return,
    Tier, TierMember, Weight,
};
pub use balance::{
    Affinity, AffinityMode, Algorithm, Balance, CanaryAffinity, Hash, OnFailure, SameSite, Secure,
    SessionCookie,
};
pub use changes::{Difference, differences};
pub use cidr::{Cidr, InvalidCidr};
pub use external::{AuthCache, AuthTarget, ExternalAuth, KeepAnswers};
pub use filter::{
    Access, Cors, ErrorPages, Filters, Header, HeaderEdits, Pace, PathRewrite, Rewrite, RouteRetry,
    RouteTimeouts,
};
pub use host::{HostPattern, InvalidHost};
pub use ids::{BackendId, ClusterName, Generation, InvalidName, RouteId};
pub use key::KeyPart;
pub use limit::{ConcurrencyLimit, LimitBy, LimitOf, OverLimit, RateLimit};
pub use mirror::Mirror;
pub use path::{InvalidPath, PathMatch, normalise_path};
pub use pattern::{InvalidPattern, Pattern};
pub use route::{
    Action, FieldMatch, Forward, PSEUDO_HEADERS, Redirect, Route, RoutePlacement, Share, Target,
    ValueMatch,
};
pub use settings::{RetrySettings, Settings, Timeouts};
pub use shared::{SharedMap, SharedPart};
pub use snapshot::{InvalidSnapshot, SNAPSHOT_FORMAT, Snapshot};
pub use text::SharedText;
pub use tls::{Certificate, CertificateId, PrivateKey};
pub use trust::{
    Authorities, BackendTls, CertificateNeed, CipherSuite, ClientCertificate, Handshake, TlsRules,
    TlsVersion, Verify,
};

#[cfg(test)]
mod tests;
