//! What filters say about a request, and what has to be asked before they can.

use super::basic::PasswordCheck;
use super::{ExternalAuth, Opinion, Slot};
use crate::conn::OwnAnswer;
use std::sync::Arc;

/// What a filter says about a request.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It may go on.
    Pass,
    /// It is answered by the gateway.
    Refused(OwnAnswer),
    /// That is known only when this was asked.
    Ask(Question),
}

/// Something whose answer takes time. It owns what it needs, so that nothing of the request is held meanwhile.
#[derive(Debug)]
pub(crate) enum Question {
    /// Whether a password is the right one.
    Password(PasswordCheck),
    /// What another service says. Whoever has the request at hand writes the question.
    External(Arc<ExternalAuth>),
}

/// What is known about a request from looking at it before.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// It was counted by the limits of its route.
    pub(super) counted: bool,
    /// Its places among the requests under way.
    pub(crate) slots: Vec<Slot>,
    /// Whether its password lets it in.
    pub(crate) password: Option<Result<(), OwnAnswer>>,
    /// What another service says about it.
    pub(crate) opinion: Option<Arc<Opinion>>,
    /// What its backend is told about the client's certificate: whole lines.
    pub(crate) certificate: Vec<u8>,
    /// Its own name, for as long as it is looked at: a question about it has the same.
    pub(crate) request_id: Option<[u8; 32]>,
    /// It is such a question itself.
    pub(crate) is_question: bool,
}

impl From<Result<(), OwnAnswer>> for Verdict {
    fn from(result: Result<(), OwnAnswer>) -> Self {
        match result {
            Ok(()) => Self::Pass,
            Err(answer) => Self::Refused(answer),
        }
    }
}
