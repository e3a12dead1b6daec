//! Counters that many workers write and few readers sum.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// More shards than this cost memory and make sums slow; fewer make workers wait for one another's
/// cache lines.
const SHARDS: usize = 8;

/// A cache line of its own, so that writers of neighbours do not slow one another.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Padded<T>(pub(crate) T);

/// A counter that wraps around zero: sums are right however the shards are filled.
#[derive(Debug, Default)]
pub(crate) struct Sharded([Padded<AtomicU64>; SHARDS]);

impl Sharded {
    pub(crate) fn add(&self, n: u64) {
        self.0[shard()].0.fetch_add(n, Relaxed);
    }

    pub(crate) fn subtract(&self, n: u64) {
        self.0[shard()].0.fetch_sub(n, Relaxed);
    }

    /// The sum. While others write it may miss their last steps, also below zero, which reads as zero.
    pub(crate) fn sum(&self) -> u64 {
        let sum = self
            .0
            .iter()
            .fold(0_u64, |sum, shard| sum.wrapping_add(shard.0.load(Relaxed)));
        if sum > u64::MAX / 2 { 0 } else { sum }
    }
}

/// Threads take shards in turn.
fn shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    MINE.with(|mine| {
        if mine.get() == usize::MAX {
            mine.set(NEXT.fetch_add(1, Relaxed) % SHARDS);
        }
        mine.get()
    })
}
