//! Which endpoint a request goes to.
//!
//! Shares are prepared whenever a verdict, the endpoints or the rules change (`shares`), so a choice is
//! one look at them: its cost does not grow with the endpoints. What else decides, if a backend asks for it, stands
//! in `pools` (algorithms), `claim` (keys) and `session` (cookies). Successive choices of a backend walk the unit
//! interval in steps of the golden ratio, which spreads them as evenly as can be over any division of it:
//! shares are met within a fraction of a percent after a few hundred requests, smoothly and without a
//! schedule.

mod backend;
mod claim;
mod pick;
mod pools;
mod session;
mod shares;

pub use backend::BackendState;
pub use claim::Claim;
pub(crate) use claim::aim;
pub use pick::Pick;
pub use shares::{ClusterShare, Mode, Shares};

use crate::health::{EndpointId, EndpointState, Part};
use crate::table::ForwardEntry;
use std::sync::Arc;
use tidegate_model::{ClusterName, RoutePlacement};
use tidegate_runtime::Tick;

/// Chooses an endpoint and enters the attempt into its account.
///
/// The first choice (`tried` is empty) follows the placement: a pinned cluster while it can serve, else the
/// backend's tiers; among what that allows, `claim` and the backend's algorithm decide. A further one never takes an endpoint from `tried`; it prefers what can serve, and among
/// that a cluster not tried yet, in the order of the tiers. When nothing is left that can serve, endpoints
/// judged unhealthy are tried as well rather than none. A backend without any endpoint is replaced by the
/// fallback. `None` when nothing is left at all: 503. `random` decides among equals.
pub fn choose(
    forward: &ForwardEntry,
    claim: &Claim,
    tried: &[EndpointId],
    now: Tick,
    random: u64,
) -> Option<Pick> {
    let (backend, pinned) = target(forward);
    let part = match tried {
        [] => Part::First,
        _ => Part::Copy,
    };
    // A silent endpoint is found when it is chosen; then the shares change and the choice is made again.
    for _ in 0..SILENT_FOUND_MAX {
        let shares = backend.shares(now);
        let chosen = match tried {
            [] => shares.claimed(pinned, claim, backend.ticket(), now),
            _ => shares.further(pinned, tried, random),
        };
        let chosen: &Arc<EndpointState> = chosen?;
        let fresh_suspect = shares.mode() == Mode::Normal
            && chosen.check_silence(now)
            && backend.health().epoch() != shares.epoch();
        if !fresh_suspect {
            return Some(Pick::begin(Arc::clone(chosen), part, now));
        }
    }
    let shares = backend.shares(now);
    let chosen = shares.further(pinned, tried, random)?;
    Some(Pick::begin(Arc::clone(chosen), part, now))
}

/// The backend that serves at present, and the cluster it is pinned to.
fn target(forward: &ForwardEntry) -> (&Arc<BackendState>, Option<&ClusterName>) {
    match (&forward.fallback, &forward.placement) {
        (Some(fallback), _) if forward.backend.health().endpoints().is_empty() => (fallback, None),
        (_, RoutePlacement::Policy) => (&forward.backend, None),
        (_, RoutePlacement::Pinned(cluster)) => (&forward.backend, Some(cluster)),
    }
}

/// Each round marks at least one endpoint or cluster; more silent ones than this in one choice can wait for
/// the next.
const SILENT_FOUND_MAX: usize = 4;

#[cfg(test)]
mod tests;
