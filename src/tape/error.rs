//! What can go wrong on the tape, sorted by what the caller can do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::model::Lsn;
use crate::refusal::{Kind, Refusal};

/// An error of the tape.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Only a person can mend it: a damaged tape, another server's tape, a held lock.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The disk is full. The writer is stopped; once there is space again, open a new one (which recovers).
    #[error("{doing} {path}: the disk is full")]
    Full {
        /// What was tried, as a verb phrase.
        doing: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// Reading, writing or syncing failed. For a writer it is final: end, and let recovery at the next start speak.
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
    /// This writer failed before and takes nothing more.
    #[error("the tape's writer stopped at an earlier error")]
    Stopped,
    /// The position asked for is not on the tape: below its start or past its durable end.
    #[error("position {after} is outside the tape, which holds {oldest} to {newest}")]
    Outside {
        /// The position that was asked for.
        after: Lsn,
        /// Everything after this is held.
        oldest: Lsn,
        /// The durable end.
        newest: Lsn,
    },
}

impl Error {
    /// Sorts an I/O error that happened while `doing` something with `path`.
    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full { doing, path },
            _other => Error::Io { doing, path, source },
        }
    }

    /// A refusal about the tape's content at `offset` of `path`.
    pub(crate) fn damaged(path: &Path, offset: u64, why: impl std::fmt::Display) -> Self {
        Error::Refused(Refusal::new(
            Kind::Tape,
            format!("{} is damaged at offset {offset}: {why}", path.display()),
            "restore the file from a copy, or move the tape's directory away and start a new tape",
        ))
    }

    /// Whether a new writer may succeed once there is space again.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Error::Full { .. })
    }

    /// As a refusal: for callers that do not try again.
    #[must_use]
    pub fn into_refusal(self) -> Refusal {
        match self {
            Error::Refused(refusal) => refusal,
            Error::Full { .. } => Refusal::new(Kind::Disk, self.to_string(), "free some space; nothing is lost"),
            Error::Io { .. } | Error::Stopped => {
                Refusal::new(Kind::Disk, self.to_string(), "check the disk, then start again: the tape recovers itself")
            }
            Error::Outside { .. } => Refusal::new(
                Kind::Tape,
                self.to_string(),
                "rebuild the consumer from a new copy, or give it a position that the tape holds",
            ),
        }
    }
}
