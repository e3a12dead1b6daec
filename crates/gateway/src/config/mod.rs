//! A configuration that people write: the model's snapshot as YAML, without its format and number.
//!
//! ```yaml
//! hosts:
//!   shop.example.com:
//!   - path: { prefix: / }
//!     action: { forward: { backend: "shop/shop:80" } }
//! backends:
//!   "shop/shop:80":
//!     clusters:
//!       az1: [{ address: "10.1.0.5:8080" }]
//!       az2: [{ address: "10.2.0.5:8080" }]
//! ```
//!
//! A file is taken whole or not at all. A mistake is named with its line and its field.

mod follow;
mod locate;

pub(crate) use follow::ConfigFile;

use crate::tls::{Certificates, Trusted};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use tidegate_model::{
    Authorities, Backend, BackendId, Certificate, CertificateId, Forward, Generation, Handshake,
    HostPattern, InvalidSnapshot, PrivateKey, Route, RouteId, Settings, SharedPart, Snapshot,
};

/// Reads the file at `path` as the snapshot of number `generation`.
///
/// # Errors
/// [`ConfigError`]; nothing of the file can be used then.
pub fn read(path: &Path, generation: Generation) -> Result<Snapshot, ConfigError> {
    read_noting_files(path, generation, &mut Vec::new())
}

/// The same; `files` gets the files that it names, as far as they are known.
fn read_noting_files(
    path: &Path,
    generation: Generation,
    files: &mut Vec<PathBuf>,
) -> Result<Snapshot, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError::whole(path, error.to_string()))?;
    parse(path, &text, generation, files)
}

/// Why a configuration cannot be used. Displayed as one line a mistake: `FILE:LINE: field: reason`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    file: PathBuf,
    mistakes: Vec<Mistake>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Mistake {
    /// From 1; `None` when it is about the whole file.
    line: Option<u64>,
    /// The field, if the reason does not say it, and the reason.
    text: String,
}

impl ConfigError {
    fn whole(file: &Path, text: String) -> Self {
        Self {
            file: file.to_owned(),
            mistakes: vec![Mistake { line: None, text }],
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, mistake) in self.mistakes.iter().enumerate() {
            let end = if at == 0 { "" } else { "\n" };
            write!(f, "{end}{}:", self.file.display())?;
            if let Some(line) = mistake.line {
                write!(f, "{line}:")?;
            }
            write!(f, " {}", mistake.text)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// The file. All of it is optional: an empty one answers 404 to everything.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    settings: Settings,
    hosts: BTreeMap<HostPattern, Vec<Route>>,
    backends: BTreeMap<BackendId, Backend>,
    tls: BTreeMap<HostPattern, CertificateId>,
    certificates: BTreeMap<CertificateId, Source>,
    authorities: BTreeMap<CertificateId, AuthoritiesSource>,
    handshakes: BTreeMap<HostPattern, Handshake>,
    passthrough: BTreeMap<HostPattern, Forward>,
}

/// A certificate, here or in files of their own. Paths are relative to the configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Source {
    chain: Option<String>,
    chain_file: Option<PathBuf>,
    key: Option<PrivateKey>,
    key_file: Option<PathBuf>,
}

/// Certificates of authorities, here or in a file of their own.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AuthoritiesSource {
    pem: Option<String>,
    file: Option<PathBuf>,
}

