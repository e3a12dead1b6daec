//! What a move to Tidegate changes: reads the objects of an ingress-nginx controller, has them judged, and
//! compares the answers of both controllers.
//!
//! ```text
//! read, cluster ──> Manifests ──> verdict (in translate) ──> table, html, JSON
//!                       └──> replay: samples, recorded requests ──> both controllers ──> differences
//! ```

pub(crate) mod cluster;
pub(crate) mod html;
pub(crate) mod read;
pub(crate) mod replay;
pub(crate) mod table;
