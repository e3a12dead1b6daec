//! Manifests from files and standard input.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::Value;
use tidegate_translate::verdict::Manifests;

/// A cluster of 10 000 Ingresses in one list is about 100 MB.
const FILE_MAX: u64 = 1 << 30;

/// Reads files, folders (those of their files that end with .yaml, .yml or .json) and, for "-", standard input.
///
/// # Errors
/// The first thing that cannot be read, with file and document.
pub(crate) fn files(
    paths: &[PathBuf],
    settings: Option<&str>,
    manifests: &mut Manifests,
) -> anyhow::Result<()> {
    for path in paths {
        if path == Path::new("-") {
            let text = text(std::io::stdin()).context("standard input")?;
            documents(&text, "standard input", settings, manifests)?;
        } else {
            for file in expand(path)? {
                let name = file.display().to_string();
                let opened = std::fs::File::open(&file).with_context(|| name.clone())?;
                documents(
                    &text(opened).with_context(|| name.clone())?,
                    &name,
                    settings,
                    manifests,
                )?;
            }
        }
    }
    Ok(())
}

fn text(source: impl Read) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let length = source.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
    if length as u64 > FILE_MAX {
        bail!("it is longer than 1 GiB: give the objects in several files");
    }
    String::from_utf8(bytes).context("it is not text in UTF-8")
}

/// A file itself; the manifests of a folder in the order of their names.
fn expand(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let context = || path.display().to_string();
    if !std::fs::metadata(path).with_context(context)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).with_context(context)? {
        let file = entry.with_context(context)?.path();
        let extension = file.extension().and_then(|e| e.to_str());
        if matches!(extension, Some("yaml" | "yml" | "json")) && file.is_file() {
            files.push(file);
        }
    }
    if files.is_empty() {
        bail!(
            "{}: the folder has no .yaml, .yml or .json file",
            path.display()
        );
    }
    files.sort();
    Ok(files)
}

/// Takes every document of a text. JSON is read as such: it is faster, and lists of `kubectl -o json` are long.
///
/// # Errors
/// The first document that is wrong, by its number, counted from 1.
fn documents(
    text: &str,
    name: &str,
    settings: Option<&str>,
    manifests: &mut Manifests,
) -> anyhow::Result<()> {
    for (i, document) in split(text).into_iter().enumerate() {
        let number = i + 1;
        let value =
            parse(document).map_err(|why| anyhow::anyhow!("{name}: document {number}: {why}"))?;
        manifests
            .take(value, settings)
            .map_err(|why| anyhow::anyhow!("{name}: document {number}: {why}"))?;
    }
    Ok(())
}

fn parse(document: &str) -> Result<Value, String> {
    if document.trim_start().starts_with('{') {
        // YAML in braces is allowed as well.
        if let Ok(value) = serde_json::from_str(document) {
            return Ok(value);
        }
    }
    // Errors show no snippet: a Secret may stand there. The budget is for lists of whole clusters.
    let options = serde_saphyr::options! {
        with_snippet: false,
        budget: serde_saphyr::budget! { max_nodes: 20_000_000, max_events: 80_000_000 },
    };
    serde_saphyr::from_str_with_options(document, options).map_err(|error| error.to_string())
}

/// The documents of a YAML stream: a line that begins with `---` ends one wherever it stands (YAML 1.2.2, 9.1.2). Those
/// without content are not counted.
fn split(text: &str) -> Vec<&str> {
    let mut documents = Vec::new();
    let mut start = 0;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let rest = line.strip_prefix("---");
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace)) {
            documents.push(&text[start..at]);
            // What stands behind the marker belongs to the next one.
            start = at + 3;
        }
        at += line.len();
    }
    documents.push(&text[start..]);
    documents.retain(|document| {
        let content = document.lines().map(str::trim);
        content
            .into_iter()
            .any(|line| !line.is_empty() && !line.starts_with(['#', '%']))
    });
    documents
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn take(text: &str) -> anyhow::Result<Manifests> {
        let mut manifests = Manifests::default();
        documents(text, "a.yaml", None, &mut manifests)?;
        Ok(manifests)
    }

    #[test]
    fn streams_lists_and_json_are_read() {
        let service = "apiVersion: v1\nkind: Service\nmetadata: { name: a }\n";
        let json =
            r#"{"apiVersion":"v1","kind":"ServiceList","items":[{"metadata":{"name":"b"}}]}"#;
        let text = format!("# head\n---\n# nothing\n---\n{service}--- {json}\n");
        assert_eq!(take(&text).unwrap().services.unwrap().len(), 2);
    }

    #[test]
    fn mistakes_name_file_and_document() {
        let good = "apiVersion: v1\nkind: Service\nmetadata: { name: a }\n";
        let error = take(&format!("{good}---\nkind: [\n"))
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("a.yaml: document 2: "), "{error}");
        let error = take(&format!("{good}---\n- 1\n")).unwrap_err().to_string();
        assert!(
            error.starts_with("a.yaml: document 2: this is no Kubernetes object"),
            "{error}"
        );
    }

    #[test]
    fn errors_do_not_show_what_stands_there() {
        let error = take("data: { tls.key: hunter2\n").unwrap_err();
        assert!(!format!("{error:#}").contains("hunter2"), "{error:#}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_by_file_and_document(
            text in prop_oneof![".{0,80}", "([-\\[{}: a\"'&*!|>#\\n]|---\\n|kind: |apiVersion: v1\\n){0,30}"],
        ) {
            if let Err(error) = take(&text) {
                let error = error.to_string();
                prop_assert!(error.starts_with("a.yaml: document "), "{}", error);
            }
        }
    }
}
