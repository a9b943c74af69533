//! What a write can end with, other than "committed".

use crate::pg::{self, SqlState};
use crate::refusal::{Kind, Refusal};

/// A write that did not end with a commit we know of. Its text holds no row values.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No answer until the writer gave up. The event may be committed or not: repeat it later with the same key.
    #[error("{op}: no answer after {attempts} attempts, the last: {last}; repeat the event with the same key")]
    Unanswered {
        /// The event, as `schema.event`.
        op: &'static str,
        /// How often it was tried.
        attempts: u32,
        /// Why the last attempt failed.
        last: String,
    },
    /// Postgres refused the event: nothing of it is committed, and repeating it would be refused again.
    #[error("{op} was refused: {message} (SQLSTATE {})", code.code())]
    Rejected {
        /// The event, as `schema.event`.
        op: &'static str,
        /// The SQLSTATE.
        code: SqlState,
        /// The primary message.
        message: String,
    },
    /// The rows are not (any more) as the event needs them: nothing was written. Read again and decide again.
    #[error("{op}: the rows are not as the event needs them, nothing was written; read them and decide again")]
    Conflict {
        /// The event, as `schema.event`.
        op: &'static str,
    },
    /// The store is draining: nothing was sent.
    #[error("{op}: the writer is shutting down, nothing was sent")]
    Closed {
        /// The event, as `schema.event`.
        op: &'static str,
    },
    /// Only a person can mend it.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Error {
    /// Whether the same event should be tried again, later, with the same key.
    #[must_use]
    pub fn may_be_repeated(&self) -> bool {
        match self {
            Error::Unanswered { .. } => true,
            Error::Rejected { .. } | Error::Conflict { .. } | Error::Closed { .. } | Error::Refused(_) => false,
        }
    }

    /// As a refusal, for programs that end with it.
    #[must_use]
    pub fn into_refusal(self) -> Refusal {
        let kind = match &self {
            Error::Unanswered { .. } => Kind::Unreachable,
            Error::Rejected { .. } | Error::Conflict { .. } | Error::Closed { .. } => Kind::Server,
            Error::Refused(_) => Kind::Usage,
        };
        let hint = self.hint();
        match self {
            Error::Refused(refusal) => refusal,
            other => Refusal::new(kind, other.to_string(), hint),
        }
    }

    /// What to do about it, where that is known.
    fn hint(&self) -> String {
        let Error::Rejected { op, code, .. } = self else { return String::new() };
        let missing = [
            SqlState::UNDEFINED_TABLE,
            SqlState::INVALID_SCHEMA_NAME,
            SqlState::UNDEFINED_FUNCTION,
            SqlState::UNDEFINED_COLUMN,
        ];
        if missing.contains(code) {
            return "the owner of the database makes the tables with: pgtape migrate up".into();
        }
        if *code == SqlState::INSUFFICIENT_PRIVILEGE {
            let schema = op.split('.').next().unwrap_or_default();
            return format!(
                "grant its role to this log-in (pgtape migrate up makes it): GRANT pgtape_engine_{schema} TO .."
            );
        }
        String::new()
    }

    /// The end of an attempt that is not tried again.
    pub(super) fn from_last(op: &'static str, attempts: u32, error: pg::Error) -> Self {
        if error.is_retryable() {
            return Error::Unanswered { op, attempts, last: error.to_string() };
        }
        match error {
            pg::Error::Statement { code, message } => Error::Rejected { op, code, message },
            pg::Error::Refused(refusal) => Error::Refused(refusal),
            pg::Error::Retry(last) => Error::Unanswered { op, attempts, last },
        }
    }
}
