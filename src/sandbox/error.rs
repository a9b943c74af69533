//! What can go wrong with a server of one's own.

use std::io;

use crate::refusal::{Kind, Refusal};

/// An error of the sandbox.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something is not installed, or may not be done by this user.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The operating system refused a step.
    #[error("{doing}: {cause}")]
    Io {
        /// What was being done, as a verb phrase.
        doing: String,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// A program of ours or of Postgres ended badly, or did not get ready.
    #[error("{what}\n{output}")]
    Program {
        /// Which program, and what it did not do.
        what: String,
        /// The end of what it printed.
        output: String,
    },
}

impl Error {
    /// As a refusal, for the program that ends with it. What a program printed is left to the caller to show.
    #[must_use]
    pub fn into_refusal(self) -> Refusal {
        match self {
            Error::Refused(refusal) => refusal,
            Error::Io { doing, cause } => Refusal::new(Kind::Server, format!("{doing}: {cause}"), ""),
            Error::Program { what, output: _ } => Refusal::new(Kind::Server, what, "see what it printed, above"),
        }
    }

    /// For `map_err`: an I/O error while `doing` something.
    pub(super) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |cause| Self::Io { doing, cause }
    }
}
