//! The documents that are written from the table of annotations. `UPDATE=1` writes them anew, and so does
//! `cargo xtask docs`.
#![allow(clippy::unwrap_used)] // A failed unwrap is a failed test.

use std::path::Path;
use tidegate_translate::document::{Language, annotations};

#[test]
fn the_annotations_are_documented_as_they_are() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let mut stale = Vec::new();
    for (language, name) in [
        (Language::English, "annotations.md"),
        (Language::Chinese, "zh/annotations.md"),
    ] {
        let path = docs.join(name);
        let text = annotations(language);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, text).unwrap();
        } else if std::fs::read_to_string(&path).unwrap_or_default() != text {
            stale.push(name);
        }
    }
    assert!(
        stale.is_empty(),
        "run `cargo xtask docs`: {stale:?} is not what the table says"
    );
}
