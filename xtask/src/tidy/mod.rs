//! Checks that the compiler does not make. Each finding names the file and what to do.

mod dependencies;
mod documents;
mod files;
mod walls;

use anyhow::bail;

use crate::root;

/// Runs all checks and prints every finding.
///
/// # Errors
/// When there is one.
pub(crate) fn tidy() -> anyhow::Result<()> {
    let root = root()?;
    let metadata = walls::metadata()?;
    let architecture = documents::Architecture::read(&root)?;
    let mut findings = Vec::new();
    findings.extend(walls::check(&metadata, &architecture));
    findings.extend(documents::check(&root)?);
    findings.extend(files::check(&root)?);
    findings.extend(dependencies::check()?);
    for finding in &findings {
        eprintln!("tidy: {finding}");
    }
    match findings.len() {
        0 => {
            eprintln!("tidy: walls, documents, files and dependencies are in order");
            Ok(())
        }
        count => bail!("{count} things are not tidy"),
    }
}
