//! A backend as the request path sees it.

use super::shares::Shares;
use crate::health::BackendHealth;
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use tidegate_model::BackendId;
use tidegate_runtime::Tick;

/// A backend with its prepared shares; lives as long as the backend does, across tables.
#[derive(Debug)]
pub struct BackendState {
    health: Arc<BackendHealth>,
    shares: ArcSwap<Shares>,
    preparing: AtomicBool,
    ticket: AtomicU32,
}

impl BackendState {
    /// With shares still to prepare.
    pub fn new(health: Arc<BackendHealth>) -> Self {
        Self {
            health,
            shares: ArcSwap::default(),
            preparing: AtomicBool::new(false),
            ticket: AtomicU32::new(0),
        }
    }

    /// The backend.
    pub fn id(&self) -> &BackendId {
        self.health.id()
    }

    /// Its endpoints and rules.
    pub fn health(&self) -> &Arc<BackendHealth> {
        &self.health
    }

    /// The shares at `now`, prepared anew if they are out of date. While one worker prepares them the others
    /// go on with the old ones.
    pub fn shares(&self, now: Tick) -> arc_swap::Guard<Arc<Shares>> {
        let shares = self.shares.load();
        // The very first ones have epoch 0 and are of no use to anybody.
        if shares.epoch() == self.health.epoch() && now < shares.valid_until() {
            return shares;
        }
        if self.preparing.swap(true, Relaxed) && shares.epoch() != 0 {
            return shares;
        }
        self.shares
            .store(Arc::new(Shares::prepare(&self.health, now)));
        self.preparing.store(false, Relaxed);
        self.shares.load()
    }

    /// The next point of the walk.
    pub(super) fn ticket(&self) -> u32 {
        /// 2^32 divided by the golden ratio.
        const STEP: u32 = 0x9E37_79B9;
        self.ticket.fetch_add(1, Relaxed).wrapping_mul(STEP)
    }
}
