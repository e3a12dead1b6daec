//! What has to hold before a change is taken.

use crate::{cargo, run, tidy};

/// Format, tidy, lints, docs, tests: cheap ones first.
pub(crate) fn ci() -> anyhow::Result<()> {
    run(cargo(&["fmt", "--all", "--check"])?)?;
    tidy::tidy()?;
    run(cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ])?)?;
    let mut doc = cargo(&["doc", "--workspace", "--no-deps", "--locked"])?;
    doc.env("RUSTDOCFLAGS", "-D warnings");
    run(doc)?;
    test(&[])?;
    eprintln!("ci: everything holds");
    Ok(())
}

/// Writes the documents that are made from code and cases anew; the same tests find stale ones.
pub(crate) fn docs() -> anyhow::Result<()> {
    let documents = [
        ["tidegate-translate", "documents", "the_annotations"],
        ["tidegate-cli", "ingress_compat", "the_report"],
    ];
    for [package, test, name] in documents {
        let mut docs = cargo(&["test", "--locked", "-p", package, "--test", test])?;
        docs.args(["--", name]).env("UPDATE", "1");
        run(docs)?;
    }
    Ok(())
}

/// All tests, unit to end-to-end; every crate's tests run even when another's fail.
pub(crate) fn test(args: &[String]) -> anyhow::Result<()> {
    let mut test = cargo(&["test", "--locked", "--no-fail-fast"])?;
    if !args
        .iter()
        .any(|arg| arg == "-p" || arg.starts_with("--package"))
    {
        test.arg("--workspace");
    }
    test.args(args);
    run(test)
}
