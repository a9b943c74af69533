//! How pgtape says no: what happened, and what to do next. The one table from a refusal to an exit code stands here.
//!
//! Every module's error has a `Refused(Refusal)` variant for what only a person can mend. Everything else in a module's
//! error is a decision of its caller (retry, stop).

use std::fmt;

/// Why the program ends. The numbers are the documented exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A check found something (`verify`, `doctor`).
    Finding = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// A server could not be reached.
    Unreachable = 3,
    /// A privilege, a server setting or a table is not as pgtape needs it.
    Server = 4,
    /// The replication slot is missing, lost, in use, or not ours.
    Slot = 5,
    /// The tape is damaged, or does not belong to this server.
    Tape = 6,
    /// The disk is full or failed.
    Disk = 7,
    /// Another process holds the lock, or has taken over.
    Locked = 8,
    /// The question was answered with no, or there was nobody to ask.
    NotConfirmed = 9,
}

impl Kind {
    /// The process exit code of this kind.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        self as u8
    }

    /// The machine-readable name used in JSON errors.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Kind::Finding => "finding",
            Kind::Usage => "usage",
            Kind::Unreachable => "unreachable",
            Kind::Server => "server",
            Kind::Slot => "slot",
            Kind::Tape => "tape",
            Kind::Disk => "disk",
            Kind::Locked => "locked",
            Kind::NotConfirmed => "not_confirmed",
        }
    }
}

/// A refusal: one line of what happened, and what to do next. Holds no row values and no secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Refusal {
    /// Decides the exit code.
    pub kind: Kind,
    /// What happened, and where.
    pub what: String,
    /// What to do next; may hold SQL to run.
    pub hint: String,
}

impl Refusal {
    /// `what` happened; `hint` says what to do next.
    pub fn new(kind: Kind, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind, what: what.into(), hint: hint.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.hint.is_empty() { f.write_str(&self.what) } else { write!(f, "{}; {}", self.what, self.hint) }
    }
}
