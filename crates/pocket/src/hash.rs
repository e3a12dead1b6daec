//! Small stable hashes for names. Not for security.

/// FNV-1a, 32 bit: stable over versions and machines, unlike the standard library's hasher.
pub(crate) fn fnv32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

/// `hash` in the alphabet Kubernetes uses for generated names: no vowels, so no words by accident.
pub(crate) fn name_suffix(hash: u32) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    hash.to_string()
        .bytes()
        .map(|digit| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()]))
        .collect()
}

/// `prefix` cut so that `prefix-suffix` is a legal name of at most `max` bytes.
pub(crate) fn suffixed(prefix: &str, suffix: &str, max: usize) -> String {
    let room = max.saturating_sub(suffix.len() + 1);
    let mut end = prefix.len().min(room);
    while !prefix.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}-{suffix}", prefix[..end].trim_end_matches(['-', '.']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fnv_matches_its_published_vectors() {
        assert_eq!(fnv32(b""), 0x811c_9dc5);
        assert_eq!(fnv32(b"foobar"), 0xbf9c_f968);
    }

    #[test]
    fn names_are_cut_before_their_suffix() {
        assert_eq!(suffixed("abc", "xyz", 63), "abc-xyz");
        assert_eq!(suffixed("abcdef", "xyz", 8), "abcd-xyz");
        assert_eq!(suffixed("abc-def", "xyz", 8), "abc-xyz");
    }
}
