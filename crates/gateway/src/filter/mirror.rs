//! Copies of requests: who gets them, and what they ask for.

use super::Facts;
use crate::choose::BackendState;
use crate::key::write_url;
use crate::table::{ForwardEntry, HeaderLookup};
use std::sync::Arc;
use tidegate_model::Mirror as Rule;

/// Who gets copies.
#[derive(Debug)]
pub(crate) struct Mirror {
    rule: Rule,
    pub(crate) to: ForwardEntry,
}

/// What a copy asks for, where that differs.
#[derive(Debug, Default)]
pub(crate) struct Copied {
    /// Path and query.
    pub(crate) uri: Option<Vec<u8>>,
    pub(crate) host: Option<Vec<u8>>,
}

impl Mirror {
    pub(super) fn compile(rule: &Rule, backend: Arc<BackendState>) -> Self {
        Self {
            rule: rule.clone(),
            to: ForwardEntry::new(backend),
        }
    }

    /// Whether a request is copied; `random` decides.
    pub(crate) fn takes(&self, random: u64) -> bool {
        ((random >> 32) * 100) >> 32 < u64::from(self.rule.percent)
    }

    /// Whether the copy has the body.
    pub(crate) fn takes_body(&self) -> bool {
        self.rule.body
    }

    pub(crate) fn copied<H: HeaderLookup>(&self, facts: &Facts<'_, H>) -> Copied {
        let text = |parts: &[_]| {
            let mut text = Vec::new();
            write_url(parts, facts, false, &mut text);
            (!parts.is_empty()).then_some(text)
        };
        Copied {
            uri: text(&self.rule.uri),
            host: text(&self.rule.host),
        }
    }
}
