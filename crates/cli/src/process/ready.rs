//! The ready line: what a process says on stderr, once, when it serves.
//!
//! ```text
//! ready: server api=https://127.0.0.1:6443 http=http://127.0.0.1:8080 admin=http://127.0.0.1:9901 kubeconfig=/data/admin.kubeconfig
//! ```
//!
//! Scripts, the demo and the test rig wait for it. Keys are stable; `kubeconfig` comes last, because a
//! path may hold spaces.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

const PREFIX: &str = "ready: ";
const KUBECONFIG: &str = " kubeconfig=";

/// A ready line, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    /// `server`, `pocket` or `gateway`.
    pub(crate) what: String,
    /// The addresses, by key.
    pub(crate) values: BTreeMap<String, String>,
    /// The admin kubeconfig, when the process has an API.
    pub(crate) kubeconfig: Option<PathBuf>,
}

/// Builds the line.
pub(crate) fn line(what: &str, values: &[(&str, String)], kubeconfig: Option<&Path>) -> String {
    let mut line = format!("{PREFIX}{what}");
    for (key, value) in values {
        // Writing to a string cannot fail.
        let _ = write!(line, " {key}={value}");
    }
    if let Some(path) = kubeconfig {
        let _ = write!(line, "{KUBECONFIG}{}", path.display());
    }
    line
}

/// Finds the line in what a process wrote so far.
pub(crate) fn find(log: &str) -> Option<Ready> {
    // Without its newline a line may still be growing.
    log.split_inclusive('\n')
        .filter_map(|line| line.strip_suffix('\n'))
        .find_map(|line| parse(line.strip_prefix(PREFIX)?))
}

fn parse(line: &str) -> Option<Ready> {
    let (line, kubeconfig) = match line.split_once(KUBECONFIG) {
        Some((line, path)) => (line, Some(PathBuf::from(path))),
        None => (line, None),
    };
    let mut words = line.split(' ');
    let what = words.next()?.to_owned();
    let values = words
        .filter_map(|word| word.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    Some(Ready {
        what,
        values,
        kubeconfig,
    })
}

/// Where a process notes its admin address in its data directory.
pub(crate) const ADMIN_ADDR_FILE: &str = "admin.addr";

/// Writes `DIR/admin.addr`, for those who come later than the ready line.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn write_admin_addr(
    data_dir: &Path,
    address: std::net::SocketAddr,
) -> anyhow::Result<()> {
    let path = data_dir.join(ADMIN_ADDR_FILE);
    tidegate_runtime::atomic_file::write(&path, format!("{address}\n").as_bytes(), 0o644)
        .context("noting the admin address")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let values = [
            ("api", "https://127.0.0.1:1".to_owned()),
            ("admin", "http://127.0.0.1:2".to_owned()),
        ];
        let written = line("pocket", &values, Some(Path::new("/a b/admin.kubeconfig")));
        assert_eq!(
            written,
            "ready: pocket api=https://127.0.0.1:1 admin=http://127.0.0.1:2 kubeconfig=/a b/admin.kubeconfig"
        );
        let ready = find(&format!("INFO starting\n{written}\nmore")).expect("there is one");
        assert_eq!(ready.what, "pocket");
        assert_eq!(ready.values["api"], "https://127.0.0.1:1");
        assert_eq!(
            ready.kubeconfig.as_deref(),
            Some(Path::new("/a b/admin.kubeconfig"))
        );
        assert_eq!(
            find(&written),
            None,
            "a line without its end may be half written"
        );
    }
}
