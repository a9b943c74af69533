//! What can go wrong between the tape and the sinks.

use std::io;
use std::path::PathBuf;

use crate::refusal::{Kind, Refusal};
use crate::sinks::standby::ApplyError;
use crate::{pg, pgoutput, tape};

/// An error of the delivery. Whatever it is, the tape has everything: a restart goes on from the last checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Only a person can mend it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Another instance has taken over: the whole service ends.
    #[error(transparent)]
    Fenced(Refusal),
    /// What takes the effect has gone; whoever keeps it knows why.
    #[error("interrupted")]
    Interrupted,
    /// Something that the effect needs does not answer: worth trying again.
    #[error("{0}")]
    Unreachable(String),
    /// The tape could not be read.
    #[error(transparent)]
    Tape(tape::Error),
    /// A file of the sinks could not be read or written.
    #[error("{doing} {path}: {source}")]
    Io {
        /// What was tried, as a verb phrase.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// An I/O error that happened while `doing` something with `path`.
    pub(super) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Error::Io { doing, path, source }
    }

    /// As a refusal: for callers that do not try again.
    #[must_use]
    pub fn into_refusal(self) -> Refusal {
        match self {
            Error::Refused(refusal) | Error::Fenced(refusal) => refusal,
            Error::Tape(error) => error.into_refusal(),
            Error::Unreachable(what) => Refusal::new(Kind::Server, what, "start it, or wait; then try again"),
            Error::Io { .. } | Error::Interrupted => {
                Refusal::new(Kind::Disk, self.to_string(), "check disk and permissions; nothing is lost")
            }
        }
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

impl From<pg::Error> for Error {
    fn from(error: pg::Error) -> Self {
        Error::Refused(error.into_refusal("keep the roll-ups"))
    }
}

const NOT_UNDERSTOOD: &str = "run `pgtape tape verify`; if it finds nothing, report this";

impl From<pgoutput::DecodeError> for Error {
    fn from(error: pgoutput::DecodeError) -> Self {
        Error::Refused(Refusal::new(Kind::Tape, format!("the tape cannot be understood: {error}"), NOT_UNDERSTOOD))
    }
}

impl From<ApplyError> for Error {
    fn from(error: ApplyError) -> Self {
        Error::Refused(Refusal::new(Kind::Tape, format!("the tape cannot be applied: {error}"), NOT_UNDERSTOOD))
    }
}
