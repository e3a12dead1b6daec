//! What must not be built in, and versions below known advisories.
//!
//! `Cargo.lock` also holds what optional features nobody turns on would bring; what counts is what
//! `cargo tree` finds for some target.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::ensure;

use crate::{cargo, output};

/// One crypto library (aws-lc-rs through rustls), one YAML reader that is maintained.
const BANNED: [(&str, &str); 6] = [
    ("ring", "a second crypto library"),
    ("openssl", "a second crypto library"),
    ("openssl-sys", "a second crypto library"),
    ("native-tls", "a second TLS library"),
    ("rsa", "RUSTSEC-2023-0071"),
    ("serde_yaml", "unmaintained; serde-saphyr reads YAML here"),
];

/// Two of these would double the build and split types.
const ONCE: [&str; 7] = [
    "hyper",
    "http",
    "h2",
    "rustls",
    "tokio",
    "kube",
    "k8s-openapi",
];

/// Oldest versions without a known advisory.
const FLOORS: [(&str, [u64; 3], &str); 4] = [
    ("h2", [0, 4, 16], "RUSTSEC-2026-0258"),
    ("rustls-webpki", [0, 103, 13], "certificate parsing"),
    ("tar", [0, 4, 45], "RUSTSEC-2026-0067"),
    ("quinn-proto", [0, 11, 15], "remote panic and memory"),
];

/// Everything among the dependencies that should not be there.
pub(crate) fn check() -> anyhow::Result<Vec<String>> {
    let tree = [
        "tree",
        "--workspace",
        "--locked",
        "--target",
        "all",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ];
    let text = output(cargo(&tree)?)?;
    let packages = packages(&text);
    ensure!(
        !packages.is_empty(),
        "cargo tree names no packages: its output is not understood"
    );
    Ok(findings(&packages))
}

fn findings(packages: &BTreeMap<&str, BTreeSet<&str>>) -> Vec<String> {
    let mut findings = Vec::new();
    for (name, reason) in BANNED {
        if packages.contains_key(name) {
            findings.push(format!("{name} must not be built in ({reason}); `cargo tree --target all -i {name}` says who brings it"));
        }
    }
    for name in ONCE {
        if let Some(versions) = packages.get(name).filter(|versions| versions.len() > 1) {
            findings.push(format!(
                "{name} is built in {} times: {}",
                versions.len(),
                versions.iter().copied().collect::<Vec<_>>().join(", ")
            ));
        }
    }
    for (name, floor, reason) in FLOORS {
        for version in packages.get(name).into_iter().flatten() {
            if numbers(version) < floor {
                let floor = floor.map(|n| n.to_string()).join(".");
                findings.push(format!(
                    "{name} {version} is below {floor} ({reason}): cargo update -p {name}"
                ));
            }
        }
    }
    findings
}

/// Versions by name, from lines such as `tokio v1.54.0` and `xtask v0.1.0 (/path) (*)`.
fn packages(tree: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut packages: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in tree.lines() {
        let mut words = line.split(' ');
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            let version = version.strip_prefix('v').unwrap_or(version);
            packages.entry(name).or_default().insert(version);
        }
    }
    packages
}

/// The three numbers of a version; a pre-release counts as its release.
fn numbers(version: &str) -> [u64; 3] {
    let mut parts = version
        .split(['.', '-', '+'])
        .map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tree: &str) -> Vec<String> {
        findings(&packages(tree))
    }

    #[test]
    fn what_must_not_be_there_is_found() {
        let package = |name: &str, version: &str| format!("{name} v{version}\n");
        assert!(check(&(package("h2", "0.4.16") + &package("hyper", "1.12.0"))).is_empty());
        assert!(check(&package("ring", "0.17.0"))[0].contains("second crypto"));
        assert!(check(&package("h2", "0.4.9"))[0].contains("below 0.4.16"));
        assert!(
            check(&(package("tokio", "1.0.0") + &package("tokio", "2.0.0")))[0]
                .contains("2 times: 1.0.0, 2.0.0")
        );
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert!(numbers("0.10.0") > numbers("0.9.9"));
        assert_eq!(numbers("1.2.3-rc.1+x"), [1, 2, 3]);
    }
}
