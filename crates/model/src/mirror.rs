//! Copies of requests.

use crate::filter::is_default;
use crate::{BackendId, KeyPart, key};
use serde::{Deserialize, Serialize};

/// Requests are copied to another backend. What it answers is dropped, and the request waits for it in no way; when too many
/// copies are under way, further ones are dropped and counted. A request to WebSocket is never copied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mirror {
    /// Who gets the copies.
    pub backend: BackendId,
    /// So many of a hundred requests are copied.
    #[serde(default = "all", skip_serializing_if = "is_all")]
    pub percent: u32,
    /// Bodies are copied as well. A request whose body is larger than 64 KiB is not copied then.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub body: bool,
    /// What the copy asks for; empty: what the request asks its own backend for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uri: Vec<KeyPart>,
    /// The Host of the copy; empty: that of the request to its own backend.
    #[serde(default, skip_serializing_if = "is_default")]
    pub host: Vec<KeyPart>,
}

fn all() -> u32 {
    100
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_all(percent: &u32) -> bool {
    *percent == all()
}

fn yes() -> bool {
    true
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_yes(flag: &bool) -> bool {
    *flag
}

impl Mirror {
    /// The first field that cannot be served, with the reason.
    pub(crate) fn validate(&self) -> Result<(), (&'static str, String)> {
        if self.percent > 100 {
            return Err(("percent", format!("{} is more than 100", self.percent)));
        }
        for (field, parts) in [("uri", &self.uri), ("host", &self.host)] {
            key::validate_names(parts).map_err(|why| (field, why))?;
            let clean = |part: &KeyPart| match part {
                KeyPart::Text(text) => text.bytes().all(|b| b.is_ascii_graphic()),
                _ => true,
            };
            if !parts.iter().all(clean) {
                return Err((field, "only visible ASCII is allowed".to_owned()));
            }
        }
        match self.uri.first() {
            None | Some(KeyPart::Uri | KeyPart::Path) => Ok(()),
            Some(KeyPart::Text(text)) if text.starts_with('/') => Ok(()),
            Some(_) => Err(("uri", "it must begin with '/'".to_owned())),
        }
    }
}
