//! Where a change comes from: what the `source` block tells.

use super::number::put_number;
use crate::model::Lsn;

/// What is said of every record of a connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connector {
    /// What `source.version` says.
    pub version: String,
    /// The topic prefix.
    pub name: String,
    /// The database.
    pub database: String,
}

impl Connector {
    /// `version` is what `source.version` says, `name` the topic prefix.
    #[must_use]
    pub fn new(version: &str, name: &str, database: &str) -> Self {
        Self { version: version.to_owned(), name: name.to_owned(), database: database.to_owned() }
    }
}

/// Whether a record is of a snapshot, and where in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Snapshot {
    /// It is of the stream.
    #[default]
    No,
    /// Somewhere in it.
    Yes,
    /// The snapshot's first.
    First,
    /// A table's first.
    FirstInTable,
    /// A table's last.
    LastInTable,
    /// The snapshot's last.
    Last,
    /// Of an incremental snapshot.
    Incremental,
}

impl Snapshot {
    /// As `source.snapshot` says it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Snapshot::No => "false",
            Snapshot::Yes => "true",
            Snapshot::First => "first",
            Snapshot::FirstInTable => "first_in_data_collection",
            Snapshot::LastInTable => "last_in_data_collection",
            Snapshot::Last => "last",
            Snapshot::Incremental => "incremental",
        }
    }
}

/// Where and when a change happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// Commit time of its transaction, microseconds since the Unix epoch.
    pub commit_time_us: i64,
    /// Whether it was read from a table and not from the stream.
    pub snapshot: Snapshot,
    /// End of the last commit before it; `None` before any.
    pub last_commit: Option<Lsn>,
    /// The change's own LSN.
    pub lsn: Lsn,
    /// Its transaction.
    pub xid: Option<u32>,
    /// Where the transaction was replicated from: name and commit LSN there.
    pub origin: Option<(&'a str, Lsn)>,
}

/// Appends JSON: end of the last commit, LSN of the change, each in quotes.
pub(in super::super) fn put_sequence(last_commit: Option<Lsn>, Lsn(lsn): Lsn, out: &mut Vec<u8>) {
    match last_commit {
        Some(Lsn(last)) => {
            out.extend_from_slice(b"[\"");
            put_number(last, out);
            out.extend_from_slice(b"\",\"");
        }
        None => out.extend_from_slice(b"[null,\""),
    }
    put_number(lsn, out);
    out.extend_from_slice(b"\"]");
}

/// Rounded towards the past, as Java does.
pub(in super::super) const fn milliseconds(time_us: i64) -> i64 {
    time_us.div_euclid(1_000)
}

/// Wider than Java's 64 bits, which end in the year 2262.
pub(in super::super) const fn nanoseconds(time_us: i64) -> i128 {
    time_us as i128 * 1_000
}
