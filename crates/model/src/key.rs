//! Keys: requests with equal keys belong together.

use crate::filter::is_token;
use serde::{Deserialize, Serialize};

/// A part of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeyPart {
    /// This text.
    Text(String),
    /// The path in normal form, and the query.
    Uri,
    /// The path in normal form.
    Path,
    /// The query, without `?`.
    Query,
    /// The host that was asked for, without port.
    Host,
    /// The same as it was sent, with its port.
    Authority,
    /// The client's address.
    ClientAddress,
    /// `http` or `https`.
    Scheme,
    /// The method.
    Method,
    /// A header, by its name in lower case; of several the first.
    Header(String),
    /// A parameter of the query, decoded; of several the first.
    Argument(String),
    /// A cookie; of several the first.
    Cookie(String),
}

/// Whether keys can be made of these parts.
///
/// # Errors
/// Why not.
pub(crate) fn validate(parts: &[KeyPart]) -> Result<(), String> {
    if parts.iter().all(|part| matches!(part, KeyPart::Text(_))) {
        return Err("it needs a part that differs between requests".to_owned());
    }
    validate_names(parts)
}

/// Whether requests can have what these parts name.
///
/// # Errors
/// Which they cannot.
pub(crate) fn validate_names(parts: &[KeyPart]) -> Result<(), String> {
    let impossible = |part: &&KeyPart| match part {
        KeyPart::Header(name) => !is_token(name) || name.bytes().any(|b| b.is_ascii_uppercase()),
        KeyPart::Cookie(name) => !is_token(name),
        KeyPart::Argument(name) => name.is_empty(),
        KeyPart::Text(_)
        | KeyPart::Uri
        | KeyPart::Path
        | KeyPart::Query
        | KeyPart::Host
        | KeyPart::Authority
        | KeyPart::ClientAddress
        | KeyPart::Scheme
        | KeyPart::Method => false,
    };
    match parts.iter().find(impossible) {
        Some(part) => Err(format!("{part:?} has a name that no request has")),
        None => Ok(()),
    }
}
