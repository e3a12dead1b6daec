//! Hand-written files stay short, or say why not.

use std::fs;
use std::path::Path;

use anyhow::Context;

/// Longer files hold more than one subject, or have a reason.
const LINES_MAX: usize = 600;

/// Near the top of a longer file: `// long: the reason`.
const REASON: &str = "// long:";

/// Every Rust file that is too long without a reason.
pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    for folder in ["crates", "xtask"] {
        walk(root, &root.join(folder), &mut findings)?;
    }
    findings.sort();
    Ok(findings)
}

fn walk(root: &Path, folder: &Path, findings: &mut Vec<String>) -> anyhow::Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                walk(root, &path, findings)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text =
                fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            let name = path.strip_prefix(root).unwrap_or(&path).display();
            findings.extend(too_long(&text).map(|lines| {
                format!("{name} has {lines} lines: split it by subject, or say why not with `{REASON} ...` near its top")
            }));
        }
    }
    Ok(())
}

fn too_long(text: &str) -> Option<usize> {
    let lines = text.lines().count();
    let reason = text.lines().take(20).any(|line| line.starts_with(REASON));
    (lines > LINES_MAX && !reason).then_some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_files_need_a_reason() {
        let long = "x\n".repeat(LINES_MAX + 1);
        assert_eq!(too_long(&long), Some(LINES_MAX + 1));
        assert_eq!(too_long(&"x\n".repeat(LINES_MAX)), None);
        assert_eq!(
            too_long(&format!("//! T.\n{REASON} one table.\n{long}")),
            None
        );
    }
}
