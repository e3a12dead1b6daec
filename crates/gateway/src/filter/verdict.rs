//! What filters say about a request, and what has to be asked before they can.

use super::Slot;
use super::basic::PasswordCheck;
use crate::conn::OwnAnswer;

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
}

/// What is known about a request from looking at it before.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// It was counted by the limits of its route.
    pub(super) counted: bool,
    /// Its places among the requests under way.
    pub(crate) slots: Vec<Slot>,
    /// Whether its password lets it in.
    pub(super) password: Option<Result<(), OwnAnswer>>,
}

impl Question {
    /// Waits for the answer, and notes it.
    pub(crate) async fn ask(self, asked: &mut Asked) {
        match self {
            Self::Password(check) => asked.password = Some(check.run().await),
        }
    }
}

impl From<Result<(), OwnAnswer>> for Verdict {
    fn from(result: Result<(), OwnAnswer>) -> Self {
        match result {
            Ok(()) => Self::Pass,
            Err(answer) => Self::Refused(answer),
        }
    }
}
