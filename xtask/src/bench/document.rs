//! `BENCHMARKS.md`: text by people, with sections between markers that belong to `cargo xtask bench`.

use std::fs;
use std::path::Path;

use anyhow::Context;

use super::{Section, machine};

const HEAD: &str = "\
# Benchmarks

What is between the markers is written by `cargo xtask bench --write`; `cargo xtask bench NAME` measures one
part again. Absolute figures move with the machine; ratios within one run are what counts.
";

/// Replaces the section between its markers, or adds it at the end.
pub(super) fn update(path: &Path, section: &Section) -> anyhow::Result<()> {
    let old = match fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => HEAD.to_owned(),
        read => read.with_context(|| format!("reading {}", path.display()))?,
    };
    let text = format!("{}\n\n{}", section.text.trim_end(), machine::describe()?);
    let new = replace(&old, section.name, &text)?;
    fs::write(path, new).with_context(|| format!("writing {}", path.display()))
}

fn replace(document: &str, name: &str, text: &str) -> anyhow::Result<String> {
    let (begin, end) = (
        format!("<!-- bench:{name} -->"),
        format!("<!-- /bench:{name} -->"),
    );
    let section = format!("{begin}\n{}\n{end}", text.trim_end());
    let Some(from) = document.find(&begin) else {
        return Ok(format!("{}\n\n{section}\n", document.trim_end()));
    };
    let to = document[from..]
        .find(&end)
        .with_context(|| format!("{begin} has no {end}"))?;
    Ok(format!(
        "{}{section}{}",
        &document[..from],
        &document[from + to + end.len()..]
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_section_changes() {
        let one = replace("# B\n\nwords\n", "a", "first").expect("added");
        let two = replace(&one, "b", "second").expect("added");
        assert_eq!(
            two,
            "# B\n\nwords\n\n<!-- bench:a -->\nfirst\n<!-- /bench:a -->\n\n<!-- bench:b -->\nsecond\n<!-- /bench:b -->\n"
        );
        let three = replace(&two, "a", "again").expect("replaced");
        assert_eq!(three, two.replace("first", "again"));
        assert!(replace("<!-- bench:a -->", "a", "x").is_err());
    }
}
