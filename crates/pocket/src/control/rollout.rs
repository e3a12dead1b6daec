//! How many pods each replica set of a deployment should have next. Numbers only; the rules are those of
//! the Kubernetes deployment controller, so that a rollout looks as people know it.

use k8s_openapi::api::apps::v1::{DeploymentSpec, DeploymentStrategy};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// How a deployment replaces pods, with percentages resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// All old pods go before the first new one comes.
    Recreate,
    /// Old and new together, between these bounds.
    Rolling {
        max_surge: i32,
        max_unavailable: i32,
    },
}

/// Sizes of one replica set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct SetSize {
    /// What its spec asks for.
    pub(crate) spec: i32,
    /// Pods it has, as last reported. Never believed to be more recent than `spec`.
    pub(crate) current: i32,
    /// Of those, available.
    pub(crate) available: i32,
}

/// The next sizes: of the new replica set, and of the old ones in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NextSizes {
    pub(crate) new: i32,
    pub(crate) old: Vec<i32>,
}

impl Strategy {
    /// The strategy of `spec` for `replicas` pods. Surge rounds up, unavailability down, and both are never zero together.
    pub(crate) fn of(spec: &DeploymentSpec, replicas: i32) -> Self {
        let empty = DeploymentStrategy::default();
        let strategy = spec.strategy.as_ref().unwrap_or(&empty);
        if strategy.type_.as_deref() == Some("Recreate") {
            return Self::Recreate;
        }
        let rolling = strategy.rolling_update.as_ref();
        let quarter = IntOrString::String("25%".to_owned());
        let surge = rolling
            .and_then(|r| r.max_surge.as_ref())
            .unwrap_or(&quarter);
        let unavailable = rolling
            .and_then(|r| r.max_unavailable.as_ref())
            .unwrap_or(&quarter);
        let max_surge = scaled(surge, replicas, Rounding::Up);
        let max_unavailable = scaled(unavailable, replicas, Rounding::Down).min(replicas);
        Self::Rolling {
            max_surge,
            max_unavailable: if max_surge == 0 && max_unavailable == 0 {
                1
            } else {
                max_unavailable
            },
        }
    }

    /// One step towards `replicas` pods, all of the new replica set.
    pub(crate) fn next(self, replicas: i32, new: SetSize, old: &[SetSize]) -> NextSizes {
        let stay: Vec<i32> = old.iter().map(|set| set.spec).collect();
        match self {
            Self::Recreate => NextSizes {
                new: if old.iter().all(|set| set.spec == 0 && set.current == 0) {
                    replicas
                } else {
                    new.spec.min(replicas)
                },
                old: vec![0; old.len()],
            },
            Self::Rolling {
                max_surge,
                max_unavailable,
            } => {
                let next_new = grow_new(replicas, max_surge, new, &stay);
                if next_new != new.spec {
                    // One side at a time: the old ones follow when this has taken effect.
                    return NextSizes {
                        new: next_new,
                        old: stay,
                    };
                }
                NextSizes {
                    new: next_new,
                    old: shrink_old(replicas - max_unavailable, new, old),
                }
            }
        }
    }
}

fn grow_new(replicas: i32, max_surge: i32, new: SetSize, old: &[i32]) -> i32 {
    if new.spec >= replicas {
        return replicas;
    }
    let total = new.spec + old.iter().sum::<i32>();
    let room = (replicas + max_surge - total).max(0);
    new.spec + room.min(replicas - new.spec)
}

fn shrink_old(min_available: i32, new: SetSize, old: &[SetSize]) -> Vec<i32> {
    let mut next: Vec<i32> = old.iter().map(|set| set.spec).collect();
    let total = new.spec + next.iter().sum::<i32>();
    let new_unavailable = (new.spec - new.available).max(0);
    // Bounded by the specs: reports lag, and pods already on their way out must not be counted on.
    let mut removable = total - min_available - new_unavailable;
    // Pods that serve nobody go first; that costs no availability.
    for (next, set) in next.iter_mut().zip(old) {
        let broken = (set.spec - set.available).max(0).min(removable).max(0);
        *next -= broken;
        removable -= broken;
    }
    let available = new.available.min(new.spec)
        + next
            .iter()
            .zip(old)
            .map(|(n, set)| set.available.min(*n))
            .sum::<i32>();
    let mut spare = available - min_available;
    for next in &mut next {
        let remove = (*next).min(spare).min(removable).max(0);
        *next -= remove;
        spare -= remove;
        removable -= remove;
    }
    next
}

#[derive(Debug, Clone, Copy)]
enum Rounding {
    Up,
    Down,
}

/// An absolute number, or a percentage of `total`. Nonsense counts as zero; the API server should have refused it.
fn scaled(value: &IntOrString, total: i32, rounding: Rounding) -> i32 {
    match value {
        IntOrString::Int(n) => (*n).max(0),
        IntOrString::String(text) => {
            let percent: i64 = text
                .strip_suffix('%')
                .and_then(|p| p.parse().ok())
                .unwrap_or(0);
            let product = percent.max(0).saturating_mul(i64::from(total));
            let share = match rounding {
                Rounding::Up => product.saturating_add(99) / 100,
                Rounding::Down => product / 100,
            };
            i32::try_from(share).unwrap_or(i32::MAX / 4)
        }
    }
}

#[cfg(test)]
mod tests;
