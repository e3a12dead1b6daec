//! Whether a password is the one that was written down.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use tidegate_model::{PasswordHash, PasswordScheme};

/// Takes as long as the form of `hash` makes it: up to a second.
pub(super) fn is_right(password: &[u8], hash: &PasswordHash) -> bool {
    let text = hash.text();
    match hash.scheme() {
        PasswordScheme::Bcrypt => bcrypt::verify(password, text).unwrap_or(false),
        PasswordScheme::Apr1 => is_md5_crypt(password, text, "$apr1$"),
        PasswordScheme::Md5 => is_md5_crypt(password, text, "$1$"),
        PasswordScheme::Sha => is_sha(password, text.strip_prefix("{SHA}")),
        PasswordScheme::SaltedSha => is_sha(password, text.strip_prefix("{SSHA}")),
        PasswordScheme::Plain => text
            .strip_prefix("{PLAIN}")
            .is_some_and(|plain| equal(plain.as_bytes(), password)),
    }
}

fn equal(a: &[u8], b: &[u8]) -> bool {
    verify_slices_are_equal(a, b).is_ok()
}

/// SHA-1 of the password and of the salt that stands behind the hash, if there is one.
fn is_sha(password: &[u8], encoded: Option<&str>) -> bool {
    let decoded = encoded.and_then(|text| STANDARD.decode(text).ok());
    let Some((hash, salt)) = decoded.as_deref().and_then(|d| d.split_at_checked(20)) else {
        return false;
    };
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    context.update(password);
    context.update(salt);
    equal(context.finish().as_ref(), hash)
}

fn is_md5_crypt(password: &[u8], text: &str, magic: &str) -> bool {
    let parts = text
        .strip_prefix(magic)
        .and_then(|rest| rest.split_once('$'));
    parts.is_some_and(|(salt, hash)| {
        let made = md5_crypt(password, salt.as_bytes(), magic.as_bytes());
        equal(made.as_bytes(), hash.as_bytes())
    })
}

/// The hash of MD5-crypt (FreeBSD 2.0, Apache's `apr_md5_encode`), without magic and salt.
fn md5_crypt(password: &[u8], salt: &[u8], magic: &[u8]) -> String {
    let inner: [u8; 16] = Md5::new()
        .chain_update(password)
        .chain_update(salt)
        .chain_update(password)
        .finalize()
        .into();
    let mut first = Md5::new()
        .chain_update(password)
        .chain_update(magic)
        .chain_update(salt);
    for piece in password.chunks(16) {
        first.update(&inner[..piece.len()]);
    }
    let mut bits = password.len();
    while bits > 0 {
        match bits & 1 {
            // What was meant to be a byte of `inner` is a zero, and has been since 1994.
            1 => first.update([0]),
            _ => first.update(&password[..1]),
        }
        bits >>= 1;
    }
    let mut state: [u8; 16] = first.finalize().into();
    for round in 0..1000 {
        let mut next = Md5::new();
        let odd = round % 2 == 1;
        match odd {
            true => next.update(password),
            false => next.update(state),
        }
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        match odd {
            true => next.update(state),
            false => next.update(password),
        }
        state = next.finalize().into();
    }
    let mut out = String::with_capacity(22);
    for (a, b, c) in [(0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5)] {
        let number = (u32::from(state[a]) << 16) | (u32::from(state[b]) << 8) | u32::from(state[c]);
        push_crypt64(number, 4, &mut out);
    }
    push_crypt64(u32::from(state[11]), 2, &mut out);
    out
}

/// The lowest six bits first.
fn push_crypt64(mut number: u32, digits: usize, out: &mut String) {
    const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for _ in 0..digits {
        out.push(char::from(DIGITS[(number & 63) as usize]));
        number >>= 6;
    }
}
