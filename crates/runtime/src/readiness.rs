//! Whether the process is ready, as a set of named checks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The checks of a process; clones share them.
///
/// Ready means that there is at least one check and none says no.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    checks: Arc<Mutex<BTreeMap<&'static str, CheckState>>>,
}

/// What a check says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckState {
    /// Fine, with what it rests on.
    Ok(String),
    /// Not ready, with the reason.
    NotOk(String),
}

/// The hand that sets one check.
#[derive(Clone, Debug)]
pub struct Check {
    name: &'static str,
    readiness: Readiness,
}

impl Readiness {
    /// Adds a check that says no until somebody says otherwise.
    pub fn check(&self, name: &'static str) -> Check {
        let check = Check {
            name,
            readiness: self.clone(),
        };
        check.not_ok("not reported yet");
        check
    }

    /// Whether the process is ready.
    pub fn ready(&self) -> bool {
        let checks = self.lock();
        !checks.is_empty()
            && checks
                .values()
                .all(|state| matches!(state, CheckState::Ok(_)))
    }

    /// All checks by name.
    pub fn report(&self) -> BTreeMap<&'static str, CheckState> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, CheckState>> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Check {
    /// Says yes.
    pub fn ok(&self, on_what_ground: impl Into<String>) {
        self.set(CheckState::Ok(on_what_ground.into()));
    }

    /// Says no.
    pub fn not_ok(&self, reason: impl Into<String>) {
        self.set(CheckState::NotOk(reason.into()));
    }

    fn set(&self, state: CheckState) {
        self.readiness.lock().insert(self.name, state);
    }
}