fn parse(
    path: &Path,
    text: &str,
    generation: Generation,
    files: &mut Vec<PathBuf>,
) -> Result<Snapshot, ConfigError> {
    let options = serde_saphyr::options! {
        // No lines of the file in a message: they may hold a key.
        with_snippet: false,
        // Tens of thousands of hosts. The limits protect from strangers' files, and this is the operator's own.
        budget: serde_saphyr::budget! { max_nodes: 20_000_000, max_events: 80_000_000 },
    };
    // A file of comments alone is an empty mapping.
    let file: Option<File> =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let line = error.location().map(|at| at.line());
            let mistake = Mistake {
                line,
                text: error.to_string(),
            };
            ConfigError {
                file: path.to_owned(),
                mistakes: vec![mistake],
            }
        })?;
    let file = file.unwrap_or_default();
    // Field and reason.
    let mut mistakes: Vec<(String, String)> = Vec::new();
    let mut snapshot = Snapshot::empty(generation);
    snapshot.settings = file.settings;
    snapshot.backends = file
        .backends
        .into_iter()
        .map(|(id, backend)| (id, SharedPart::from(backend)))
        .collect();
    snapshot.tls = file.tls.into();
    for (host, mut routes) in file.hosts {
        for (at, route) in routes.iter_mut().enumerate() {
            if route.id.0.is_empty() {
                route.id = RouteId(format!("{host}#{at}"));
            }
        }
        snapshot.hosts.insert(host, routes.into());
    }
    let named = |file: &PathBuf| path.parent().unwrap_or(Path::new("")).join(file);
    let sources = file.certificates.values();
    let sources = sources.flat_map(|source| [&source.chain_file, &source.key_file]);
    files.extend(sources.flatten().map(named));
    let bundles = file.authorities.values();
    files.extend(bundles.filter_map(|source| source.file.as_ref()).map(named));
    snapshot.handshakes = file
        .handshakes
        .into_iter()
        .map(|(host, handshake)| (host, SharedPart::from(handshake)))
        .collect();
    snapshot.passthrough = file
        .passthrough
        .into_iter()
        .map(|(host, forward)| (host, SharedPart::from(forward)))
        .collect();
    for (id, source) in file.authorities {
        match either(path, "file", source.pem, source.file) {
            Ok(pem) => {
                snapshot.authorities.insert(id, Authorities(pem).into());
            }
            Err((field, reason)) => mistakes.push((format!("authorities[{id}].{field}"), reason)),
        }
    }
    for (id, source) in file.certificates {
        match source.load(path) {
            Ok(certificate) => {
                snapshot.certificates.insert(id, certificate.into());
            }
            Err((field, reason)) => mistakes.push((format!("certificates[{id}].{field}"), reason)),
        }
    }
    if mistakes.is_empty() {
        mistakes = check(&snapshot);
    }
    if mistakes.is_empty() {
        return Ok(snapshot);
    }
    let placed = mistakes.into_iter().map(|(field, reason)| Mistake {
        line: locate::line(text, &field),
        text: format!("{field}: {reason}"),
    });
    Err(ConfigError {
        file: path.to_owned(),
        mistakes: placed.collect(),
    })
}

/// What cannot be served, by field.
fn check(snapshot: &Snapshot) -> Vec<(String, String)> {
    let invalid = snapshot.validate().err().map(|invalid| match invalid {
        InvalidSnapshot::Field { field, reason } => (field, reason),
        // A file has no format of its own.
        newer @ InvalidSnapshot::NewerFormat { .. } => ("format".to_owned(), newer.to_string()),
    });
    let certificates = Certificates::compile(snapshot, None);
    let unusable = certificates.unusable().iter().map(|unusable| {
        let field = format!("certificates[{}]", unusable.id);
        (field, unusable.reason.clone())
    });
    let trusted = Trusted::compile(&snapshot.authorities, None);
    let authorities = trusted.unusable();
    let authorities = authorities.map(|(id, why)| (format!("authorities[{id}]"), why.to_owned()));
    invalid
        .into_iter()
        .chain(unusable)
        .chain(authorities)
        .collect()
}

impl Source {
    /// The certificate, or the field that is wrong and the reason.
    fn load(self, config: &Path) -> Result<Certificate, (&'static str, String)> {
        Ok(Certificate {
            chain: either(config, "chain", self.chain, self.chain_file)?,
            key: PrivateKey(either(
                config,
                "key",
                self.key.map(|key| key.0),
                self.key_file,
            )?),
        })
    }
}

/// A text that is here, or in a file beside the configuration. An error is `field` with the reason.
fn either(
    config: &Path,
    field: &'static str,
    here: Option<String>,
    file: Option<PathBuf>,
) -> Result<String, (&'static str, String)> {
    match (here, file) {
        (Some(text), None) => Ok(text),
        (None, Some(file)) => {
            let file = config.parent().unwrap_or(Path::new("")).join(file);
            let read = std::fs::read_to_string(&file);
            read.map_err(|error| (field, format!("{}: {error}", file.display())))
        }
        (None, None) => Err((field, "it is missing, as text or as a file".to_owned())),
        (Some(_), Some(_)) => Err((field, "give the text or the file, not both".to_owned())),
    }
}

#[cfg(test)]
mod tests;
