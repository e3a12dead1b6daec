//! Cases as they are written down.

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Suite {
    /// Whose.
    pub(crate) name: String,
    /// Cases of that suite that assert over HTTP, as counted by those who study it.
    pub(crate) upstream: usize,
    pub(crate) cases: Vec<Case>,
}

/// One case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// The upstream case: its group and its name.
    pub(crate) upstream: String,
    #[serde(default)]
    pub(crate) ingresses: Vec<Ingress>,
    /// Data of Secrets of type Opaque, by name.
    #[serde(default)]
    pub(crate) secrets: BTreeMap<String, BTreeMap<String, String>>,
    /// Data of ConfigMaps, by name.
    #[serde(default)]
    pub(crate) config_maps: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default)]
    pub(crate) requests: Vec<Request>,
    /// Parts of what is said about the objects.
    #[serde(default)]
    pub(crate) told: Vec<String>,
    /// What differs from upstream, on purpose, and why; the requests show what happens here.
    #[serde(default)]
    different: Option<String>,
    /// Why it is not done at all.
    #[serde(default)]
    refused: Option<String>,
    /// Another test that shows it, as `file::function`.
    #[serde(default)]
    pub(crate) elsewhere: Option<String>,
}

/// An Ingress. The first is the oldest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ingress {
    /// Annotations of nginx, without their prefix.
    #[serde(default)]
    pub(crate) annotations: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) class: Option<String>,
    /// Secret of `spec.tls`.
    #[serde(default)]
    pub(crate) tls: Option<String>,
    /// Service of `spec.defaultBackend`.
    #[serde(default)]
    pub(crate) default: Option<String>,
    /// By host, which may be empty, the paths: `/x`, with a path type behind a blank where it is not Prefix, and a Service.
    #[serde(default)]
    pub(crate) hosts: BTreeMap<String, BTreeMap<String, String>>,
}

/// A request, and what comes of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    #[serde(default = "get")]
    pub(crate) method: String,
    /// Host and path, as `shop.example.com/a?b`.
    pub(crate) url: String,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// It is sent so often; all answers are as they should be.
    #[serde(default = "once")]
    pub(crate) times: usize,
    #[serde(default = "ok")]
    pub(crate) status: u16,
    /// The Service that it reached.
    #[serde(default)]
    pub(crate) by: Option<String>,
    /// Of `times` requests at least so many reached each of these.
    #[serde(default)]
    pub(crate) split: BTreeMap<String, usize>,
    /// All of them reached so many endpoints.
    #[serde(default)]
    pub(crate) endpoints: Option<usize>,
    /// Path and query as the Service saw them.
    #[serde(default)]
    pub(crate) path: Option<String>,
    /// Headers as the Service saw them; null: none.
    #[serde(default)]
    pub(crate) saw: BTreeMap<String, Option<String>>,
    /// Headers of the answer, of which this is a part, or all of it behind a `=`; null: none.
    #[serde(default)]
    pub(crate) answer: BTreeMap<String, Option<String>>,
    /// Part of the answer's body.
    #[serde(default)]
    pub(crate) body: Option<String>,
}

/// What a case shows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome<'a> {
    /// It is as upstream.
    Same,
    /// It is so by another test.
    Elsewhere(&'a str),
    /// It is not, on purpose.
    Different(&'a str),
    /// It is not done.
    Refused(&'a str),
}

fn get() -> String {
    "GET".to_owned()
}

fn once() -> usize {
    1
}

fn ok() -> u16 {
    200
}

impl Case {
    pub(crate) fn outcome(&self) -> Result<Outcome<'_>> {
        let shown = !self.requests.is_empty() || !self.told.is_empty();
        match (&self.different, &self.refused, &self.elsewhere) {
            (None, None, None) if shown => Ok(Outcome::Same),
            (None, None, Some(test)) if !shown => Ok(Outcome::Elsewhere(test)),
            (Some(why), None, None) if shown => Ok(Outcome::Different(why)),
            (Some(why), None, Some(_)) if !shown => Ok(Outcome::Different(why)),
            (None, Some(why), None) if shown => Ok(Outcome::Refused(why)),
            _ => {
                bail!("it needs requests or messages, and one reason at most; or a test elsewhere")
            }
        }
    }
}

/// All files, by name.
pub(crate) fn suites() -> Vec<Suite> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/ingress-compat");
    let files = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    let read = |file: &PathBuf| {
        let text = std::fs::read_to_string(file).unwrap();
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    };
    files.iter().map(read).collect()
}

/// Whether `file::function` is a test.
pub(crate) fn is_there(test: &str) -> Result<()> {
    let (file, function) = test.split_once("::").context("it reads file::function")?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(root.join(file)).with_context(|| file.to_owned())?;
    ensure!(
        text.contains(&format!("fn {function}(")),
        "there is no {test}"
    );
    Ok(())
}
