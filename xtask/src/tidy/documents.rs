//! What the documents name must exist.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};

/// Documents whose paths are checked; those that do not exist yet are skipped.
const DOCUMENTS: [&str; 5] = [
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "README.md",
    "README.zh-CN.md",
    "SPECIFICATION.md",
];

/// A word in backticks that begins so is a path of this repository.
const ROOTS: [&str; 6] = ["crates/", "docs/", "xtask/", ".ci/", "examples/", "tests/"];

/// The table of rooms.
#[derive(Debug)]
pub(crate) struct Architecture {
    /// By crate name without prefix.
    pub(crate) rooms: BTreeMap<String, MayUse>,
}

/// What a room may use.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum MayUse {
    /// These.
    Named(BTreeSet<String>),
    /// All that ship.
    All,
    /// Anything, because it never ships.
    DevOnly,
}

impl Architecture {
    pub(crate) fn read(root: &Path) -> anyhow::Result<Self> {
        let text =
            fs::read_to_string(root.join("ARCHITECTURE.md")).context("reading ARCHITECTURE.md")?;
        let architecture = Self::parse(&text);
        ensure!(
            !architecture.rooms.is_empty(),
            "ARCHITECTURE.md has no table with rows like: | layer | `crates/x` | purpose | `y` `z` |"
        );
        Ok(architecture)
    }

    fn parse(text: &str) -> Self {
        let rooms = text
            .lines()
            .filter_map(|line| {
                let cells: Vec<&str> = line
                    .trim()
                    .trim_matches('|')
                    .split('|')
                    .map(str::trim)
                    .collect();
                let [_, name, _, may_use] = cells.as_slice() else {
                    return None;
                };
                let name = name.strip_prefix('`')?.strip_suffix('`')?;
                let name = name.strip_prefix("crates/").unwrap_or(name);
                let may_use = match *may_use {
                    "all of the above" => MayUse::All,
                    "dev-only" => MayUse::DevOnly,
                    named => MayUse::Named(ticked(named).map(str::to_owned).collect()),
                };
                Some((name.to_owned(), may_use))
            })
            .collect();
        Self { rooms }
    }

    pub(crate) fn is_dev_only(&self, room: &str) -> bool {
        self.rooms.get(room) == Some(&MayUse::DevOnly)
    }
}

/// Every path and symbol that a document names and that does not exist.
pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    for document in DOCUMENTS {
        let Ok(text) = fs::read_to_string(root.join(document)) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            findings.extend(
                check_line(root, line)
                    .map(|finding| format!("{document}:{}: {finding}", number + 1)),
            );
        }
    }
    Ok(findings)
}

fn check_line(root: &Path, line: &str) -> impl Iterator<Item = String> {
    let named: Vec<&str> = ticked(line)
        .filter(|word| ROOTS.iter().any(|root| word.starts_with(root)))
        .collect();
    let missing = named.iter().filter_map(|word| missing(root, word));
    // "`symbol` in `path`": the file must hold the symbol.
    let symbols = named.iter().filter_map(|path| {
        let before = line.split_once(&format!("` in `{path}`"))?.0;
        let symbol = before.rsplit_once('`')?.1;
        let text = fs::read_to_string(root.join(path)).ok()?;
        (!text.contains(symbol)).then(|| format!("{path} does not hold {symbol}"))
    });
    missing.chain(symbols).collect::<Vec<_>>().into_iter()
}

/// What is wrong with `path` or, for a test, `path::name`.
fn missing(root: &Path, word: &str) -> Option<String> {
    let (path, test) = match word.split_once("::") {
        Some((path, test)) => (path, Some(test)),
        None => (word, None),
    };
    if !root.join(path).exists() {
        return Some(format!("{path} does not exist"));
    }
    let text = fs::read_to_string(root.join(path)).unwrap_or_default();
    let test = test.filter(|test| !text.contains(&format!("fn {test}(")))?;
    Some(format!("{path} has no test {test}"))
}

/// The words in backticks.
fn ticked(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_rooms_is_read() {
        let table = "| layer | crate | purpose | may use |\n|---|---|---|---|\n\
                     | a | `crates/hub` | steers | `api` `model` |\n\
                     | a | `crates/api` | kinds | - |\n\
                     | p | `crates/cli` | all | all of the above |\n\
                     | p | `crates/testbed` | rig | dev-only |\n\
                     | p | `xtask` | build | - |\n";
        let rooms = Architecture::parse(table).rooms;
        let named = |names: &[&str]| MayUse::Named(names.iter().map(|n| (*n).to_owned()).collect());
        assert_eq!(rooms["hub"], named(&["api", "model"]));
        assert_eq!(rooms["api"], named(&[]));
        assert_eq!(rooms["xtask"], named(&[]));
        assert_eq!(rooms["cli"], MayUse::All);
        assert_eq!(rooms["testbed"], MayUse::DevOnly);
        assert_eq!(rooms.len(), 5);
    }

    #[test]
    fn paths_and_symbols_must_exist() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("a workspace");
        let findings = |line: &str| check_line(root, line).collect::<Vec<_>>();
        assert!(findings("see `xtask/src/main.rs` and `cargo xtask`").is_empty());
        assert!(findings("`fn root` in `xtask/src/main.rs`").is_empty());
        assert_eq!(
            findings("`xtask/src/nowhere.rs`"),
            ["xtask/src/nowhere.rs does not exist"]
        );
        assert!(findings("`xtask/src/tidy/documents.rs::paths_and_symbols_must_exist`").is_empty());
        assert_eq!(
            findings("`xtask/src/main.rs::paths_and_symbols_must_exist`"),
            ["xtask/src/main.rs has no test paths_and_symbols_must_exist"]
        );
        let missing = concat!("no_such", "_symbol");
        assert_eq!(
            findings(&format!("`{missing}` in `xtask/src/main.rs`")),
            [format!("xtask/src/main.rs does not hold {missing}")]
        );
    }
}
