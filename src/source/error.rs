//! What can go wrong between the server and the tape, sorted by what the caller can do about it.

use crate::refusal::{Kind, Refusal};
use crate::{pg, pgoutput, tape};

/// An error of the source.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// May pass by itself: connect again and go on from the tape's end.
    #[error("{0}")]
    Retry(String),
    /// Only a person can mend it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The tape took no more. [`tape::Error::is_full`]: open a new writer once there is space; else end.
    #[error(transparent)]
    Tape(tape::Error),
}

impl Error {
    /// As a refusal: for callers that do not try again.
    #[must_use]
    pub fn into_refusal(self) -> Refusal {
        match self {
            Error::Retry(why) => Refusal::new(Kind::Unreachable, why, "check that the server runs and can be reached"),
            Error::Refused(refusal) => refusal,
            Error::Tape(error) => error.into_refusal(),
        }
    }

    /// What the server answered while `doing` something.
    pub(super) fn from_pg(doing: &str, error: pg::Error) -> Self {
        if error.is_retryable() { Error::Retry(format!("{doing}: {error}")) } else { error.into_refusal(doing).into() }
    }
}

impl From<tape::Error> for Error {
    fn from(error: tape::Error) -> Self {
        match error {
            tape::Error::Refused(refusal) => Error::Refused(refusal),
            other => Error::Tape(other),
        }
    }
}

impl From<pgoutput::DecodeError> for Error {
    fn from(error: pgoutput::DecodeError) -> Self {
        let hint = "nothing was confirmed; report this, with the server's version";
        Refusal::new(Kind::Server, format!("the server's stream cannot be understood: {error}"), hint).into()
    }
}

/// Gives an answer of the server the verb phrase of what was being done.
pub(super) trait Doing<T> {
    /// `doing` in the words of "cannot ...": a verb phrase.
    fn doing(self, doing: &str) -> Result<T, Error>;
}

impl<T, E: Into<pg::Error>> Doing<T> for Result<T, E> {
    fn doing(self, doing: &str) -> Result<T, Error> {
        self.map_err(|error| Error::from_pg(doing, error.into()))
    }
}
