//! What can go wrong with a connection, sorted by what the caller can do about it.

use std::io;

use tokio_postgres::error::SqlState as Code;

use crate::refusal::{Kind, Refusal};

pub use tokio_postgres::error::SqlState;

/// An error of a connection or a statement. Its text never holds a password or row values.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// May pass by itself: connect again and repeat.
    #[error("{0}")]
    Retry(String),
    /// Only a person can mend it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The server refused a statement.
    #[error("{message} (SQLSTATE {})", code.code())]
    Statement {
        /// The SQLSTATE.
        code: SqlState,
        /// The primary message. DETAIL is left out: it may quote row values.
        message: String,
    },
}

impl Error {
    /// Whether trying again may help.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Error::Retry(_) => true,
            Error::Refused(_) => false,
            Error::Statement { code, .. } => retryable(code),
        }
    }

    /// The SQLSTATE, when the server said one.
    #[must_use]
    pub fn code(&self) -> Option<&SqlState> {
        match self {
            Error::Statement { code, .. } => Some(code),
            Error::Retry(_) | Error::Refused(_) => None,
        }
    }

    /// Whether the server said exactly this.
    #[must_use]
    pub fn is(&self, code: &SqlState) -> bool {
        self.code() == Some(code)
    }

    /// As a refusal: for callers that do not try again.
    #[must_use]
    pub fn into_refusal(self, doing: &str) -> Refusal {
        match self {
            Error::Refused(refusal) => refusal,
            Error::Retry(why) => Refusal::new(
                Kind::Unreachable,
                format!("{doing}: {why}"),
                "check that the server runs and the address is right",
            ),
            Error::Statement { ref code, .. } => {
                let kind = if retryable(code) { Kind::Unreachable } else { Kind::Server };
                Refusal::new(kind, format!("{doing}: {self}"), "")
            }
        }
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(db) => Error::Statement { code: db.code().clone(), message: db.message().to_owned() },
            None => Error::Retry(chain(&error)),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Error::Retry(error.to_string())
    }
}

/// The error and its causes, joined by colons.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// Whether a statement refused with `code` may succeed when it is tried again on a new connection.
#[must_use]
pub fn retryable(code: &SqlState) -> bool {
    let class = &code.code()[..2];
    class == "08" // connection exceptions
        || class == "53" // out of memory, connections, disk
        || [
            Code::T_R_SERIALIZATION_FAILURE,
            Code::T_R_DEADLOCK_DETECTED,
            Code::ADMIN_SHUTDOWN,
            Code::CRASH_SHUTDOWN,
            Code::CANNOT_CONNECT_NOW,
            Code::OBJECT_IN_USE,
            Code::LOCK_NOT_AVAILABLE,
            Code::QUERY_CANCELED,
            Code::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            Code::READ_ONLY_SQL_TRANSACTION,
        ]
        .contains(code)
}
