//! A hash that is the same in every process, release and machine: gateways must agree on it, and clients keep
//! it in cookies.
//!
//! It is no defence: who may choose the key may choose the endpoint. Nothing that a client sends is kept in a map by it.

/// Takes parts of a key one after the other: FNV-1a, 64 bits, with a last step that spreads every bit over all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StableHasher(u64);

impl StableHasher {
    pub(crate) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Continues the key.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// The hash of all that was written.
    pub(crate) fn finish(self) -> u64 {
        mix(self.0)
    }
}

/// The hash of one piece.
pub(crate) fn stable_hash(bytes: &[u8]) -> u64 {
    let mut hasher = StableHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// A permutation of the numbers in which neighbours have nothing in common (the finaliser of splitmix64).
pub(crate) fn mix(number: u64) -> u64 {
    let mut x = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// How much a holder of `weight` wants a key, given what both hash to together: of several, the one that wants it most
/// gets it, and each gets keys in proportion to its weight (weighted rendezvous hashing).
pub(crate) fn score(hash: u64, weight: f64) -> f64 {
    /// 2^52: halves of a step are still exact in a `f64`.
    const STEPS: f64 = 4_503_599_627_370_496.0;
    // Above 0 and below 1, so that its logarithm is a negative number.
    let uniform = ((hash >> 12) as f64 + 0.5) / STEPS;
    weight / -uniform.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_changes() {
        // Written down, because clients keep such values in cookies.
        assert_eq!(stable_hash(b""), 0xc381_7c01_6ba4_ff30);
        assert_eq!(stable_hash(b"az1/10.1.0.5:8080"), 0xcb87_25c5_5a63_ce92);
        let mut parts = StableHasher::new();
        parts.write(b"az1/");
        parts.write(b"10.1.0.5:8080");
        assert_eq!(parts.finish(), stable_hash(b"az1/10.1.0.5:8080"));
    }

    #[test]
    fn keys_go_by_weight() {
        let weights = [1.0, 2.0, 5.0];
        let mut counts = [0_u32; 3];
        for key in 0..80_000_u64 {
            let scores =
                [0, 1, 2].map(|holder| score(mix(key ^ mix(holder)), weights[holder as usize]));
            let best = (0..3)
                .max_by(|a, b| scores[*a].total_cmp(&scores[*b]))
                .unwrap();
            counts[best] += 1;
        }
        for (count, expect) in counts.into_iter().zip([10_000_u32, 20_000, 50_000]) {
            assert!(count.abs_diff(expect) < expect / 20, "{counts:?}");
        }
        assert!(score(0, 1.0) > 0.0 && score(u64::MAX, 1.0).is_finite());
    }
}
