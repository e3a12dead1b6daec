//! What all workers of a gateway share.

mod certificates;
mod metrics;
mod status;
mod traffic;

pub use crate::table::ApplyReport;
pub use certificates::CertificateMetrics;
pub use metrics::HealthMetrics;
pub use traffic::{Traffic, TrafficMetrics};

use crate::budget::RetryBudget;
use crate::health::HealthTable;
use crate::table::Table;
use arc_swap::ArcSwap;
use std::sync::{Arc, Mutex, PoisonError};
use tidegate_model::{Generation, Snapshot};

/// The table in use, the verdicts, and the retry budget.
#[derive(Debug)]
pub struct Shared {
    /// What is served.
    pub table: ArcSwap<Table>,
    /// How endpoints and clusters are judged.
    pub health: Arc<HealthTable>,
    /// What may be sent twice.
    pub budget: RetryBudget,
    /// What went through.
    pub traffic: Traffic,
    applying: Mutex<()>,
}

impl Default for Shared {
    fn default() -> Self {
        Self::new()
    }
}

impl Shared {
    /// Serves nothing: every request is answered 404.
    pub fn new() -> Self {
        let health = Arc::new(HealthTable::new());
        let empty = Arc::new(Snapshot::empty(Generation(0)));
        Self {
            table: ArcSwap::from_pointee(Table::compile(&empty, None, &health).0),
            health,
            budget: RetryBudget::new(),
            traffic: Traffic::default(),
            applying: Mutex::new(()),
        }
    }

    /// Serves `snapshot` from now on.
    ///
    /// # Errors
    /// The field that cannot be served; then nothing has changed.
    pub fn apply(&self, snapshot: &Arc<Snapshot>) -> Result<ApplyReport, String> {
        let _one_at_a_time = self.applying.lock().unwrap_or_else(PoisonError::into_inner);
        let previous = self.table.load_full();
        let valid = snapshot.validate_since(previous.snapshot());
        valid.map_err(|invalid| invalid.to_string())?;
        let (table, report) = Table::compile(snapshot, Some(&previous), &self.health);
        self.table.store(Arc::new(table));
        Ok(report)
    }
}

#[cfg(test)]
mod tests;
