//! What goes onto the tape and comes off it, as types. Pure: no bytes, no files.

use std::fmt;

use crate::model::Lsn;

/// Names one tape for ever; drawn at random when the tape is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TapeId(pub [u8; 16]);

impl fmt::Display for TapeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Where the tape's transactions come from; kept in the header of every segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The cluster's system identifier.
    pub system_id: u64,
    /// The timeline that was streamed.
    pub timeline: u32,
    /// OID of the database.
    pub database_oid: u32,
    /// Fingerprint of the publication (tables, columns, options): equal ones give equal positions.
    pub fingerprint: u64,
    /// The replication slot.
    pub slot: String,
}

/// What a unit of the tape is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A streamed transaction.
    Stream,
    /// A logical message outside any transaction.
    Message,
    /// The first copy: starts its epoch and replaces everything before it.
    Copy,
    /// Some tables copied again at one LSN; replaces those tables.
    Refresh,
}

/// The facts known when a unit begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begin {
    /// What it is.
    pub kind: Kind,
    /// The transaction id; 0 where there is none.
    pub xid: u32,
    /// Begin's "final LSN": start of the commit record.
    pub begin_lsn: Lsn,
    /// Commit time, microseconds since the Unix epoch.
    pub commit_time_us: i64,
    /// `Copy`, `Refresh`: the tables (`schema.name`) that are replaced. Empty for the other kinds.
    pub tables: Vec<String>,
}

/// All facts of a committed unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// What it is.
    pub kind: Kind,
    /// The transaction id; 0 where there is none.
    pub xid: u32,
    /// Begin's "final LSN": start of the commit record.
    pub begin_lsn: Lsn,
    /// Start of the commit record.
    pub commit_lsn: Lsn,
    /// End of the commit record: the unit's position.
    pub end_lsn: Lsn,
    /// Commit time, microseconds since the Unix epoch.
    pub commit_time_us: i64,
    /// The epoch it belongs to.
    pub epoch: u32,
    /// Number of messages in it.
    pub messages: u64,
    /// Bytes of its message records, uncompressed.
    pub bytes: u64,
    /// `Copy`, `Refresh`: the tables that are replaced.
    pub tables: Vec<String>,
}

/// Written before a slot is created for a first copy, so that a copy cut short is known as ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The slot about to be created; empty once it is known that none was.
    pub slot: String,
    /// The epoch that the copy will start; higher than the tape's.
    pub epoch: u32,
    /// The tables (`schema.name`) to be copied.
    pub tables: Vec<String>,
}

/// History that an operator agreed to lose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The tape ended here.
    pub from: Lsn,
    /// It goes on after here.
    pub to: Lsn,
    /// The operator's reason.
    pub reason: String,
}

/// What is proven durable elsewhere: recovery never cuts below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proof {
    /// `confirmed_flush_lsn` of the slot, as far as this tape confirmed it; zero when unknown.
    pub confirmed: Lsn,
    /// Positions of the consumers, by name.
    pub cursors: Vec<(String, Lsn)>,
}

impl Proof {
    /// Nothing is known.
    pub const NONE: Proof = Proof { confirmed: Lsn::ZERO, cursors: Vec::new() };
}
