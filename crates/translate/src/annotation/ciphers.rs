//! Cipher suites and versions of TLS, as OpenSSL and nginx write them.

use std::collections::BTreeSet;
use tidegate_model::{CipherSuite, TlsRules, TlsVersion};

/// The suites that a cipher string of OpenSSL selects among those that are spoken: words between colons, commas or
/// spaces, each a suite, a group, or groups joined by `+`; `!` and `-` take away. Words for what is not spoken here
/// select nothing, as in OpenSSL.
///
/// # Errors
/// Nothing is left.
pub(super) fn ciphers(text: &str) -> Result<BTreeSet<CipherSuite>, String> {
    let mut selected = BTreeSet::new();
    let mut killed = BTreeSet::new();
    let words = text.split([':', ',', ' ']).filter(|word| !word.is_empty());
    for word in words {
        if let Some(rest) = word.strip_prefix('!') {
            killed.extend(group(rest));
        } else if let Some(rest) = word.strip_prefix('-') {
            let out: BTreeSet<_> = group(rest).collect();
            selected.retain(|suite| !out.contains(suite));
        } else if !word.starts_with(['+', '@']) {
            // Those two change an order that is not ours to change.
            selected.extend(group(word));
        }
    }
    selected.retain(|suite| !killed.contains(suite));
    match selected.is_empty() {
        true => {
            let all: Vec<_> = CipherSuite::ALL
                .iter()
                .map(|suite| suite.as_str())
                .collect();
            Err(format!("it selects none of {}", all.join(", ")))
        }
        false => Ok(selected),
    }
}

/// The suites that have all of the properties between the `+`.
fn group(words: &str) -> impl Iterator<Item = CipherSuite> {
    CipherSuite::ALL
        .into_iter()
        .filter(move |suite| words.split('+').all(|word| has(*suite, word)))
}

fn has(suite: CipherSuite, word: &str) -> bool {
    let name = suite.as_str();
    match word {
        "ALL" | "DEFAULT" | "HIGH" | "TLSv1.2" | "ECDHE" | "EECDH" | "kECDHE" | "kEECDH" => true,
        "ECDSA" | "aECDSA" => name.contains("ECDSA"),
        "aRSA" => name.contains("-RSA-"),
        "AES" | "AESGCM" => name.contains("AES"),
        "AES128" => name.contains("AES128"),
        "AES256" => name.contains("AES256"),
        "CHACHA20" => name.contains("CHACHA20"),
        _ => word == name || word == iana(suite),
    }
}

/// The name in IANA's registry, which OpenSSL reads as well.
fn iana(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::EcdsaAes128 => "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        CipherSuite::EcdsaAes256 => "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        CipherSuite::EcdsaChacha20 => "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        CipherSuite::RsaAes128 => "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        CipherSuite::RsaAes256 => "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        CipherSuite::RsaChacha20 => "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    }
}

/// Versions between spaces, as nginx lists them. Old ones are left out: they are not spoken.
///
/// # Errors
/// A word that is no version, or nothing that is spoken.
pub(super) fn versions(text: &str) -> Result<TlsRules, String> {
    let mut spoken = BTreeSet::new();
    for word in text.split_ascii_whitespace() {
        match word {
            "TLSv1.2" => _ = spoken.insert(TlsVersion::V1_2),
            "TLSv1.3" => _ = spoken.insert(TlsVersion::V1_3),
            "SSLv2" | "SSLv3" | "TLSv1" | "TLSv1.1" => {}
            _ => return Err(format!("{word:?} is not a version of TLS")),
        }
    }
    match (spoken.first(), spoken.last()) {
        (Some(min), Some(max)) => Ok(TlsRules {
            min_version: Some(*min),
            max_version: Some(*max),
            ciphers: BTreeSet::new(),
        }),
        _ => Err(NOT_SPOKEN.to_owned()),
    }
}

/// Why an old version is refused.
pub(super) const NOT_SPOKEN: &str = "only TLSv1.2 and TLSv1.3 are spoken";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cipher_strings_select_what_openssl_would() {
        let count = |text: &str| ciphers(text).map(|selected| selected.len());
        assert_eq!(count("DEFAULT"), Ok(6));
        assert_eq!(count("HIGH:!aNULL:!MD5"), Ok(6));
        assert_eq!(
            count("ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES128-GCM-SHA256"),
            Ok(1)
        );
        assert_eq!(count("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"), Ok(1));
        assert_eq!(count("EECDH+AESGCM:EDH+AESGCM"), Ok(4));
        assert_eq!(count("ALL:!aRSA:+HIGH"), Ok(3));
        assert_eq!(count("ALL -CHACHA20, ECDHE+CHACHA20+aRSA"), Ok(5));
        assert_eq!(count("!ECDSA:ALL:ECDHE-ECDSA-AES128-GCM-SHA256"), Ok(3));
        assert!(ciphers("RC4-SHA:DES-CBC3-SHA").is_err());
        assert!(ciphers("ALL:!ECDHE").is_err());
    }

    #[test]
    fn versions_that_are_not_spoken_are_left_out() {
        use TlsVersion::{V1_2, V1_3};
        let read = |text| versions(text).map(|rules| (rules.min_version, rules.max_version));
        assert_eq!(read("TLSv1 TLSv1.1 TLSv1.2"), Ok((Some(V1_2), Some(V1_2))));
        assert_eq!(read("TLSv1.2 TLSv1.3"), Ok((Some(V1_2), Some(V1_3))));
        assert_eq!(read("TLSv1.1"), Err(NOT_SPOKEN.to_owned()));
        assert_eq!(
            read("TLSv9"),
            Err("\"TLSv9\" is not a version of TLS".to_owned())
        );
    }
}
