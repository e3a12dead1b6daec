//! Errors that another backend tells.

use super::Facts;
use crate::choose::BackendState;
use crate::h1::{Edits, add_lines, append_line};
use crate::table::{ForwardEntry, HeaderLookup};
use std::sync::Arc;
use tidegate_model::ErrorPages as Rule;

/// Who tells which errors.
#[derive(Debug)]
pub(crate) struct ErrorPages {
    statuses: Box<[u16]>,
    /// Who is asked.
    pub(crate) to: ForwardEntry,
    /// What it is told beside what differs from request to request.
    pub(crate) edits: Edits,
}

impl ErrorPages {
    pub(super) fn compile(rule: &Rule, backend: Arc<BackendState>) -> Self {
        let mut edits = Edits::default();
        for own in ["X-Code", "X-Format", "X-Original-URI"] {
            edits.drop(own);
        }
        for line in &rule.headers {
            edits.drop(&line.name);
            edits.append(&line.name, &line.value);
        }
        Self {
            statuses: rule.statuses.clone().into(),
            to: ForwardEntry::new(backend),
            edits,
        }
    }

    /// Whether answers of this status are told by it.
    pub(crate) fn tell(&self, status: u16) -> bool {
        self.statuses.contains(&status)
    }

    /// Adds to the head of a question, which must be complete, what the client asked for.
    pub(crate) fn write_request<H: HeaderLookup>(
        &self,
        facts: &Facts<'_, H>,
        target: [&[u8]; 2],
        head: &mut Vec<u8>,
    ) {
        let mut lines = Vec::new();
        let format = facts.headers.value("accept").unwrap_or_default();
        append_line(&mut lines, "X-Format", format);
        append_line(&mut lines, "X-Original-URI", &target.concat());
        add_lines(head, &lines);
    }

    /// Adds the status that is to be told.
    pub(crate) fn write_status(status: u16, head: &mut Vec<u8>) {
        let mut line = Vec::new();
        append_line(&mut line, "X-Code", status.to_string().as_bytes());
        add_lines(head, &line);
    }
}
